//! Where tests write: a fresh directory each, removed when the test is over, kept when it failed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{fs, process};

/// The build directory of the running test, usually `target` in the workspace.
///
/// A test binary lies in `<target>/<profile>/deps/`, a program in `<target>/<profile>/`.
pub fn target_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let exe = std::env::current_exe().expect("a test knows its own path");
        let mut dir = exe.parent().expect("a test lies in a directory");
        if dir.ends_with("deps") {
            dir = dir.parent().expect("deps lies in a profile's directory");
        }
        dir.parent().expect("a profile's directory lies in the build directory").to_path_buf()
    })
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies two below the workspace")
}

/// A directory that no other test uses.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty directory whose name tells what it is for.
    pub fn new(purpose: &str) -> Self {
        static COUNTER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{purpose}-{}-{}", process::id(), COUNTER.fetch_add(1, Relaxed));
        let path = target_dir().join("cairn-scratch").join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        Scratch { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it, with the directories on the way.
    pub fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("scratch is writable");
        fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            // A leftover directory harms nobody, so a failure to remove it is not one of the test.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
