//! A live block: what is known of it, and what it holds.

use std::ops::Range;

use cairn_alloc::class::{self, SMALL_MAX};
use cairn_alloc::engine;

use super::door::Owner;
use super::random::Random;

/// From this size on, a block is looked at and written in parts: pages that nobody has touched are a case of its own.
const SPARSE: usize = 1 << 20;

/// The bytes of `written` are `stamp`; the others below `zero_to` are zero, the rest is anything.
#[derive(Clone, Debug)]
pub struct Live {
    pub address: usize,
    /// Bytes that the program may use.
    pub usable: usize,
    /// How it was asked for, and so must be freed.
    pub owner: Owner,
    /// What the engine counts it as: its block size, or 0 for a medium block or a span of its own (which one of few bytes may be, for its
    /// alignment), and its bytes.
    counted: (usize, usize),
    stamp: u8,
    written: Range<usize>,
    pub zero_to: usize,
}

impl Live {
    /// A new block, as its owner sees it.
    pub fn new(block: *mut u8, owner: Owner, stamp: u8) -> Self {
        let (size, align) = owner.request();
        // SAFETY: the block is live.
        let bytes = unsafe { engine::usable_size(block) };
        // A medium block that realloc made smaller stays what it is, if half of it is still used.
        let kept = bytes > SMALL_MAX && size >= bytes / 2;
        let is_small = class::of_layout(size, align) != 0 && !kept;
        let counted = (if is_small { bytes } else { 0 }, bytes);
        // What lies behind a layout is not the program's; what lies behind a C block is, to its usable size.
        let usable = if let Owner::Rust(_) = owner { size } else { bytes };
        let address = block.expose_provenance();
        Live { address, usable, owner, counted, stamp, written: 0..0, zero_to: 0 }
    }

    pub fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    /// The size under which the engine counts the block, and its bytes.
    pub fn counted(&self) -> (usize, usize) {
        self.counted
    }

    /// Whether it is a medium block or a span of its own.
    pub fn is_large(&self) -> bool {
        self.counted.0 == 0
    }

    fn expect(&self, range: Range<usize>, value: u8) {
        let start = range.start;
        // SAFETY: the block is live and ours, and the range lies in it; nobody writes to it meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer().add(start), range.len()) };
        // All are like the first one if each is like the next: one comparison of memory, which is quick also where every branch is
        // counted, for a fuzzer.
        let Some((&first, rest)) = bytes.split_first() else { return };
        if first != value || rest != &bytes[..rest.len()] {
            let i = bytes.iter().position(|&byte| byte != value).unwrap_or(0);
            panic!("byte {} is {:#x} and not {value:#x} in {self:x?}", start + i, bytes[i]);
        }
    }

    /// Checks the first `upto` bytes; of pages that should be zero only a part if they are many, since a look touches them.
    pub fn check(&self, upto: usize, random: &mut Random) {
        self.expect(self.written.start.min(upto)..self.written.end.min(upto), self.stamp);
        let upto = upto.min(self.zero_to);
        let (before, behind) = (0..self.written.start.min(upto), self.written.end.min(upto)..upto);
        for range in [before, behind] {
            if self.usable < SPARSE {
                self.expect(range, 0);
                continue;
            }
            for from in range.clone().step_by(1 << 16) {
                if random.idle(3) == 0 {
                    self.expect(from..range.end.min(from + (1 << 16)), 0);
                }
            }
        }
    }

    /// The first `upto` bytes are at `moved` too.
    pub fn check_moved(&self, moved: *mut u8, upto: usize, random: &mut Random) {
        Live { address: moved.expose_provenance(), ..self.clone() }.check(upto, random);
    }

    /// Writes the first bytes only: for blocks that come by the hundred.
    pub fn write_briefly(&mut self) {
        self.written = 0..self.usable.min(24);
        // SAFETY: the block is live and ours, and has so many bytes.
        unsafe { self.pointer().write_bytes(self.stamp, self.written.len()) };
    }

    /// Writes to a part of the block, mostly to all of it: as far as was asked for, or as far as may be used.
    pub fn write(&mut self, random: &mut Random) {
        let end = if random.once_in(2) { self.owner.request().0 } else { self.usable };
        self.written = 0..end;
        if end >= SPARSE / 8 && (self.zero_to > 0 || random.once_in(4)) {
            let from = random.below(end as u64) as usize;
            self.written = from..from + random.below((end - from) as u64) as usize;
        }
        // SAFETY: the block is live and ours, and has so many bytes.
        unsafe { self.pointer().add(self.written.start).write_bytes(self.stamp, self.written.len()) };
    }
}
