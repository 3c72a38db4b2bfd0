//! Where a load is made ready: the scratch directory, the scale, and the search for programs.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::super::catalogue::{Kind, Load, Threads};

/// The scratch directory of a session and how large its loads are.
pub struct Place {
    scratch: PathBuf,
    scale: f64,
    /// Whether the repository of the loads of git is there.
    pub repository_made: Cell<bool>,
}

impl Place {
    /// A place in this directory.
    pub fn new(scratch: &Path, scale: f64) -> Place {
        Place { scratch: scratch.to_owned(), scale, repository_made: Cell::new(false) }
    }

    /// So much of `full` as the scale asks for, and at least `least`.
    pub fn count(&self, full: usize, least: usize) -> usize {
        ((full as f64 * self.scale).round() as usize).max(least)
    }

    /// A path in the scratch directory, where nothing needs to be yet.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Makes a directory in the scratch directory.
    pub fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file into the scratch directory and gives its path as a word for a command line.
    pub fn input(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("can't write the input {}", path.display()))?;
        Ok(word(&path))
    }

    /// Lets other users pass through the scratch directory, but not list it.
    pub fn let_others_through(&self) -> anyhow::Result<()> {
        std::fs::set_permissions(&self.scratch, std::fs::Permissions::from_mode(0o711))
            .with_context(|| format!("can't open {} to the server's user", self.scratch.display()))
    }
}

/// A path as a word of a command line.
pub fn word(path: &Path) -> String {
    path.display().to_string()
}

/// The first executable file with one of these names, in the order of the names and of `PATH`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| {
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
    })
}

/// Whether it is a file that may be executed.
pub fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What a program prints, without the white space around it, if it is there and ends well.
pub fn output_of(program: &Path, words: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(words).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// A load of one thread with these words; its name is given by the table of programs.
pub fn load(about: &str, words: &[&str]) -> Load {
    Load {
        name: String::new(),
        about: about.to_owned(),
        kind: Kind::Program,
        threads: Threads::One,
        settings: Vec::new(),
        words: words.iter().map(|&word| word.to_owned()).collect(),
    }
}
