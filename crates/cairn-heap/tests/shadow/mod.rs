//! A shadow of a heap: it knows which blocks are live and what they hold, and compares after every step. Shared by the tests and the
//! fuzz target.
#![allow(dead_code)]

pub mod play;

use core::alloc::Layout;
use core::ptr::NonNull;

use cairn_heap::*;

/// One operation; numbers are taken modulo what is possible.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Allocate { size: usize, align_log2: u32, zeroed: bool },
    Free { which: usize },
    Reallocate { which: usize, size: usize },
    FreeTwice { which: usize, inside: usize },
}

/// Operations from a seed, or from bytes.
pub struct Steps {
    state: u64,
    left: usize,
    scale: u32,
    /// Steps for which the heap grows, and then for which it shrinks.
    pub phase: usize,
}

impl Steps {
    pub fn from_seed(seed: u64, count: usize) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            left: count,
            scale: (seed % 4) as u32,
            phase: 150,
        }
    }

    fn random(&mut self) -> usize {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize
    }

    fn size(&mut self) -> usize {
        let bits = self.random() as u32 % (7 + 2 * self.scale);
        match self.random() % 50 {
            0 => 0,
            1 => usize::MAX - self.random() % 64,
            2 => 1 << 30,
            _ => self.random() % (1 << (bits + 1)),
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        let growing = (self.left / self.phase).is_multiple_of(2);
        let (which, size) = (self.random(), self.size());
        Some(match self.random() % 20 {
            0..4 => Step::Reallocate { which, size },
            4 => Step::FreeTwice { which, inside: self.random() },
            kind if (kind < 15) == growing => {
                let align_log2 = if self.random().is_multiple_of(8) { self.random() as u32 % 13 } else { 0 };
                Step::Allocate { size, align_log2, zeroed: self.random().is_multiple_of(4) }
            }
            _ => Step::Free { which },
        })
    }
}

struct Live {
    block: NonNull<u8>,
    layout: Layout,
    pattern: u8,
}

/// A heap and what it should hold.
pub struct Shadow<S: Source, P: Placement, C: Config> {
    pub heap: Heap<S, P, C>,
    live: Vec<Live>,
    /// Some blocks that are free.
    gone: Vec<NonNull<u8>>,
    pattern: u8,
    /// Audits after each so many steps.
    pub every: usize,
    steps: usize,
}

