//! `dmalloc` and `dfree`: a heap whose word size (the alignment of its blocks) and greatest size are the course's choice.
//!
//! Both are macros of the course's `dmm.h`, which a compiled library can't see. Three ways lead in, the stronger first:
//! 1. the environment: `CAIRN_DMM_WORD`, `CAIRN_DMM_HEAP`;
//! 2. [`dmalloc_configure`], which our `dmm.h` calls before `main` with the macros `WORD_SIZE` and `MAX_HEAP_SIZE`;
//! 3. the defaults: 8 bytes, 1 MiB.
//!
//! The first allocation (or `dmalloc_init`) takes what then holds; after it nothing changes any more.

use core::alloc::Layout;
use core::ptr::NonNull;

use cairn_heap::{Config, Error, Fault, Heap};

use crate::brk::{Brk, Run};
use crate::face::{Blocks, Face};
use crate::{Policy, settings};

const WORD_DEFAULT: usize = 8;
const HEAP_DEFAULT: usize = 1 << 20;
const WORD_MAX: usize = 64;

/// Blocks at multiples of the word size.
struct Words<const ALIGN: usize>;

impl<const ALIGN: usize> Config for Words<ALIGN> {
    const ALIGN: usize = ALIGN;
    type Meter = ();
}

type Of<const WORD: usize> = Heap<Brk, Policy, Words<WORD>>;

/// One heap for each word size. The alignment is the heap's own, and not a wish at each allocation, so that a hole of the right size
/// always fits.
enum AnyHeap {
    W8(Of<8>),
    W16(Of<16>),
    W32(Of<32>),
    W64(Of<64>),
}

impl AnyHeap {
    fn new(word: usize, limit: usize) -> Self {
        let source = Brk::new(limit, &RUN);
        match word {
            4 | 8 => AnyHeap::W8(Heap::new(source)),
            16 => AnyHeap::W16(Heap::new(source)),
            32 => AnyHeap::W32(Heap::new(source)),
            _ => AnyHeap::W64(Heap::new(source)),
        }
    }

    fn blocks(&mut self) -> &mut dyn Blocks {
        match self {
            AnyHeap::W8(heap) => heap,
            AnyHeap::W16(heap) => heap,
            AnyHeap::W32(heap) => heap,
            AnyHeap::W64(heap) => heap,
        }
    }
}

/// The heap, and before it exists what it will be.
struct Dmm {
    word: usize,
    limit: usize,
    heap: Option<AnyHeap>,
}

impl Dmm {
    fn heap(&mut self) -> &mut dyn Blocks {
        if self.heap.is_none() {
            let word = settings::number(c"CAIRN_DMM_WORD", "4, 8, 16, 32 or 64 (bytes)", is_word);
            let limit = settings::number(c"CAIRN_DMM_HEAP", "a number of bytes", |limit| limit > 0);
            (self.word, self.limit) = (word.unwrap_or(self.word), limit.unwrap_or(self.limit));
        }
        self.heap.get_or_insert_with(|| AnyHeap::new(self.word, self.limit)).blocks()
    }
}

impl Blocks for Dmm {
    fn allocate(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error> {
        self.heap().allocate(bytes)
    }

    fn allocate_zeroed(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error> {
        self.heap().allocate_zeroed(bytes)
    }

    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault> {
        // SAFETY: passed on to the caller.
        unsafe { self.heap().free(block) }
    }

    unsafe fn reallocate(&mut self, block: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Error> {
        // SAFETY: passed on to the caller.
        unsafe { self.heap().reallocate(block, bytes) }
    }
}

fn is_word(word: usize) -> bool {
    word.is_power_of_two() && (4..=WORD_MAX).contains(&word)
}

static RUN: Run = Run::new();
static DMM: Face<Dmm> = Face::new(Dmm { word: WORD_DEFAULT, limit: HEAP_DEFAULT, heap: None });

/// Chooses the word size (4, 8, 16, 32 or 64; 4 is served as 8) and the greatest heap in bytes, all overhead included.
///
/// 0; or -1 if the numbers make no sense, or the heap exists already and has others.
#[unsafe(no_mangle)]
pub extern "C" fn dmalloc_configure(word: usize, heap: usize) -> libc::c_int {
    let sound = is_word(word) && heap > 0 && heap <= isize::MAX as usize;
    let done = sound
        && DMM.with(|dmm| {
            if dmm.heap.is_none() {
                (dmm.word, dmm.limit) = (word, heap);
            }
            (dmm.word, dmm.limit) == (word, heap)
        });
    if done { 0 } else { -1 }
}

/// Makes the heap ready, which the first `dmalloc` does as well. 1 (true).
#[unsafe(no_mangle)]
pub extern "C" fn dmalloc_init() -> libc::c_int {
    // A C `int`: courses declare the function as one of several kinds of bool.
    DMM.with(|dmm| {
        dmm.heap();
        1
    })
}

/// `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn dmalloc(size: usize) -> *mut u8 {
    DMM.allocate(size)
}

/// `free`.
///
/// # Safety
/// `block` is null, or nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfree(block: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { DMM.free("dfree", block) }
}
