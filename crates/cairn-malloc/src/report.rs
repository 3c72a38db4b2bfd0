//! The reports on the heap: the readable one (`malloc_stats`, `CAIRN_STATS=1`) and the machine's
//! (`CAIRN_STATS=<path>`), and the end of the process, when `CAIRN_STATS` asks for one of them.
//!
//! The machine's report is made of lines `key value`, and one line for each size class that has slabs:
//! ```text
//!   class <block_size> <live_blocks> <bin_blocks> <stack_blocks> <slab_free_blocks> <uncarved_blocks> <slab_bytes>
//! ```
//! The last line is `end`; without it the report is not whole. `cairn run --stats` reads it.
//!
//! A program that ends by `_exit` or by a signal writes no report.
//!
//! A build that counts (`--cfg cairn_count`, see [`cairn_core::count`]) ends with one more line on stderr, for `cairn bench
//! atomics`.

use crate::audit;
use crate::text::{Sink, Text};
use cairn_alloc::audit::count as audits;
use cairn_alloc::engine;
use cairn_alloc::statistics::{ClassStatistics, Statistics};
use cairn_core::fault::Line;
use cairn_core::os::{self, page_size};
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::Relaxed};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether the end of the process has nothing to look at, as of most. (True, so that it lies where the loader wrote already, in
/// front of the bins of `NOBODY`: a process that does nothing then touches no page for this.)
static IDLE: AtomicBool = AtomicBool::new(true);
/// Where the readable report goes at exit, or -1.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
/// The file that the machine's report goes to at exit (a copy: programs overwrite their environment), or
/// null.
static PATH: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// The one whose child reports, or 0 if every process does.
static PARENT: AtomicI32 = AtomicI32::new(0);

/// Takes `CAIRN_STATS` and `CAIRN_STATS_PARENT` (0: none); called once, at start.
pub fn at_exit(wish: &[u8], parent: c_int) {
    if wish.is_empty() || wish == b"0" || !is_child_of(parent) {
        return;
    }
    PARENT.store(parent, Relaxed);
    if wish != b"1" {
        PATH.store(absolute(wish), Relaxed);
        return;
    }
    DESCRIPTOR.store(copy_of_stderr(), Relaxed);
}

/// A copy, because well-behaved programs close stderr in an exit handler; above the numbers that shells use. -1 if there is no stderr:
/// the next file that the program opens will have its number, and no report shall be written into that.
pub fn copy_of_stderr() -> c_int {
    match os::duplicate(libc::STDERR_FILENO, 100) {
        Ok(copy) => copy,
        Err(libc::EBADF) => -1,
        Err(_) => libc::STDERR_FILENO,
    }
}

/// Whether that process started this one, or it doesn't matter who did (0). A forked child has another parent than the process that was
/// asked.
fn is_child_of(parent: c_int) -> bool {
    parent == 0 || usize::try_from(parent) == Ok(os::parent_number())
}

/// A copy of the path that stays valid when the working directory changes; null, after a warning, if that
/// can't be.
fn absolute(path: &[u8]) -> *mut c_char {
    const ROOM: usize = 2 * libc::PATH_MAX as usize;
    let Some(memory) = os::map_zeroed(ROOM) else { return ptr::null_mut() };
    // SAFETY: a fresh mapping of that length, owned by nobody else, that reads as zero.
    let copy = unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), ROOM) };
    let mut len = 0;
    if path[0] != b'/' {
        len = os::working_directory(&mut copy[..libc::PATH_MAX as usize]).map_or(0, <[u8]>::len);
        if len == 0 {
            copy[0] = b'.';
            len = 1;
        }
        copy[len] = b'/';
        len += 1;
    }
    if len + path.len() >= ROOM {
        Line::new().text("CAIRN_STATS: the path is too long, there will be no report").print();
        return ptr::null_mut();
    }
    copy[len..len + path.len()].copy_from_slice(path);
    copy[len + path.len()] = 0;
    copy.as_mut_ptr().cast()
}

/// There were settings, so there may be something to do at the end.
pub fn look_at_end() {
    IDLE.store(false, Relaxed);
}

/// The end of the process (or `dlclose`): after the handlers of `atexit`.
#[unsafe(link_section = ".text.unlikely.cairn_start")] // see start.rs
extern "C" fn end() {
    #[cfg(cairn_count)]
    counts(&mut Text::to(Sink::Descriptor(COUNTS_TO.load(Relaxed))));
    if !IDLE.load(Relaxed) {
        report();
    }
}

#[cold]
#[inline(never)]
fn report() {
    audit::end();
    let descriptor = DESCRIPTOR.load(Relaxed);
    let path = PATH.load(Relaxed);
    if descriptor < 0 && path.is_null() {
        return;
    }
    if !is_child_of(PARENT.load(Relaxed)) {
        return;
    }
    let mut heap = Statistics::default();
    engine::statistics_into(&mut heap);
    if path.is_null() {
        readable(&mut Text::to(Sink::Descriptor(descriptor)), &heap);
        return;
    }
    // SAFETY: `path` is a C string that `absolute` made.
    let Some(file) = os::create(unsafe { CStr::from_ptr(path) }) else {
        Line::new().text("CAIRN_STATS: the file for the report can't be written").print();
        return;
    };
    machine(&mut Text::to(Sink::Descriptor(file)), &heap);
    // SAFETY: opened above, and nobody else knows it.
    unsafe { os::close(file) };
}

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;

