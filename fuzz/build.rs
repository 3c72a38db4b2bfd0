//! The C functions are compiled in without their C names, or the fuzzer itself would allocate by them.

fn main() {
    println!("cargo::rustc-cfg=cairn_inside");
}
