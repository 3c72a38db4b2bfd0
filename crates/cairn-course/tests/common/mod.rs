//! What the tests of the library share: the library itself, built with the profile of the running test, and C programs on it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tempfile::TempDir;

/// How a program gets the library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// With `libcairn_course.a`.
    Archive,
    /// The same, with the C library inside as well.
    Static,
    /// With `libcairn_course.so`.
    Shared,
}

/// All ways.
pub const LINKS: [Link; 3] = [Link::Archive, Link::Static, Link::Shared];

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies two below the workspace")
}

/// The directory of this crate.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The build directory of the running test, usually `target` in the workspace.
fn target_dir() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its own path");
    // <target>/<profile>/deps/<test>
    exe.ancestors().nth(3).expect("a test lies three below the build directory").to_path_buf()
}

/// Builds the library with the profile of this test, into a build directory of its own, and gives the directory it lies in.
pub fn library() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        if cfg!(debug_assertions) { build(&[], "debug") } else { build(&["--release"], "release") }
    })
}

/// The library as users have it, whatever the profile of this test.
pub fn released() -> PathBuf {
    build(&["--release"], "release")
}

/// Builds the library; a file lock keeps two tests apart.
fn build(arguments: &[&str], profile: &str) -> PathBuf {
    let target = target_dir().join("cairn-course");
    fs::create_dir_all(&target).expect("the build directory is writable");
    let lock = fs::File::create(target.join("test.lock")).expect("the build directory is writable");
    lock.lock().expect("the build directory can be locked");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        // What the outer cargo told this test about itself; the settings of the home, network and registries are the user's.
        let users = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];
        let of_cargo = told.starts_with("CARGO") && !users.iter().any(|user| told.starts_with(user));
        if of_cargo || ["RUSTFLAGS", "RUSTDOCFLAGS", "LD_PRELOAD", "LD_LIBRARY_PATH"].contains(&&*told) {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .current_dir(workspace())
        // As it is shipped: without `std`, which a debug build would have in it otherwise.
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .args(["build", "-p", "cairn-course", "--target-dir"])
        .arg(&target)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cargo can't be started: {error}"));
    assert!(built.status.success(), "the library does not build:\n{}", text(&built.stderr));
    let dir = target.join(profile);
    for name in ["libcairn_course.a", "libcairn_course.so"] {
        assert!(dir.join(name).is_file(), "cargo left no {name} in {}", dir.display());
    }
    dir
}

/// Whether there is a C compiler. If not, says so, or fails if `CAIRN_REQUIRE_PROGRAMS=1`.
pub fn has_cc() -> bool {
    let found =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join("cc").is_file());
    if !found {
        let required = env::var_os("CAIRN_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
        assert!(!required, "cc is not installed, and CAIRN_REQUIRE_PROGRAMS=1 allows no skip");
        // Past the capture of the test harness: a skip should be seen in a run that passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: cc is not installed (apt install gcc)");
    }
    found
}

/// A directory that is removed at the end of the test.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("cairn-course-").tempdir().expect("a temporary directory")
}

/// Compiles sources (relative to this crate) into a program in `dir`.
pub fn compile(dir: &TempDir, name: &str, sources: &[&str], flags: &[&str], link: Link) -> PathBuf {
    let program = dir.path().join(format!("{name}-{link:?}"));
    let mut cc = Command::new("cc");
    // No builtins, as a compiler that knows what an allocator does removes the very calls that are to be tested.
    cc.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread"]);
    // The tests commit what these warn of.
    cc.args(["-Wno-use-after-free", "-Wno-free-nonheap-object", "-Wno-unknown-warning-option"]);
    cc.arg("-I").arg(here().join("include")).arg("-o").arg(&program).args(flags);
    cc.args(sources.iter().map(|source| here().join(source)));
    match link {
        Link::Archive => cc.arg(library().join("libcairn_course.a")),
        Link::Static => cc.arg("-static").arg(library().join("libcairn_course.a")),
        Link::Shared => cc
            .arg("-L")
            .arg(library())
            .arg("-lcairn_course")
            .arg(format!("-Wl,-rpath,{}", library().display())),
    };
    let output = run(&mut cc);
    assert!(output.status.success(), "{cc:?}\n{}", text(&output.stderr));
    program
}

/// Ample: it tells a hang from a program on a slow machine.
const LIMIT: Duration = Duration::from_secs(480);

/// Runs a command to its end, which must come within [`LIMIT`].
pub fn run(command: &mut Command) -> Output {
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CAIRN_") && !command.get_envs().any(|(set, _)| set == name) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    let start = Instant::now();
    // All of them write less than a pipe holds, so nobody has to read meanwhile.
    while child.try_wait().expect("the child can be waited for").is_none() {
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("the child's words can be read")
}

/// Runs a command that must succeed, and gives what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let words = text(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{words}", output.status);
    text(&output.stdout)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
