//! How `libcairn_course.so` is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The name that programs linked with -lcairn_course will ask for.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcairn_course.so");
}
