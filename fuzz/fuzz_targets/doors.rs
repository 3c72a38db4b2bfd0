//! Bytes as a program of several threads on all doors of the heap, held against a shadow: the exported C functions (the very files
//! of cairn-malloc, compiled in without their C names, so that the fuzzer's own bookkeeping stays on the system's heap),
//! operator new and delete, and the Rust door. The program is explained in `shadow/play.rs`.
#![no_main]
#![allow(dead_code, non_snake_case)] // of the C door, what no program calls; names of C++

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/cairn-malloc/src/aligned.rs"]
mod aligned;
#[path = "../../crates/cairn-malloc/src/audit.rs"]
mod audit;
#[path = "../../crates/cairn-malloc/src/cxx.rs"]
mod cxx;
#[path = "../../crates/cairn-malloc/src/helper.rs"]
mod helper;
#[path = "../../crates/cairn-malloc/src/info.rs"]
mod info;
#[path = "../../crates/cairn-malloc/src/report.rs"]
mod report;
#[path = "../../crates/cairn-alloc/tests/shadow/mod.rs"]
mod shadow;
#[path = "../../crates/cairn-malloc/src/standard.rs"]
mod standard;
#[path = "../../crates/cairn-malloc/src/start.rs"]
mod start;
#[path = "../../crates/cairn-malloc/src/text.rs"]
mod text;

/// The exported functions.
// SAFETY (for each `unsafe` below): the contract of the function is that of the table's entry.
static EXPORTED: shadow::door::Door = shadow::door::Door {
    malloc: |size| standard::malloc(size),
    calloc: |count, size| standard::calloc(count, size),
    realloc: |block, size| unsafe { standard::realloc(block, size) },
    reallocarray: |block, count, size| unsafe { standard::reallocarray(block, count, size) },
    free: |block| unsafe { standard::free(block) },
    free_sized: |block, size| unsafe { standard::free_sized(block, size) },
    free_aligned_sized: |block, align, size| unsafe { standard::free_aligned_sized(block, align, size) },
    aligned_alloc: |align, size| aligned::aligned_alloc(align, size),
    posix_memalign: |out, align, size| unsafe { aligned::posix_memalign(out, align, size) },
    memalign: |align, size| aligned::memalign(align, size),
    valloc: |size| aligned::valloc(size),
    pvalloc: |size| aligned::pvalloc(size),
    usable_size: |block| unsafe { standard::malloc_usable_size(block) },
    trim: |keep| info::malloc_trim(keep),
    new: |size| cxx::_Znwm(size),
    new_nothrow: |size, tag| cxx::_ZnwmRKSt9nothrow_t(size, tag),
    new_aligned: |size, align| cxx::_ZnwmSt11align_val_t(size, align),
    new_aligned_nothrow: |size, align, tag| cxx::_ZnwmSt11align_val_tRKSt9nothrow_t(size, align, tag),
    delete: |block| unsafe { cxx::_ZdlPv(block) },
    delete_sized: |block, size| unsafe { cxx::_ZdlPvm(block, size) },
    delete_aligned: |block, align| unsafe { cxx::_ZdlPvSt11align_val_t(block, align) },
    delete_sized_aligned: |block, size, align| unsafe { cxx::_ZdlPvmSt11align_val_t(block, size, align) },
};

fuzz_target!(|bytes: &[u8]| shadow::play::play(bytes, &EXPORTED));
