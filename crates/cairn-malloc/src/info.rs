//! Questions and wishes: mallinfo, malloc_info, malloc_stats, malloc_trim, mallopt.
//!
//! glibc's vocabulary (arenas, fast bins, mmapped chunks) is not Cairn's. It is mapped so that what
//! programs compute from it stays true: `uordblks + hblkhd` is what the program holds, `arena == uordblks +
//! fordblks`, `keepcost` is what [`malloc_trim`] could give back.
//!
//! | field | here |
//! |---|---|
//! | arena | bytes of all slabs, and of free spans whose pages may be in memory |
//! | uordblks | bytes of small blocks that the program holds |
//! | fordblks | the rest of `arena` |
//! | hblks, hblkhd | number and bytes of large blocks that the program holds |
//! | smblks, fsmblks | number and bytes of free blocks in the bins of threads |
//! | ordblks | number of free blocks handed out before, wherever they are |
//! | keepcost | bytes of free spans whose pages may be in memory |
//! | usmblks | 0, as in glibc |

use crate::report;
use crate::text::{Sink, Text};
use cairn_alloc::engine;
use cairn_alloc::statistics::Statistics;
use cairn_core::os::KeepErrno;
use core::ffi::c_int;

/// The struct that `mallinfo` (fields of C's `int`) and `mallinfo2` (`size_t`) return.
#[repr(C)]
pub struct Mallinfo<T> {
    arena: T,
    ordblks: T,
    smblks: T,
    hblks: T,
    hblkhd: T,
    usmblks: T,
    fsmblks: T,
    uordblks: T,
    fordblks: T,
    keepcost: T,
}

impl Mallinfo<usize> {
    #[inline(never)]
    fn new(heap: &Statistics) -> Self {
        let sum = |of| report::sum(heap, of);
        let live = sum(|class| class.live_blocks * class.block_size);
        // The counts are taken one after the other while threads run, so the live blocks may seem to exceed
        // the slabs.
        let arena = (sum(|class| class.slab_bytes) + heap.free_dirty_bytes).max(live);
        Mallinfo {
            arena,
            ordblks: sum(|class| class.bin_blocks + class.stack_blocks + class.slab_free_blocks),
            smblks: sum(|class| class.bin_blocks),
            hblks: heap.large_blocks,
            hblkhd: heap.large_bytes,
            usmblks: 0,
            fsmblks: sum(|class| class.bin_blocks * class.block_size),
            uordblks: live,
            fordblks: arena - live,
            keepcost: heap.free_dirty_bytes,
        }
    }
}

/// What the heap holds, in glibc's terms.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn mallinfo2() -> Mallinfo<usize> {
    let mut heap = Statistics::default();
    engine::statistics_into(&mut heap);
    Mallinfo::new(&heap)
}

/// [`mallinfo2`] in `int`s: what doesn't fit becomes `INT_MAX`.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn mallinfo() -> Mallinfo<c_int> {
    let wide = mallinfo2();
    let narrow = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    Mallinfo {
        arena: narrow(wide.arena),
        ordblks: narrow(wide.ordblks),
        smblks: narrow(wide.smblks),
        hblks: narrow(wide.hblks),
        hblkhd: narrow(wide.hblkhd),
        usmblks: narrow(wide.usmblks),
        fsmblks: narrow(wide.fsmblks),
        uordblks: narrow(wide.uordblks),
        fordblks: narrow(wide.fordblks),
        keepcost: narrow(wide.keepcost),
    }
}

/// Prints what the heap holds to stderr.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn malloc_stats() {
    let _errno = KeepErrno::new();
    let mut heap = Statistics::default();
    engine::statistics_into(&mut heap);
    report::readable(&mut Text::to(Sink::Descriptor(libc::STDERR_FILENO)), &heap);
}

