//! Which programs this machine has, and what happens when one is missing.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{env, fs};

/// The Debian package of each program that the tests look for.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("c++", "g++"),
    ("cc", "gcc"),
    ("cargo", "cargo, or https://rustup.rs"),
    ("g++", "g++"),
    ("gcc", "gcc"),
    ("git", "git"),
    ("node", "nodejs"),
    ("perl", "perl"),
    ("python3", "python3"),
    ("redis-benchmark", "redis-tools"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
    ("sqlite3", "sqlite3"),
];

/// Finds a program, or says on stderr that the test is skipped for lack of it; the test then returns.
///
/// # Panics
/// If it is missing and `CAIRN_REQUIRE_PROGRAMS=1`.
pub fn need(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        let package =
            PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
        skip(&format!("{program} is not installed (apt install {package})"));
    }
    found
}

/// Says that a test is skipped and why.
///
/// # Panics
/// If `CAIRN_REQUIRE_PROGRAMS=1`: where everything should be there, a skip is a failure.
pub fn skip(reason: &str) {
    let required = env::var_os("CAIRN_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
    assert!(!required, "{reason}, and CAIRN_REQUIRE_PROGRAMS=1 allows no skip");
    // Written past the capture of the test harness: a skip should be seen in a run that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// The first executable file of this name in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}
