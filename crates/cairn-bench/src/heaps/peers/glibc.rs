//! glibc: `malloc`, `free` and `realloc` in a process of their own.
//!
//! glibc's heap can't be put into a room of ours, and this program uses it too. So each round starts this executable anew with
//! a file of steps; before anything but the runtime's few start-up blocks is allocated, [`serve_if_asked`] takes over. It
//! forbids mmap for single blocks (`M_MMAP_MAX` 0) and the return of memory (`M_TRIM_THRESHOLD`), and asks for no more than is needed
//! (`M_TOP_PAD` 0). The heap begins where the free top chunk began: `sbrk(0)` less `mallinfo2().keepcost`. To be timed, the
//! heap is first grown by one large block, which is written and freed, so that no page fault is timed.

use std::alloc::Layout;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::heaps::arena::{Arena, Room, map_file};
use crate::heaps::measure::repeats;
use crate::heaps::replay::{Stop, Timed, place, time};
use crate::heaps::script::{FREE, Script, Step, steps_of};
use crate::heaps::subject::{Growth, Subject};

/// The word that makes the executable a process for glibc.
const WORD: &str = "heaps-glibc";

/// glibc's heap of this process.
pub struct Glibc;

impl Subject for Glibc {
    const GROWS: bool = true;
    // A few small blocks fit into what the start-up of the process has freed, below the room.
    const OWN_MEMORY: bool = true;

    unsafe fn start(_: Room, _: Growth) -> Option<Box<Self>> {
        Some(Box::new(Glibc))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        debug_assert!(layout.align() <= 16);
        // SAFETY: any size may be asked for.
        unsafe { libc::malloc(layout.size()).cast() }
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block, which `malloc` gave.
        unsafe { libc::free(block.cast()) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, _: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block, which `malloc` gave.
        unsafe { libc::realloc(block.cast(), size).cast() }
    }
}

/// What the process is told on its command line, after [`WORD`] and the file.
struct Order {
    align: usize,
    slots: usize,
    /// Bytes to write before timing; 0: don't time, place.
    touch: usize,
    limit_ms: usize,
}

/// The greatest extent, in a process of its own.
///
/// # Errors
/// If the process can't be run; the inner one, if the replay stopped.
pub fn place_there(
    script: &Script,
    file: &Path,
    align: usize,
    limit: Duration,
) -> anyhow::Result<Result<usize, Stop>> {
    let words = ask(script, file, align, 0, limit)?;
    match words.as_slice() {
        ["extent", bytes] => Ok(Ok(bytes.parse()?)),
        ["exhausted"] => Ok(Err(Stop::Exhausted)),
        ["slow"] => Ok(Err(Stop::TooSlow)),
        _ => bail!("the process for glibc answered {words:?}"),
    }
}

/// The time of a step, in a process of its own.
///
/// # Errors
/// If the process can't be run.
pub fn time_there(
    script: &Script,
    file: &Path,
    align: usize,
    touch: usize,
    limit: Duration,
) -> anyhow::Result<Option<Timed>> {
    let words = ask(script, file, align, touch.max(1), limit)?;
    match words.as_slice() {
        ["time", ns, cut] => Ok(Some(Timed { ns: ns.parse()?, cut: cut.parse()? })),
        ["exhausted"] => Ok(None),
        _ => bail!("the process for glibc answered {words:?}"),
    }
}

fn ask(
    script: &Script,
    file: &Path,
    align: usize,
    touch: usize,
    limit: Duration,
) -> anyhow::Result<Vec<&'static str>> {
    let program = std::env::current_exe().context("can't find this executable")?;
    let output = Command::new(program)
        .arg(WORD)
        .arg(file)
        .args([align, script.slots, touch, limit.as_millis() as usize].map(|number| number.to_string()))
        .output()
        .context("can't start a process for glibc")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the process for glibc failed on {}: {errors}", script.name);
    let text = String::from_utf8(output.stdout).context("the process for glibc answered no text")?;
    // A few bytes for each round of a program that ends soon.
    Ok(text.leak().split_whitespace().collect())
}

/// Serves, if the command line says so, and returns the exit status. To be called before anything else.
pub fn serve_if_asked() -> Option<i32> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != WORD {
        return None;
    }
    Some(match serve(words) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("cairn: bench: {error:#}");
            1
        }
    })
}

fn serve(mut words: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let file = words.next().context("a file of steps is missing")?;
    let mut number = |what: &str| -> anyhow::Result<usize> {
        let word = words.next().with_context(|| format!("{what} is missing"))?;
        word.to_str().and_then(|word| word.parse().ok()).with_context(|| format!("{what} is no number"))
    };
    let order = Order {
        align: number("the alignment")?,
        slots: number("the number of slots")?,
        touch: number("the number of bytes to touch")?,
        limit_ms: number("the time limit")?,
    };
    let steps = steps_of(map_file(Path::new(&file))?);
    drop(file);
    match order.align {
        8 => serve_aligned::<8>(steps, &order),
        _ => serve_aligned::<16>(steps, &order),
    }
    Ok(())
}

fn serve_aligned<const ALIGN: usize>(steps: &[Step], order: &Order) {
    // Nothing of ours may live in the heap: the table of addresses has a mapping of its own.
    let mut table = Arena::new(order.slots * size_of::<*mut u8>() + 4096).expect("a small mapping");
    table.touch(order.slots * size_of::<*mut u8>());
    let room = table.room(order.slots * size_of::<*mut u8>());
    // SAFETY: the room has that many words, reads as zero, and is used by nothing else.
    let slots = unsafe { std::slice::from_raw_parts_mut(room.start.cast::<*mut u8>(), order.slots) };
    let limit = Duration::from_millis(order.limit_ms as u64);
    let room = prepare();
    if order.touch == 0 {
        match place::<Glibc, ALIGN>(steps, slots, room, Growth::Whole, limit) {
            Ok(extent) => println!("extent {extent}"),
            Err(Stop::Exhausted) => println!("exhausted"),
            Err(Stop::TooSlow) => println!("slow"),
        }
        return;
    }
    // SAFETY: a block of that size is written and freed.
    unsafe {
        let block = libc::malloc(order.touch);
        if !block.is_null() {
            block.cast::<u8>().write_bytes(0, order.touch);
            std::hint::black_box(block);
        }
        libc::free(block);
    }
    let mut best: Option<Timed> = None;
    for _ in 0..repeats(steps.len()) {
        let Some(timed) = time::<Glibc, ALIGN>(steps, room, slots, limit) else {
            println!("exhausted");
            return;
        };
        if best.is_none_or(|best| timed.ns < best.ns) {
            best = Some(timed);
        }
        if timed.cut {
            break;
        }
        free_all(steps, slots);
    }
    let best = best.expect("there is at least one repeat");
    println!("time {} {}", best.ns, best.cut);
}

/// Sets the heap up and tells where it begins.
fn prepare() -> Room {
    // SAFETY: these calls change settings and read counters of the heap.
    let (top, free) = unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TOP_PAD, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        (libc::sbrk(0) as usize, libc::mallinfo2().keepcost)
    };
    let start = top - free;
    Room { start: start as *mut u8, len: isize::MAX as usize - start }
}

/// Frees what the script leaves.
fn free_all(steps: &[Step], slots: &mut [*mut u8]) {
    let mut live = vec![false; slots.len()];
    for step in steps {
        live[step.slot as usize] = step.kind != FREE;
    }
    for (slot, live) in slots.iter_mut().zip(live) {
        if live {
            // SAFETY: the script has allocated it last, and not freed.
            unsafe { libc::free(slot.cast()) };
        }
    }
}
