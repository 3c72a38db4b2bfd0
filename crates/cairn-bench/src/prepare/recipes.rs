//! The peers: which crate each one is, what it is built with, and what its authors advise for running it.
//!
//! How the shared object is made stands in `peers/<name>/library.sh`, why so in `peers/README.md`.

use super::tools::{Advice, CC, CMAKE, CXX, MAKE, Tool};
use super::versions::Told;

/// How one peer is prepared.
#[derive(Debug)]
pub struct Recipe {
    /// Its name everywhere: in tables, of its folder in `peers/`, of its library.
    pub name: &'static str,
    /// The crate that holds its sources.
    pub sources: &'static str,
    /// Where its own version is told, which is seldom the crate's.
    pub told: Told,
    /// The compilers its authors advise.
    pub compilers: Advice,
    /// What has to be installed beside them.
    pub tools: &'static [Tool],
    /// Variables for building it.
    pub building: &'static [(&'static str, &'static str)],
    /// Variables for programs that run on it.
    pub running: &'static [(&'static str, &'static str)],
}

/// All peers that are built, in the order of the tables.
pub const RECIPES: [Recipe; 7] = [
    Recipe {
        name: "mimalloc3",
        sources: "libmimalloc-sys",
        told: Told::Define("c_src/mimalloc/v3/include/mimalloc.h", "MI_MALLOC_VERSION"),
        compilers: Advice::System,
        tools: &[CC],
        building: &[],
        running: &[],
    },
    Recipe {
        name: "mimalloc2",
        sources: "libmimalloc-sys",
        told: Told::Define("c_src/mimalloc/v2/include/mimalloc.h", "MI_MALLOC_VERSION"),
        compilers: Advice::System,
        tools: &[CC],
        building: &[],
        running: &[],
    },
    Recipe {
        name: "jemalloc",
        sources: "tikv-jemalloc-sys",
        told: Told::AfterPlus,
        compilers: Advice::System,
        tools: &[CC, CXX, MAKE],
        building: &[],
        running: &[],
    },
    Recipe {
        name: "snmalloc",
        sources: "snmalloc-sys",
        told: Told::ByCrate,
        compilers: Advice::Clang,
        tools: &[CC, CXX, CMAKE, MAKE],
        building: &[],
        running: &[],
    },
    Recipe {
        name: "tcmalloc",
        sources: "libtcmalloc-sys",
        told: Told::Nowhere,
        compilers: Advice::Clang,
        tools: &[CC, CXX],
        // For the shared object; in a program the linker turns every kind of TLS into the same one.
        building: &[("CXXFLAGS", "-ftls-model=initial-exec")],
        // Its caches are per CPU only where it may register rseq itself; glibc from 2.35 on does so before, unless told not to.
        running: &[("GLIBC_TUNABLES", "glibc.pthread.rseq=0")],
    },
    Recipe {
        name: "rpmalloc",
        sources: "rpmalloc-sys",
        told: Told::FirstLine("rpmalloc/CHANGELOG"),
        compilers: Advice::System,
        tools: &[CC],
        building: &[],
        running: &[],
    },
    Recipe {
        name: "ferroc",
        sources: "ferroc",
        told: Told::ByCrate,
        compilers: Advice::System,
        tools: &[CC],
        // It uses unstable features of Rust.
        building: &[("RUSTC_BOOTSTRAP", "1")],
        running: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_recipe_has_its_package() {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../peers");
        let lock = std::fs::read_to_string(peers.join("Cargo.lock")).unwrap();
        let readme = std::fs::read_to_string(peers.join("README.md")).unwrap();
        for recipe in &RECIPES {
            assert!(peers.join(recipe.name).join("Cargo.toml").is_file(), "{}", recipe.name);
            assert!(
                lock.contains(&format!("name = \"{}\"", recipe.sources)),
                "{} in Cargo.lock",
                recipe.sources
            );
            assert!(readme.contains(&format!("| {} |", recipe.name)), "{} in README.md", recipe.name);
        }
    }
}
