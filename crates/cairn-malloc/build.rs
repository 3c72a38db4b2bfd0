//! How `libcairn.so` is linked, and that the files beside it tell its version.

use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, fs};

/// What the linker is told, on top of rustc's own arguments (which make the global offset table read-only
/// after start: `-z relro -z now`; leaving that out would save two system calls at start, and make
/// overwriting a function's address easy).
const ARGUMENTS: [&str; 6] = [
    // The name that programs linked with -lcairn will ask for.
    "-Wl,-soname,libcairn.so",
    // One hash table, the one that the dynamic loader prefers.
    "-Wl,--hash-style=gnu",
    // GNU ld: code and constants in one mapping, which saves two system calls at start. lld: see ONE_MAPPING.
    "-Wl,-z,noseparate-code",
    // lld: each mapping begins a page, so that what the loader writes to at start is in one page that is read-only afterwards, and in
    // one that is not. GNU ld doesn't know the word, and lays these two out like that anyway.
    "-Wl,-z,separate-loadable-segments",
    // dlclose doesn't unload it: threads, fork handlers, and blocks that somebody still holds outlive any
    // handle.
    "-Wl,-z,nodelete",
    // Without the C compiler's own start and end of a shared object, which have nothing to do here, import four names, and write to
    // memory at exit. What is called is in .init_array and .fini_array; `__dso_handle` is in start.rs. (Nor is there the zero that ends
    // .eh_frame, which nobody needs who finds its table by .eh_frame_hdr.)
    "-nostartfiles",
];

/// For lld, what `noseparate-code` is for GNU ld, which refuses what it doesn't know (before 2.44).
const ONE_MAPPING: &str = "-Wl,--no-rosegment";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let link = |argument: &str| println!("cargo:rustc-cdylib-link-arg={argument}");
    ARGUMENTS.into_iter().for_each(link);
    if linker_takes(ONE_MAPPING) {
        link(ONE_MAPPING);
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    tells("include/cairn.h", &format!("#define CAIRN_VERSION \"{version}\"\n"));
    tells("include/cairn.pc", &format!("Version: {version}\n"));
}

/// Whether a shared object can be linked with an argument: asked of the linker that links the library, of which nobody tells which one it
/// is.
fn linker_takes(argument: &str) -> bool {
    /// As little as can be linked.
    const NOTHING: &[u8] =
        b"#![no_std] #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }";
    let of_cargo = |name| env::var(name).unwrap_or_default();
    let mut rustc = Command::new(of_cargo("RUSTC"));
    rustc.args(["-", "--crate-name=probe", "--crate-type=cdylib", "-Cpanic=abort"]);
    rustc.arg(format!("--target={}", of_cargo("TARGET"))).arg(format!("--out-dir={}", of_cargo("OUT_DIR")));
    rustc.args(of_cargo("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc
            .arg("-C")
            .arg([std::ffi::OsStr::new("linker="), &linker].into_iter().collect::<std::ffi::OsString>());
    }
    rustc.arg(format!("-Clink-arg={argument}"));
    let begun = rustc.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut probe) = begun else { return false };
    let told = probe.stdin.take().is_some_and(|mut source| source.write_all(NOTHING).is_ok());
    told && probe.wait().is_ok_and(|status| status.success())
}

/// Stops the build if a file that users install doesn't have this line.
fn tells(path: &str, line: &str) {
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(text.contains(line), "{path} tells another version: it should have the line {line:?}");
}
