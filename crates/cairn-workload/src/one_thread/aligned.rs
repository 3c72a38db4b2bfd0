//! Aligned blocks of mixed alignments and sizes, replaced at random among others that live.
//!
//! Models vectors for wide registers, buffers for direct input and output, pages of a database, counters with a
//! cache line each. Stresses whether an aligned block is found in the size classes or cut out of a larger one, and
//! how much is lost around it: for a block of 64 bytes at 64 the neighbours fit without a gap.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::ptr::{NonNull, null_mut};
use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Aligned {
    /// Largest alignment in bytes, a power of two; the smallest is 16
    #[arg(long, default_value_t = 4_096, value_parser = power_of_two)]
    most_aligned: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 16)]
    smallest: usize,
    /// Largest size in bytes; sizes between are spread evenly by their logarithm
    #[arg(long, default_value_t = 8_192)]
    largest: usize,
    /// Blocks that are live
    #[arg(long, default_value_t = 10_000)]
    live: usize,
    /// Number of replacements
    #[arg(long, default_value_t = 3_000_000)]
    ops: u64,
}

fn power_of_two(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(value) if value.is_power_of_two() && value >= 16 => Ok(value),
        _ => Err("must be a power of two of at least 16, such as 64".to_owned()),
    }
}

/// posix_memalign, called in a way that the compiler can't see through; see [`crate::heap`].
type Door = unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int;

/// A block at a multiple of `alignment`, a power of two that is at least 16; its first byte is written.
fn aligned(door: Door, alignment: usize, size: usize) -> Block {
    let mut address = null_mut();
    // SAFETY: the alignment is a power of two and a multiple of a pointer's size; the address is ours to write to.
    let error = unsafe { door(&mut address, alignment, size.max(1)) };
    assert_eq!(error, 0, "posix_memalign({alignment}, {size}) failed");
    assert_eq!(address as usize % alignment, 0, "posix_memalign({alignment}, {size}) gave {address:?}");
    let address = NonNull::new(address.cast()).expect("posix_memalign succeeded with a null pointer");
    // SAFETY: the block is new and live, and free takes what posix_memalign gave.
    let mut block = unsafe { Block::at(address) };
    block.mark(size as u8);
    block
}

impl Workload for Aligned {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let door: Door = black_box(libc::posix_memalign);
        let mut random = Random::new(1);
        let ops = scale.of(self.ops);
        let largest = self.largest.max(self.smallest.max(1));
        // Drawn before the clock starts: logarithms cost as much as an allocation.
        let shapes: Vec<(usize, usize)> = (0..4_096)
            .map(|_| {
                let alignment = 16 << random.below(self.most_aligned.ilog2() as usize - 3);
                (alignment, random.between_log(self.smallest.max(1), largest))
            })
            .collect();
        let mut blocks: Vec<(u8, Block)> = (0..self.live.max(1))
            .map(|at| {
                let (alignment, size) = shapes[at % shapes.len()];
                (size as u8, aligned(door, alignment, size))
            })
            .collect();
        let start = Instant::now();
        for _ in 0..ops {
            let at = random.below(blocks.len());
            let (alignment, size) = shapes[random.below(shapes.len())];
            let (old, block) =
                std::mem::replace(&mut blocks[at], (size as u8, aligned(door, alignment, size)));
            assert_eq!(block.read(), old, "a live block was written to by somebody else");
            heap.free(block);
        }
        let elapsed = start.elapsed();
        blocks.into_iter().for_each(|(_, block)| heap.free(block));
        Outcome::new("aligned", "one aligned block replaced by another", ops, elapsed)
    }
}
