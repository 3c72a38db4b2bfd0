//! What the tests of the command line share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The two ways in which a program is run: becoming it, and waiting for it.
pub const MODES: [&[&str]; 2] = [&["run"], &["run", "--stats-file", "/dev/null"]];

/// The command `cairn`, with nothing of Cairn in its environment.
pub fn cairn() -> Command {
    clean(env!("CARGO_BIN_EXE_cairn"))
}

/// A command with nothing of Cairn in its environment.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // Every name, not only the known ones: the library warns about those that it does not know.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CAIRN_") {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_PRELOAD");
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"))
}

/// What a command that must succeed prints.
pub fn stdout(command: &mut Command) -> String {
    let result = output(command);
    assert!(result.status.success(), "{command:?} ended with {}: {}", result.status, text(&result.stderr));
    text(&result.stdout)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory that is removed at the end of the test.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("cairn-test-").tempdir().expect("a temporary directory")
}

/// Writes a file that may be executed.
pub fn executable(path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    fs::write(path, content).expect("the file can be written");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("the file is ours");
    path.to_owned()
}

/// Compiles a C program into `directory`.
pub fn compile(directory: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let file = directory.join(format!("{name}.c"));
    fs::write(&file, source).expect("the source can be written");
    let program = directory.join(name);
    stdout(Command::new("cc").arg(&file).arg("-o").arg(&program).args(flags));
    program
}
