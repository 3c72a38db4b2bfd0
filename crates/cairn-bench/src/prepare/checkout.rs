//! Where the sources are: the peers and the measured programs are built from a checkout of the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The checkout that holds the current folder or, if none does, the one that this program was built from.
///
/// # Errors
/// If there is neither, a sentence that tells where was searched.
pub fn find() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("can't tell which folder is the current one")?;
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    match above(&here).or_else(|| above(built_from)) {
        Some(checkout) => Ok(checkout),
        None => bail!(
            "the peers are built from Cairn's sources, and there is no checkout of them (a folder with Cargo.toml and peers/) at \
             or above {} or {}; change into one",
            here.display(),
            built_from.display()
        ),
    }
}

/// The nearest folder at or above `start` that is a checkout.
fn above(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| is_checkout(folder)).map(Path::to_path_buf)
}

fn is_checkout(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("peers/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_checkout_is_found_from_within() {
        let scratch = tempfile::tempdir().unwrap();
        let checkout = scratch.path().join("cairn");
        fs::create_dir_all(checkout.join("peers/jemalloc")).unwrap();
        fs::create_dir_all(checkout.join("crates/one")).unwrap();
        fs::write(checkout.join("peers/Cargo.toml"), "").unwrap();
        assert_eq!(above(&checkout), None, "peers alone is no checkout");
        fs::write(checkout.join("Cargo.toml"), "").unwrap();
        for folder in ["", "crates/one", "peers", "peers/jemalloc"] {
            assert_eq!(above(&checkout.join(folder)).unwrap(), checkout, "from {folder:?}");
        }
        assert_eq!(above(scratch.path()), None);
    }

    #[test]
    fn this_program_knows_its_own() {
        assert!(is_checkout(&above(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()));
    }
}