/// The sum of a figure over all classes.
#[inline(never)]
pub fn sum(heap: &Statistics, of: fn(&ClassStatistics) -> usize) -> usize {
    heap.classes.iter().map(of).sum()
}

/// Writes the report for people.
#[cold]
#[inline(never)]
pub fn readable(text: &mut Text, heap: &Statistics) {
    let process = os::process_number();
    let live_blocks = heap.large_blocks + sum(heap, |class| class.live_blocks);
    text.words("cairn ").words(VERSION).words(" in process ").number(process).words(", bytes\n");
    text.words("  the program holds     ").column(heap.live_bytes(), 14);
    text.words("  in ")
        .number(live_blocks)
        .words(" blocks, ")
        .number(heap.large_blocks)
        .words(" of them large (");
    text.number(heap.large_bytes).words(" bytes)\n");
    text.words("  free in thread bins   ").column(sum(heap, |c| c.bin_blocks * c.block_size), 14);
    text.words("  of ").number(heap.threads).words(" threads\n");
    row(text, "  free between threads  ", sum(heap, |c| c.stack_blocks * c.block_size));
    row(text, "  free in slabs         ", sum(heap, |c| c.slab_free_blocks * c.block_size));
    row(text, "  slabs never used yet  ", sum(heap, |c| c.uncarved_blocks * c.block_size));
    row(text, "  free, maybe resident  ", heap.free_dirty_bytes);
    row(text, "  free, not resident    ", heap.free_clean_bytes);
    row(text, "  Cairn's own records   ", heap.metadata_bytes);
    row(text, "  committed             ", heap.committed_bytes);
    row(text, "  reserved addresses    ", heap.reserved_bytes);
    row(text, "  given back so far     ", heap.purged_bytes);
    if audits() > 0 {
        row(text, "  found whole by audits ", audits());
    }
    text.words("  block size         live      in bins    in stacks     in slabs     unused   slab bytes\n");
    for class in heap.classes.iter().filter(|class| class.slab_bytes > 0) {
        text.column(class.block_size, 12).column(class.live_blocks, 13).column(class.bin_blocks, 13);
        text.column(class.stack_blocks, 13).column(class.slab_free_blocks, 13);
        text.column(class.uncarved_blocks, 11).column(class.slab_bytes, 13).words("\n");
    }
}

#[inline(never)]
fn row(text: &mut Text, what: &str, bytes: usize) {
    text.words(what).column(bytes, 14).words("\n");
}

/// Writes the report for programs.
#[cold]
#[inline(never)]
fn machine(text: &mut Text, heap: &Statistics) {
    text.words("version ").words(VERSION).words("\n");
    text.line("pid", os::process_number());
    text.line("page_size", page_size());
    text.line("reserved_bytes", heap.reserved_bytes);
    text.line("committed_bytes", heap.committed_bytes);
    text.line("metadata_bytes", heap.metadata_bytes);
    text.line("large_blocks", heap.large_blocks);
    text.line("large_bytes", heap.large_bytes);
    text.line("free_dirty_bytes", heap.free_dirty_bytes);
    text.line("free_clean_bytes", heap.free_clean_bytes);
    text.line("purged_bytes", heap.purged_bytes);
    text.line("threads", heap.threads);
    text.line("audits", audits());
    for class in heap.classes.iter().filter(|class| class.slab_bytes > 0) {
        text.words("class ").number(class.block_size);
        for count in [
            class.live_blocks,
            class.bin_blocks,
            class.stack_blocks,
            class.slab_free_blocks,
            class.uncarved_blocks,
            class.slab_bytes,
        ] {
            text.words(" ").number(count);
        }
        text.words("\n");
    }
    text.words("end\n");
}

/// Where the counts go at exit.
#[cfg(cairn_count)]
static COUNTS_TO: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);

/// The process begins; its counts will be written at exit.
#[cfg(cairn_count)]
pub fn counts_at_exit() {
    COUNTS_TO.store(copy_of_stderr(), Relaxed);
}

/// Writes what was counted, as one line of JSON: of each place the indivisible operations, those on its hottest line, entries
/// into locks, those that waited, nanoseconds inside; of each system call how often; and what a reading of the clock takes.
#[cfg(cairn_count)]
fn counts(text: &mut Text) {
    use cairn_core::count::{self, Call, Place};
    text.words("{\"cairn_count\":{\"places\":{");
    for place in Place::ALL {
        let counts = count::of(place);
        let between = if place == Place::ALL[0] { "\"" } else { ",\"" };
        text.words(between).words(place.name()).words("\":[").number(counts.atomics);
        for number in [counts.hottest, counts.entered, counts.waited, counts.held_ns] {
            text.words(",").number(number);
        }
        text.words("]");
    }
    text.words("},\"calls\":{");
    for call in Call::ALL {
        let between = if call == Call::ALL[0] { "\"" } else { ",\"" };
        text.words(between).words(call.name()).words("\":").number(count::of_call(call));
    }
    text.words("},\"clock_ns\":").number(count::clock_ns()).words("}}\n");
}