/// Writes what the heap holds to a stream, as XML with glibc's elements; EINVAL (as the result) for options
/// other than 0.
///
/// The one heap has number 0. `fast` are free blocks in the bins of threads, `rest` all other free memory,
/// `mmap` large blocks; `live` (Cairn's own) is all that the program holds. `system` is memory that may be
/// touched, `aspace` what is reserved; `max` is not kept and therefore not told.
///
/// # Safety
/// `stream` is an open stream of the C library.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub unsafe extern "C" fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    let mut heap = Statistics::default();
    engine::statistics_into(&mut heap);
    let text = &mut Text::to(Sink::Stream(stream));
    text.words("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    let mut smaller = 0;
    for class in &heap.classes {
        let free = class.bin_blocks + class.stack_blocks + class.slab_free_blocks;
        if free > 0 {
            text.words("  <size from=\"").number(smaller + 1).words("\" to=\"").number(class.block_size);
            text.words("\" total=\"").number(free * class.block_size);
            text.words("\" count=\"").number(free).words("\"/>\n");
        }
        smaller = class.block_size;
    }
    text.words("</sizes>\n");
    totals(text, &heap, false);
    text.words("</heap>\n");
    totals(text, &heap, true);
    text.words("</malloc>\n");
    0
}

/// The elements that glibc writes for each heap and, with the large blocks, once more for all.
#[inline(never)]
fn totals(text: &mut Text, heap: &Statistics, all: bool) {
    let info = Mallinfo::new(heap);
    total(text, "fast", info.smblks, info.fsmblks);
    total(text, "rest", info.ordblks - info.smblks, info.fordblks.saturating_sub(info.fsmblks));
    if all {
        let live_blocks = report::sum(heap, |class| class.live_blocks);
        total(text, "mmap", info.hblks, info.hblkhd);
        total(text, "live", info.hblks + live_blocks, heap.live_bytes());
    }
    text.words("<system type=\"current\" size=\"").number(heap.committed_bytes);
    text.words("\"/>\n<aspace type=\"total\" size=\"").number(heap.reserved_bytes);
    text.words("\"/>\n<aspace type=\"mprotect\" size=\"").number(heap.committed_bytes).words("\"/>\n");
}

#[inline(never)]
fn total(text: &mut Text, kind: &str, count: usize, size: usize) {
    text.words("<total type=\"").words(kind).words("\" count=\"").number(count);
    text.words("\" size=\"").number(size).words("\"/>\n");
}

/// Gives free pages back to the kernel at once, except for `keep` bytes; 1 if there were any, else 0.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    let _errno = KeepErrno::new();
    c_int::from(engine::trim(keep))
}

/// Takes glibc's wishes: 1 if the parameter is one of glibc's and the value one that glibc takes, else 0.
///
/// None changes anything. They tune mechanisms that Cairn doesn't have (arenas, a top chunk, a threshold
/// for mmap), and a program that sets them does so for speed or memory, never for correctness. Two are
/// refused, so that a program that looks at the result isn't deceived: filling of blocks (`M_PERTURB` other
/// than 0) and checks by `M_CHECK_ACTION`. Cairn's own settings are the `CAIRN_*` variables.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn mallopt(parameter: c_int, value: c_int) -> c_int {
    const M_MXFAST: c_int = 1;
    const M_GRAIN: c_int = 3;
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_MAX: c_int = -4;
    const M_PERTURB: c_int = -6;
    const M_ARENA_TEST: c_int = -7;
    const M_ARENA_MAX: c_int = -8;
    // glibc caches at most 80 words of its own size in fast bins and refuses more.
    const MXFAST_MAX: c_int = (80 * size_of::<usize>() / 4) as c_int;
    let taken = match parameter {
        M_MXFAST => (0..=MXFAST_MAX).contains(&value),
        2..=M_GRAIN => true,
        M_MMAP_MAX..=M_TRIM_THRESHOLD => true,
        M_PERTURB => value == 0,
        M_ARENA_TEST | M_ARENA_MAX => value > 0,
        _ => false,
    };
    c_int::from(taken)
}
