//! The object under test: `libcairn.so` and `libcairn.a`, built as they are shipped.
//!
//! They are built by a nested `cargo build --release` into a directory of its own, once per test binary (a build
//! with nothing to do costs a tenth of a second), under a file lock so that two test runs don't meet.
//! `CAIRN_TEST_LIBRARY=/path/x.so` names another library instead, for comparisons with the peers.

use crate::{programs, scratch};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// Path of another shared object to test, if the environment names one.
pub fn stand_in() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("CAIRN_TEST_LIBRARY")?);
    assert!(path.is_file(), "CAIRN_TEST_LIBRARY={}: there is no such file", path.display());
    Some(path)
}

/// The shared object under test; built if need be.
pub fn shared_object() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| stand_in().unwrap_or_else(|| built().join("libcairn.so")))
}

/// The static library under test, or `None` (a skip) if another shared object takes Cairn's place.
pub fn static_library() -> Option<PathBuf> {
    if stand_in().is_some() {
        programs::skip("CAIRN_TEST_LIBRARY names a shared object, and this test is about libcairn.a");
        return None;
    }
    Some(built().join("libcairn.a"))
}

/// Takes the settings of the tests out of a command's environment: a program on the library must see none that the
/// library doesn't know, or it is warned of.
pub fn hide_test_settings(command: &mut Command) -> &mut Command {
    let of_tests = [
        "TEST_LIBRARY",
        "TEST_FULL",
        "REQUIRE_PROGRAMS",
        "STRAITS_RUNS",
        "STRAITS_PLAN",
        "STRAITS_MODE",
        "STRAITS_SEED",
        "STRAITS_START",
    ];
    of_tests.iter().fold(command, |command, name| command.env_remove(format!("CAIRN_{name}")))
}

/// A cargo for a nested call: what the outer cargo told this test about itself is taken out of its environment.
pub fn nested_cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(scratch::workspace());
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        // CARGO_HOME and the settings of the network and registries are the user's, not the outer cargo's.
        let users = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];
        let of_cargo = told.starts_with("CARGO") && !users.iter().any(|user| told.starts_with(user));
        if of_cargo || ["RUSTFLAGS", "RUSTDOCFLAGS", "LD_PRELOAD", "LD_LIBRARY_PATH"].contains(&&*told) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Where nested builds put what they make.
pub fn nested_target() -> PathBuf {
    scratch::target_dir().join("cairn-so")
}

/// Builds both libraries and returns the directory they lie in.
fn built() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let target = nested_target();
        fs::create_dir_all(&target).expect("the build directory is writable");
        let lock =
            fs::File::create(target.join("cairn-tests.lock")).expect("the build directory is writable");
        lock.lock().expect("the build directory can be locked");
        let build = nested_cargo()
            .args(["build", "--release", "-p", "cairn-malloc", "--target-dir"])
            .arg(&target)
            .output()
            .unwrap_or_else(|e| panic!("cannot start cargo to build libcairn.so: {e}"));
        let words = String::from_utf8_lossy(&build.stderr);
        assert!(build.status.success(), "libcairn.so does not build:\n{words}");
        let dir = target.join("release");
        for name in ["libcairn.so", "libcairn.a"] {
            assert!(
                dir.join(name).is_file(),
                "cargo built cairn-malloc, but left no {name} in {}",
                dir.display()
            );
        }
        dir
    })
}
