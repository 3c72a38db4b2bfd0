//! What can't work is refused with one clear sentence and a fitting exit status.

mod common;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use common::{MODES, cairn, compile, executable, output, scratch, text};

const EMPTY_MAIN: &str = "int main(void) { return 0; }\n";

/// Asserts that a command says one sentence with all of `words` in it, nothing else, and ends with `status`.
fn says(command: &mut Command, status: i32, words: &[&str]) {
    let result = output(command);
    let said = text(&result.stderr);
    assert_eq!(result.status.code(), Some(status), "{command:?} said {said}");
    assert_eq!(text(&result.stdout), "", "{command:?}");
    assert!(said.starts_with("cairn: ") && said.lines().count() == 1, "{command:?} said {said}");
    for word in words {
        assert!(said.contains(word), "{command:?} said {said}, without {word}");
    }
}

/// Asserts that a program is refused in both modes.
fn refuses(program: impl AsRef<OsStr>, status: i32, words: &[&str]) {
    for mode in MODES {
        says(cairn().args(mode).arg(program.as_ref()), status, words);
    }
}

#[test]
fn no_program() {
    for mode in MODES {
        says(cairn().args(mode), 2, &["no program", "cairn run python3"]);
        says(cairn().args(mode).arg("--"), 2, &["no program"]);
    }
}

