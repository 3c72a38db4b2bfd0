//! Claim: every rule's program passes on the preloaded library.

use cairn_tests::{compile, cprogram};

/// One test for each program, and one that finds programs without a test.
macro_rules! rules {
    ($($folder:ident / $name:ident . $extension:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let _ = cprogram::passes(concat!(stringify!($folder), "/", stringify!($name), ".", stringify!($extension)), &[]);
        })*

        /// The programs that are tested here.
        pub const RULES: &[&str] = &[$(concat!(stringify!($folder), "/", stringify!($name), ".", stringify!($extension))),*];
    };
}

rules! {
    abi/alignment.c,
    abi/zero_size.c,
    abi/too_large.c,
    abi/errno_kept.c,
    abi/aligned_doors.c,
    abi/every_alignment.c,
    abi/realloc_chain.c,
    abi/reallocarray.c,
    abi/usable_size.c,
    abi/calloc_zero.c,
    abi/no_overlap.c,
    abi/mallinfo.c,
    abi/odd_doors.c,
    abi/trim.c,
    cxx/forms.cpp,
    cxx/throwing.cpp,
}

#[test]
fn no_program_is_forgotten() {
    // Run by `reports.rs` and `faults.rs`, which read what they print.
    let elsewhere = [
        "abi/malloc_info.c",
        "abi/bad_free.c",
        "abi/cancelled_reports.c",
        "abi/no_stderr.c",
        "abi/null_read.c",
    ];
    for folder in ["abi", "cxx"] {
        for entry in
            std::fs::read_dir(compile::sources().join(folder)).expect("the sources are there").flatten()
        {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let tested = RULES.contains(&name.as_str()) || elsewhere.contains(&name.as_str());
            assert!(tested, "c/{name} is run by no test");
        }
    }
}