impl<S: Source, P: Placement, C: Config> Shadow<S, P, C> {
    pub fn new(heap: Heap<S, P, C>) -> Self {
        Self { heap, live: Vec::new(), gone: Vec::new(), pattern: 0, every: 1, steps: 0 }
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Allocate { size, align_log2, zeroed } => self.allocate(size, align_log2, zeroed),
            Step::Free { which } => self.free(which),
            Step::Reallocate { which, size } => self.reallocate(which, size),
            Step::FreeTwice { which, inside } => self.free_wrongly(which, inside),
        }
        self.steps += 1;
        if self.steps.is_multiple_of(self.every) {
            self.check();
        }
    }

    pub fn free_all(&mut self) {
        while !self.live.is_empty() {
            self.step(Step::Free { which: 0 });
        }
        self.check();
    }

    fn has_gone(&mut self, block: NonNull<u8>) {
        if self.gone.len() == 100 {
            self.gone.swap_remove(self.steps % 100);
        }
        self.gone.push(block);
    }

    fn allocate(&mut self, size: usize, align_log2: u32, zeroed: bool) {
        let Ok(layout) = Layout::from_size_align(size, 1 << align_log2) else { return };
        let result = if zeroed { self.heap.allocate_zeroed(layout) } else { self.heap.allocate(layout) };
        let Ok(block) = result else { return };
        assert!(block.addr().get().is_multiple_of(layout.align().max(C::ALIGN)));
        assert!(self.heap.usable_size(block).unwrap() >= size);
        if zeroed {
            // SAFETY: the block has so many bytes, initialized to zeroes.
            let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
            assert!(bytes.iter().all(|&byte| byte == 0));
        }
        self.take(block, layout);
    }

    fn free(&mut self, which: usize) {
        if self.live.is_empty() {
            return;
        }
        let which = which % self.live.len();
        let live = self.live.swap_remove(which);
        verify(&live, live.layout.size());
        // SAFETY: the block is live, and the shadow just forgot it.
        unsafe { self.heap.deallocate(live.block) }.unwrap();
        self.has_gone(live.block);
    }

    fn reallocate(&mut self, which: usize, size: usize) {
        if self.live.is_empty() {
            return;
        }
        let which = which % self.live.len();
        let Some(live) = self.live.get(which) else { return };
        verify(live, live.layout.size());
        let Ok(layout) = Layout::from_size_align(size, live.layout.align()) else { return };
        // SAFETY: the block is live and has this layout.
        match unsafe { self.heap.reallocate(live.block, live.layout, size) } {
            Ok(block) => {
                let old = self.live.swap_remove(which);
                verify(&Live { block, ..old }, old.layout.size().min(size));
                assert!(block.addr().get().is_multiple_of(layout.align().max(C::ALIGN)));
                self.take(block, layout);
                if block != old.block {
                    self.has_gone(old.block);
                }
            }
            Err(error) => {
                assert!(!matches!(error, Error::Fault(_)), "{error}");
                verify(live, live.layout.size());
            }
        }
    }

    /// A free of something that is no live block is refused, and harms nothing. On 32 bits, where headers have no check, that can be said
    /// of foreign addresses only.
    fn free_wrongly(&mut self, which: usize, inside: usize) {
        if usize::BITS > 32 {
            self.free_gone_or_inside(which, inside);
        }
        let outside = NonNull::from(&self.pattern);
        // SAFETY: not a live block, so there is nothing to promise.
        let fault = unsafe { self.heap.deallocate(outside) }.unwrap_err();
        assert!(matches!(fault, Fault::Foreign { .. }), "{fault}");
    }

    fn free_gone_or_inside(&mut self, which: usize, inside: usize) {
        let gone = (!self.gone.is_empty()).then(|| self.gone[which % self.gone.len()]);
        if let Some(gone) = gone.filter(|gone| self.live.iter().all(|live| live.block != *gone)) {
            // SAFETY: not a live block, so there is nothing to promise.
            unsafe { self.heap.deallocate(gone) }.unwrap_err();
        }
        if let Some(live) = self.live.get(which % self.live.len().max(1)) {
            let inside = 1 + inside % live.layout.size().max(1);
            let address = live.block.addr().get() + inside;
            if self.live.iter().all(|live| live.block.addr().get() != address) {
                let block = NonNull::new(live.block.as_ptr().wrapping_add(inside)).unwrap();
                // SAFETY: as above.
                unsafe { self.heap.deallocate(block) }.unwrap_err();
            }
        }
    }

    fn take(&mut self, block: NonNull<u8>, layout: Layout) {
        self.pattern = self.pattern.wrapping_add(1);
        let live = Live { block, layout, pattern: self.pattern };
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(live.pattern, layout.size()) };
        self.gone.retain(|gone| *gone != block);
        self.live.push(live);
    }

    fn check(&self) {
        let totals = match self.heap.check() {
            Ok(totals) => totals,
            Err(violation) => panic!("{violation}"),
        };
        assert_eq!(totals.used_blocks, self.live.len());
        assert_eq!(totals.extent, self.heap.extent());
        // A block that overlapped another one would have lost its pattern; looked at are the youngest and some others.
        for live in self.live.iter().rev().take(3).chain(self.live.iter().step_by(17)) {
            verify(live, live.layout.size());
        }
        let mut free = 0;
        self.heap.index(&mut |entry| free += entry.size);
        assert_eq!(free, totals.free_bytes);
        let blocks = self.heap.blocks().filter(|block| block.state == State::Used);
        assert_eq!(blocks.map(|block| block.size).sum::<usize>(), totals.used_bytes);
    }
}

fn verify(live: &Live, bytes: usize) {
    // SAFETY: the block is live and was filled by `take`.
    let bytes = unsafe { core::slice::from_raw_parts(live.block.as_ptr(), bytes) };
    assert!(bytes.iter().all(|&byte| byte == live.pattern), "contents of {:?} are lost", live.block);
}
