//! How `libcairn.so` is linked. What each argument is good for stands beside it; the figures are in
//! `docs/decisions/`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arguments = [
        // The name that programs linked with -lcairn will ask for.
        "-Wl,-soname,libcairn.so",
        // The dynamic loader's own work is part of what Cairn costs a short process: one hash table, not two.
        "-Wl,--hash-style=gnu",
        // Code and constants in one mapping: two mappings for the file instead of four.
        "-Wl,-z,noseparate-code",
    ];
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
