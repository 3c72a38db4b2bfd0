//! Compiles the C and C++ sources under `c/` with the machine's compilers, each at most once per test binary.

use crate::{command, programs, scratch};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// Where the sources are.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// Compiles `c/<source>` into a program, with further arguments for the compiler.
///
/// `None` if there is no compiler for it (said on stderr).
///
/// `-fno-builtin` because a compiler that knows `malloc` removes the very calls that are to be tested.
pub fn program(source: &str, extra: &[&str]) -> Option<PathBuf> {
    compile(&sources().join(source), "", extra)
}

/// Compiles `c/<source>` into a shared object.
pub fn shared(source: &str, extra: &[&str]) -> Option<PathBuf> {
    let flags: Vec<&str> = ["-shared", "-fPIC"].iter().chain(extra).copied().collect();
    compile(&sources().join(source), ".so", &flags)
}

/// Compiles one source file; the result is kept for the next caller that asks for the same.
pub fn compile(source: &Path, suffix: &str, extra: &[&str]) -> Option<PathBuf> {
    static MADE: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let cxx = source.extension().is_some_and(|extension| extension == "cpp");
    let compiler = programs::need(if cxx { "c++" } else { "cc" })?;
    let key = format!("{} {suffix} {extra:?}", source.display());
    // A test that failed to compile poisons the lock; the map is whole all the same.
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let made = made.get_or_insert_default();
    if let Some(path) = made.get(&key) {
        return Some(path.clone());
    }
    let stem = source.file_stem().expect("a source has a name").to_string_lossy();
    let exe = std::env::current_exe().expect("a test knows its own path");
    let dir = scratch::target_dir().join("cairn-c").join(exe.file_name().expect("a program has a name"));
    std::fs::create_dir_all(&dir).expect("the build directory is writable");
    let output = dir.join(format!("{stem}-{}{suffix}", made.len()));
    let unfinished = dir.join(format!("unfinished-{}", std::process::id()));
    let mut cc = Command::new(compiler);
    cc.args(["-O1", "-g", "-Wall", "-Wextra", "-fno-builtin", "-pthread"]);
    // The tests use what is deprecated, and use blocks after a realloc that must have failed.
    cc.args(["-Wno-deprecated-declarations", "-Wno-use-after-free"]);
    // Modern dialects only: designated initialisers in C++, static assertions in C.
    cc.arg(if cxx { "-std=gnu++17" } else { "-std=gnu11" });
    cc.arg("-I").arg(sources()).arg("-o").arg(&unfinished).arg(source).args(extra);
    command::run(&mut cc, Duration::from_secs(120)).expect_success();
    // A rename, so that another test run that uses the program meanwhile keeps the file it has.
    std::fs::rename(&unfinished, &output).expect("a file can be renamed in its directory");
    made.insert(key, output.clone());
    Some(output)
}
