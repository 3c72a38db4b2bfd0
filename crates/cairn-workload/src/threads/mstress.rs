//! Many threads with random lifetimes; a thread that ends is followed by a new one at once.
//!
//! Models a program that starts threads for jobs of all lengths; after the stress test of Leijen et al., *Mimalloc* (2019).
//! A thread allocates objects of which it frees two thirds soon and at random, keeps some until it ends, and now and then
//! exchanges one with a board of a thousand objects that all threads share, living and dead: so a share of the objects
//! outlives its thread and is freed by another. Sizes are powers of two and most of them small; one in a hundred is a hundred
//! times as large, one in a thousand a thousand times. Stresses thread start and end with objects left over, remote frees,
//! and fragmentation by what is kept. Every object is written in full, and checked when it is freed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use clap::Args;

use crate::heap::{Area, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// Objects on the board that all threads share.
const BOARD: usize = 1_000;
/// A thread's life is between this share of the longest, and the longest.
const SHORTEST: usize = 16;

#[derive(Args)]
pub struct Mstress {
    /// Threads that run at the same time
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Objects that the longest-living thread allocates; the shortest does a sixteenth of that
    #[arg(long, default_value_t = 20_000)]
    ops: usize,
    /// Threads that follow each other
    #[arg(long, default_value_t = 64)]
    lives: u64,
}

/// What all threads share.
struct Shared {
    board: Vec<Mutex<Option<Area>>>,
    /// Objects allocated by the threads that have ended.
    allocated: AtomicU64,
}

/// What one thread has.
struct Life<'a> {
    heap: Heap,
    random: Random,
    shared: &'a Shared,
    /// Objects of short life; an empty place was freed, or got nothing in an exchange.
    short: Vec<Option<Area>>,
    /// Objects that stay until the thread ends.
    kept: Vec<Area>,
}

impl Life<'_> {
    fn run(mut self, objects: usize) {
        for _ in 0..objects {
            if self.random.below(3) > 0 {
                let object = self.object(5);
                self.short.push(Some(object));
            } else {
                let object = self.object(7);
                self.kept.push(object);
            }
            if self.random.below(3) > 0 && !self.short.is_empty() {
                let at = self.random.below(self.short.len());
                let object = self.short[at].take();
                self.free(object);
            }
            if self.random.below(4) == 0 && !self.short.is_empty() {
                let at = self.random.below(self.short.len());
                let place = &self.shared.board[self.random.below(BOARD)];
                std::mem::swap(
                    &mut self.short[at],
                    &mut place.lock().unwrap_or_else(PoisonError::into_inner),
                );
            }
        }
        for object in std::mem::take(&mut self.kept) {
            self.free(Some(object));
        }
        for object in std::mem::take(&mut self.short) {
            self.free(object);
        }
        self.shared.allocated.fetch_add(objects as u64, Relaxed);
    }

    /// A new object of one to `2^(doublings-1)` words, or much more if chance will have it.
    fn object(&mut self, doublings: usize) -> Area {
        let words = 1 << self.random.below(doublings);
        let words = match self.random.below(1_000) {
            0 => words * 1_000,
            1..=10 => words * 100,
            _ => words,
        };
        let mut object = self.heap.alloc_sized(8 * words);
        object.fill(pattern(&object));
        object
    }

    fn free(&self, object: Option<Area>) {
        if let Some(object) = object {
            check_and_free(self.heap, object);
        }
    }
}

/// What an object of its size is full of.
fn pattern(object: &Area) -> u8 {
    (object.size() / 8) as u8 | 1
}

fn check_and_free(heap: Heap, object: Area) {
    let whole = object.get(0) == pattern(&object) && object.get(object.size() - 1) == pattern(&object);
    assert!(whole, "an object of {} bytes was changed by somebody else", object.size());
    heap.free(object.into_block());
}

impl Mstress {
    /// One thread's life; its last act is to start the next one.
    fn live<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Shared,
        lane: u64,
        left: u64,
    ) {
        let mut random = Random::new(lane.wrapping_mul(1_000_003) + left);
        let objects = random.between_log(self.ops.div_ceil(SHORTEST), self.ops.max(1));
        let (short, kept) = (Vec::new(), Vec::new());
        Life { heap: Heap::of_this_process(), random, shared, short, kept }.run(objects);
        if left > 1 {
            scope.spawn(move || self.live(scope, shared, lane, left - 1));
        }
    }
}

impl Workload for Mstress {
    fn run(&self, scale: Scale) -> Outcome {
        let lives = scale.of(self.lives);
        let board = (0..BOARD).map(|_| Mutex::new(None)).collect();
        let shared = Shared { board, allocated: AtomicU64::new(0) };
        let start = Instant::now();
        std::thread::scope(|scope| {
            for lane in 0..self.threads.max(1) {
                let shared = &shared;
                scope.spawn(move || self.live(scope, shared, lane as u64, lives));
            }
        });
        let elapsed = start.elapsed();
        for place in shared.board {
            if let Some(object) = place.into_inner().unwrap_or_else(PoisonError::into_inner) {
                check_and_free(Heap::of_this_process(), object);
            }
        }
        Outcome::new("mstress", "one object allocated and freed", shared.allocated.into_inner(), elapsed)
    }
}