#[test]
fn a_wrong_command_line() {
    for line in [&["run", "--bogus", "true"][..], &["walk"], &[], &["settings", "now"]] {
        let result = output(cairn().args(line));
        assert_eq!(result.status.code(), Some(2), "{line:?}");
        assert!(text(&result.stdout).is_empty() && !result.stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn a_program_that_does_not_exist() {
    refuses("no-such-program-here", 127, &["no-such-program-here", "PATH"]);
    refuses("/no/such/program", 127, &["/no/such/program doesn't exist"]);
    refuses("/etc/passwd/program", 127, &["doesn't exist"]);
    refuses("", 127, &["empty"]);
}

#[test]
fn a_directory_and_a_file_that_is_no_program() {
    let directory = scratch();
    refuses(directory.path(), 126, &["is a directory"]);
    let file = directory.path().join("data");
    fs::write(&file, "data").expect("a file");
    refuses(&file, 126, &["may not be executed", "chmod +x"]);
    says(cairn().env("PATH", directory.path()).args(["run", "data"]), 126, &["data may not be executed"]);
    refuses("/dev/null", 126, &["not a regular file"]);
}

#[test]
fn static_programs() {
    let directory = scratch();
    let program = compile(directory.path(), "static", EMPTY_MAIN, &["-static"]);
    refuses(program, 126, &["is a static program", "preloaded"]);
    let program = compile(directory.path(), "static-pie", EMPTY_MAIN, &["-static-pie"]);
    refuses(program, 126, &["is a static-pie program", "preloaded"]);
}

/// The first bytes of an ELF program for another machine.
fn foreign(machine: u16, wide: bool, little: bool) -> Vec<u8> {
    let two = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if little { 1 } else { 2 }, 1];
    bytes.resize(16, 0);
    bytes.extend(two(2));
    bytes.extend(two(machine));
    bytes.extend(if little { 1_u32.to_le_bytes() } else { 1_u32.to_be_bytes() });
    bytes.resize(64, 0);
    bytes
}

#[test]
fn programs_of_another_machine() {
    let directory = scratch();
    let other =
        if cfg!(target_arch = "x86_64") { (183, "aarch64 (64-bit)") } else { (62, "x86-64 (64-bit)") };
    for (machine, wide, little, name) in [
        (other.0, true, true, other.1),
        (3, false, true, "x86 (32-bit)"),
        // The same processor with short addresses (x32).
        (62, false, true, "x86-64 (32-bit)"),
        (40, false, true, "Arm (32-bit)"),
        (22, true, false, "s390 (64-bit, big-endian)"),
        (0x7777, true, true, "machine number 30583 (64-bit)"),
    ] {
        let program = executable(&directory.path().join("foreign"), foreign(machine, wide, little));
        refuses(program, 126, &["is built for", name]);
    }
}

#[test]
fn damaged_programs_and_object_files() {
    let directory = scratch();
    refuses(executable(&directory.path().join("short"), b"\x7fELF"), 126, &["is damaged"]);
    let program = compile(directory.path(), "whole", EMPTY_MAIN, &[]);
    let content = fs::read(&program).expect("the program");
    refuses(executable(&directory.path().join("cut"), &content[..100]), 126, &["is damaged"]);
    let object = compile(directory.path(), "object", EMPTY_MAIN, &["-c"]);
    fs::set_permissions(&object, Permissions::from_mode(0o755)).expect("the file is ours");
    refuses(object, 126, &["object file"]);
}

#[test]
fn programs_with_another_loader() {
    let directory = scratch();
    for (loader, status, words) in [
        ("/lib/ld-musl-x86_64.so.1", 126, ["musl", "needs glibc"]),
        ("/lib/ld-uClibc.so.0", 126, ["uClibc", "needs glibc"]),
        ("/system/bin/linker64", 126, ["bionic", "needs glibc"]),
        ("/no/such/ld.so", 127, ["needs the loader /no/such/ld.so", "doesn't exist"]),
    ] {
        let flag = format!("-Wl,--dynamic-linker={loader}");
        let program = compile(directory.path(), "other", EMPTY_MAIN, &[&flag]);
        refuses(program, status, &words);
    }
}

#[test]
fn scripts_whose_interpreter_will_not_do() {
    let directory = scratch();
    let file = |name: &str| directory.path().join(name);
    refuses(
        executable(&file("missing"), "#!/no/such/interpreter -x\n"),
        127,
        &["missing can't be run", "/no/such/interpreter doesn't exist"],
    );
    refuses(executable(&file("directory"), "#!/tmp\n"), 126, &["/tmp is a directory"]);
    let name = "#!/usr/bin/env no-such-program-here\n";
    refuses(executable(&file("env"), name), 127, &["through env", "no-such-program-here"]);
    let program = compile(directory.path(), "static", EMPTY_MAIN, &["-static"]);
    let line = format!("#!{}\n", program.display());
    refuses(
        executable(&file("static-script"), line),
        126,
        &["static-script can't be run", "is a static program"],
    );
    let line = format!("#!{}\n", file("endless").display());
    refuses(executable(&file("endless"), line), 126, &["too many interpreters"]);
}

/// A program that gains rights when we run it; none if this machine has none and we can't make one.
fn setuid_program(directory: &Path) -> Option<std::path::PathBuf> {
    let ours = nix::unistd::geteuid().as_raw();
    if ours == 0 {
        let program = compile(directory, "setuid", EMPTY_MAIN, &[]);
        std::os::unix::fs::chown(&program, Some(65_534), None).ok()?;
        fs::set_permissions(&program, Permissions::from_mode(0o4755)).ok()?;
        return Some(program);
    }
    let known =
        ["/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/sudo"].map(std::path::PathBuf::from);
    known.into_iter().find(|path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o4000 != 0))
}

#[test]
fn setuid_programs() {
    let directory = scratch();
    match setuid_program(directory.path()) {
        Some(program) => refuses(program, 126, &["is setuid", "ignores LD_PRELOAD"]),
        None => eprintln!("skipped: no setuid program on this machine"),
    }
}

#[test]
fn a_statistics_file_that_cannot_be_written() {
    let mut command = cairn();
    command.args(["run", "--stats-file", "/no/such/directory/file", "echo", "must not run"]);
    says(&mut command, 2, &["--stats-file /no/such/directory/file can't be written"]);
}

#[test]
fn a_library_that_will_not_do() {
    let directory = scratch();
    let plain = directory.path().join("plain");
    fs::write(&plain, "text").expect("a file");
    for (path, words) in [
        (Path::new("/no/such/libcairn.so"), "No such file"),
        (directory.path(), "directory"),
        (&plain, "not a shared library for this machine"),
    ] {
        says(cairn().args(["run", "--library"]).arg(path).arg("true"), 2, &["--library names", words]);
        says(cairn().env("CAIRN_LIBRARY", path).args(["run", "true"]), 2, &["CAIRN_LIBRARY names", words]);
        says(cairn().env("CAIRN_LIBRARY", path).arg("library"), 2, &["CAIRN_LIBRARY names", words]);
    }
}

#[test]
fn what_the_kernel_refuses() {
    let directory = scratch();
    let program = compile(directory.path(), "busy", EMPTY_MAIN, &[]);
    let _writer = fs::OpenOptions::new().append(true).open(&program).expect("the file is ours");
    refuses(&program, 126, &["busy can't be run", "Text file busy"]);
}
