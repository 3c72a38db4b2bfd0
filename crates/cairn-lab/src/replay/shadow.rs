//! What must be in memory: where the live blocks are, and what was written to them.
//!
//! Every block is filled with a pattern of its own, a word for each eight bytes, that depends on the block and not on
//! its address; so a block that moves keeps it, and what another block or the heap itself writes over it is noticed.

use std::collections::BTreeMap;
use std::ptr::NonNull;

use super::stop::Complaint;

/// A live block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) block: NonNull<u8>,
    /// Payload bytes.
    pub(super) size: usize,
    /// The whole block's bytes, as far as the heap tells.
    pub(super) whole: usize,
    /// What its pattern is made from.
    seed: u64,
}

/// The live blocks, by id and by address.
#[derive(Debug)]
pub(super) struct Shadow {
    by_id: Vec<Option<Live>>,
    by_address: BTreeMap<usize, u32>,
    /// Blocks made so far.
    made: u64,
}

impl Shadow {
    pub(super) fn new(ids: u32) -> Shadow {
        Shadow { by_id: vec![None; ids as usize], by_address: BTreeMap::new(), made: 0 }
    }

    pub(super) fn get(&self, id: u32) -> Option<Live> {
        self.by_id[id as usize]
    }

    /// The ids that have blocks.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.by_address.values().copied()
    }

    /// Forgets a block.
    pub(super) fn remove(&mut self, id: u32) -> Option<Live> {
        let live = self.by_id[id as usize].take()?;
        self.by_address.remove(&live.block.as_ptr().addr());
        Some(live)
    }

    /// Whether a new block is free of any live one.
    pub(super) fn has_room(&self, address: usize, size: usize) -> Result<(), Complaint> {
        let Some(other) = self.overlapping(address, size) else { return Ok(()) };
        let Some(live) = self.get(other) else { return Ok(()) };
        let other_address = live.block.as_ptr().addr();
        Err(Complaint::Overlap { address, size, other, other_address, other_size: live.size })
    }

    /// Puts a block on the map that [has room](Self::has_room). `before` is what it was before a realloc: its
    /// pattern goes on.
    pub(super) fn insert(
        &mut self,
        id: u32,
        block: NonNull<u8>,
        size: usize,
        whole: usize,
        before: Option<Live>,
    ) {
        self.made += 1;
        let seed = before.map_or_else(|| mix(self.made), |live| live.seed);
        self.by_address.insert(block.as_ptr().addr(), id);
        self.by_id[id as usize] = Some(Live { block, size, whole, seed });
    }

    /// A live block that has a byte in common with this range. A block of no bytes still has an address of its own.
    fn overlapping(&self, address: usize, size: usize) -> Option<u32> {
        // Live blocks don't overlap each other, so the last one that begins below the range's end is the only candidate.
        let (start, id) = self.by_address.range(..address + size.max(1)).next_back()?;
        let live = self.get(*id)?;
        (start + live.size.max(1) > address).then_some(*id)
    }

    /// Writes the pattern to a block from byte `from` on.
    ///
    /// # Safety
    /// The block's payload may be written to.
    pub(super) unsafe fn fill(&self, id: u32, from: usize) {
        let Some(live) = self.get(id) else { return };
        let first_word = from / 8;
        for word in first_word..live.size / 8 {
            let bytes = pattern(live.seed, word).to_ne_bytes();
            // SAFETY: the eight bytes are in the payload.
            unsafe { live.block.add(8 * word).cast::<[u8; 8]>().write_unaligned(bytes) };
        }
        let words = live.size / 8;
        for byte in 8 * words..live.size {
            // SAFETY: the byte is in the payload.
            unsafe { live.block.add(byte).write(pattern(live.seed, words).to_ne_bytes()[byte % 8]) };
        }
    }

    /// Checks the first `size` bytes of a block.
    ///
    /// # Safety
    /// They may be read, and were written by [`fill`](Self::fill) or moved by the heap.
    pub(super) unsafe fn verify(&self, id: u32, size: usize) -> Result<(), Complaint> {
        let Some(live) = self.get(id) else { return Ok(()) };
        let byte_is_right = |byte: usize| {
            let expected = pattern(live.seed, byte / 8).to_ne_bytes()[byte % 8];
            // SAFETY: the byte is in the payload and was written.
            expected == unsafe { live.block.add(byte).read() }
        };
        let words = size / 8;
        let mut wrong = 0;
        for word in 0..words {
            // SAFETY: the eight bytes are in the payload and were written.
            let bytes = unsafe { live.block.add(8 * word).cast::<[u8; 8]>().read_unaligned() };
            wrong |= u64::from_ne_bytes(bytes) ^ pattern(live.seed, word);
        }
        let from = if wrong == 0 { 8 * words } else { 0 };
        match (from..size).find(|byte| !byte_is_right(*byte)) {
            None => Ok(()),
            Some(offset) => {
                Err(Complaint::Contents { id, address: live.block.as_ptr().addr(), offset, size: live.size })
            }
        }
    }
}

/// Word number `word` of a pattern.
fn pattern(seed: u64, word: usize) -> u64 {
    seed.wrapping_add((word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A word that looks random.
fn mix(number: u64) -> u64 {
    let word = number.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) | 1
}
