//! `memory-map`: the regions of this process, and where its own things lie in them.
//!
//! The kernel lists the regions in `/proc/self/maps`. The lesson takes addresses of a few things of known kind: a function, a
//! constant, globals, locals, blocks from the C library's `malloc`; and looks up in which region each of them lies.

mod regions;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

pub use regions::{Kind, Region, own_regions, parse};

/// Something whose address is known.
#[derive(Clone, Debug, Serialize)]
pub struct Landmark {
    /// A short name that doesn't change.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Where it is.
    pub address: usize,
    /// The number of its region in [`MemoryMap::regions`].
    pub region: Option<usize>,
}

/// What the lesson computed.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryMap {
    /// The process.
    pub process: u32,
    /// All regions, in the order of their addresses.
    pub regions: Vec<Region>,
    /// Things of the program, in the order of their addresses.
    pub landmarks: Vec<Landmark>,
    /// The small block's size in bytes.
    pub small: usize,
    /// The large block's size in bytes.
    pub large: usize,
}

impl MemoryMap {
    /// The landmark of this name.
    pub fn landmark(&self, name: &str) -> Option<&Landmark> {
        self.landmarks.iter().find(|landmark| landmark.name == name)
    }

    /// The kind of region in which the landmark of this name lies.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        Some(self.regions[self.landmark(name)?.region?].kind)
    }
}

/// Not zero, so its value is stored in the program's file.
static GLOBAL: AtomicU64 = AtomicU64::new(1964);
/// Zero, so the file only says how many bytes there are.
static ZEROED: [AtomicU64; 4096] = [const { AtomicU64::new(0) }; 4096];
/// Never written.
static CONSTANT: [u8; 24] = *b"a heap of placed stones\n";

/// Far enough from the variables that the file has, to lie behind them on a page of its own.
const MIDDLE: usize = 2048;

const SMALL: usize = 100;
const LARGE: usize = 1 << 20;
/// Small blocks that are taken before.
const FILL: usize = 256;

/// Runs the lesson.
///
/// # Errors
/// If the kernel doesn't tell the regions, or there is no memory.
pub fn run() -> Result<MemoryMap, String> {
    let local = black_box(42u64);
    GLOBAL.fetch_add(1, Ordering::Relaxed);
    ZEROED[MIDDLE].store(local, Ordering::Relaxed);
    // They fill the holes of this size, so that the next blocks lie where nothing was before.
    let _fill = (0..FILL).map(|_| Block::new(SMALL)).collect::<Result<Vec<Block>, String>>()?;
    let small = [Block::new(SMALL)?, Block::new(SMALL)?];
    let large = Block::new(LARGE)?;
    let mark = |name, what, address| Landmark { name, what, address, region: None };
    let mut landmarks = vec![
        mark("function", "the lesson's function", run as *const () as usize),
        mark("constant", "a constant", (&raw const CONSTANT).addr()),
        mark("global", "a global variable with a value", (&raw const GLOBAL).addr()),
        mark("zeroed-global", "a global variable that began as zero", (&raw const ZEROED[MIDDLE]).addr()),
        mark("small-block", "malloc(100)", small[0].address()),
        mark("small-block-2", "malloc(100), once more", small[1].address()),
        mark("large-block", "malloc(1 MiB)", large.address()),
        mark("library-function", "a function of the C library: getpid", libc::getpid as *const () as usize),
        mark("local", "a local variable of the lesson's function", (&raw const local).addr()),
        mark("inner-local", "a local variable of a function it calls", inner()),
    ];
    let mut regions = own_regions()?;
    let local = (&raw const local).addr();
    // A thread other than the first has its stack in a mapping that bears no name.
    if let Some(stack) = regions.iter_mut().find(|region| region.holds(local)) {
        stack.kind = Kind::Stack;
    }
    for landmark in &mut landmarks {
        landmark.region = regions.iter().position(|region| region.holds(landmark.address));
    }
    landmarks.sort_by_key(|landmark| landmark.address);
    Ok(MemoryMap { process: std::process::id(), regions, landmarks, small: SMALL, large: LARGE })
}

/// The address of a local variable one call deeper.
#[inline(never)]
fn inner() -> usize {
    let local = black_box(43u64);
    black_box((&raw const local).addr())
}

/// A block from the C library.
struct Block(*mut libc::c_void);

impl Block {
    fn new(bytes: usize) -> Result<Block, String> {
        // SAFETY: any size may be asked for.
        let at = unsafe { libc::malloc(bytes) };
        if at.is_null() {
            return Err(format!(
                "malloc has no {bytes} bytes for the lesson: is the memory limited (ulimit -v)?"
            ));
        }
        // SAFETY: the block has at least one byte.
        unsafe { at.cast::<u8>().write_volatile(1) };
        Ok(Block(at))
    }

    fn address(&self) -> usize {
        self.0.addr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block came from `malloc` and is freed once.
        unsafe { libc::free(self.0) };
    }
}
