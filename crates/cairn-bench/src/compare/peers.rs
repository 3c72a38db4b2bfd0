//! The allocators under comparison: Cairn, glibc, Debian's packages, and whatever else is named.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// The one that nothing has to be preloaded for.
pub const GLIBC: &str = "glibc";

/// What builds libcairn.so where [`find`] looks for it.
pub const BUILD: &str = "cargo build --release -p cairn-malloc --target-dir target/cairn-so";

/// An allocator that programs can be run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name in tables.
    pub name: String,
    /// The shared object to preload; none for the C library's own.
    pub library: Option<PathBuf>,
    /// The workload program with the allocator's crate as its global allocator; none if it has no crate.
    #[serde(default)]
    pub rust: Option<PathBuf>,
}

/// What was found, and what to do about the rest.
pub struct Found {
    /// Those that are there, in the order in which they take turns.
    pub peers: Vec<Peer>,
    /// One sentence for each that is not.
    pub missing: Vec<String>,
}

/// Names, files and Debian packages.
const DEBIAN: [(&str, &str, &str); 3] = [
    ("mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"),
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
];

/// Where Debian puts libraries, on the architectures that Cairn knows.
const FOLDERS: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

impl Peer {
    /// The C library's own allocator.
    pub fn glibc() -> Peer {
        Peer { name: GLIBC.to_owned(), library: None, rust: None }
    }

    /// A library to preload.
    pub fn preloaded(name: &str, library: PathBuf) -> Peer {
        Peer { name: name.to_owned(), library: Some(library), rust: None }
    }

    /// Whether it is measured against the others, instead of being one of those to measure against.
    pub fn is_ours(name: &str) -> bool {
        name.starts_with("cairn")
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let (name, path) = text.split_once('=').ok_or("must be NAME=PATH, such as mine=/opt/libmine.so")?;
        if name.is_empty() || name.contains(['|', ' ']) {
            return Err("the name before = must not be empty and have no blanks or bars".to_owned());
        }
        let path = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
        Ok(Peer::preloaded(name, path))
    }
}

/// Finds all of them; with `wanted` only those that it names, which must exist then.
pub fn find(cairn: Option<&Path>, extra: &[Peer], wanted: &[String]) -> anyhow::Result<Found> {
    let mut found = Found { peers: Vec::new(), missing: Vec::new() };
    match cairn {
        Some(path) if !path.is_file() => bail!("{} (given by --cairn) is not a file", path.display()),
        Some(path) => found.add("cairn", path.canonicalize()?),
        None => match find_cairn() {
            Some(path) => found.add("cairn", path),
            None => found.missing.push(format!("cairn: no libcairn.so yet; build it with: {BUILD}")),
        },
    }
    found.peers.push(Peer::glibc());
    for (name, file, package) in DEBIAN {
        match FOLDERS.iter().map(|folder| Path::new(folder).join(file)).find(|path| path.is_file()) {
            Some(path) => found.add(name, path),
            None => {
                found.missing.push(format!("{name}: no {file}; install it with: apt-get install {package}"))
            }
        }
    }
    found.peers.extend(extra.iter().cloned());
    let mut names: Vec<&str> = found.peers.iter().map(|peer| peer.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two allocators are named {}; give the one in --libs another name", pair[0]);
    }
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no allocator named {unknown} here; there are: {}", names.join(", "));
    }
    if !wanted.is_empty() {
        found.peers.retain(|peer| wanted.contains(&peer.name));
        found.missing.clear();
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, name: &str, library: PathBuf) {
        self.peers.push(Peer::preloaded(name, library));
    }
}

/// The shared object that [`BUILD`] makes, in this checkout or in the target folder that cargo was told to use.
fn find_cairn() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut targets = vec![checkout.join("target")];
    targets.extend(std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from));
    targets
        .iter()
        .map(|target| target.join("cairn-so/release/libcairn.so"))
        .filter_map(|path| path.canonicalize().ok())
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
}

/// The program `cairn-workload`, beside this one.
pub fn workload_program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("can't find the path of this program")?;
    let beside = this.with_file_name("cairn-workload");
    anyhow::ensure!(
        beside.is_file(),
        "no {}; build it with: cargo build --release -p cairn-workload",
        beside.display()
    );
    Ok(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_libraries_are_read_and_refused() {
        let peer: Peer = "mine=/bin/sh".parse().unwrap();
        assert_eq!(peer.name, "mine");
        assert!(peer.library.unwrap().is_absolute());
        assert!("mine".parse::<Peer>().unwrap_err().contains("NAME=PATH"));
        assert!("=/bin/sh".parse::<Peer>().is_err());
        assert!("mine=/nothing/here.so".parse::<Peer>().unwrap_err().contains("/nothing/here.so"));
    }

    #[test]
    fn glibc_is_always_there_and_names_are_checked() {
        let found = find(None, &[], &[GLIBC.to_owned()]).unwrap();
        assert_eq!(found.peers, [Peer::glibc()]);
        assert!(find(None, &[], &["nosuch".to_owned()]).is_err());
        let twin = Peer::preloaded(GLIBC, "/bin/sh".into());
        assert!(find(None, &[twin], &[]).is_err());
        assert!(find(Some(Path::new("/nothing/here.so")), &[], &[]).is_err());
    }

    #[test]
    fn ours_are_told_by_their_name() {
        assert!(Peer::is_ours("cairn") && Peer::is_ours("cairn-lists"));
        assert!(!Peer::is_ours("mimalloc") && !Peer::is_ours(GLIBC));
    }
}
