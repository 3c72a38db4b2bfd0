//! The one switch between the tools that run a model.

#[cfg(loom)]
pub use loom::{sync::Arc, thread, thread_local};
#[cfg(shuttle)]
pub use shuttle::{sync::Arc, thread, thread_local};
#[cfg(not(any(loom, shuttle)))]
pub use std::{sync::Arc, thread};

use cairn_core::sync::UnsafeCell;
use std::cell::Cell;
use std::sync::Mutex;

std::thread_local! {
    /// Whether [`crowd`] gives out the numbers the other way round.
    static TURNED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the tool can do with more than three threads and a few steps of each.
pub const LARGE: bool = cfg!(not(any(loom, miri)));

/// Whether more is asked for than CI has time for.
pub fn is_long() -> bool {
    std::env::var_os("CAIRN_MODEL_LONG").is_some()
}

/// Runs `run` in all the ways that the tool knows: with loom each one that stops threads at most `preemptions` times where
/// they would go on.
pub fn check(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    // Twice, since loom remembers of each atomic only the last access: a thread that loads and then stores hides from it that an
    // earlier load by another thread could have come later. Turned round, the storing thread comes first, and the loads choose
    // between old and new.
    #[cfg(loom)]
    {
        let run = std::sync::Arc::new(run);
        for turned in [false, true] {
            TURNED.set(turned);
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = Some(preemptions + usize::from(is_long()));
            builder.max_branches = 10_000;
            let run = run.clone();
            builder.check(move || run());
        }
    }
    #[cfg(shuttle)]
    {
        let _ = preemptions;
        let rounds = if is_long() { 50_000 } else { 1_000 };
        let run = std::sync::Arc::new(run);
        let again = run.clone();
        shuttle::check_random(move || run(), rounds);
        // The same with few but well placed changes of thread, which finds what needs one thread to sleep long.
        shuttle::check_pct(move || again(), rounds, 3);
    }
    #[cfg(not(any(loom, shuttle)))]
    {
        let _ = preemptions;
        // Miri is run again with other seeds.
        (0..if cfg!(miri) { 1 } else { 300 }).for_each(|_| run());
    }
}

/// Runs a model that has one thread and so one order of events. A tool that looks for others would find fault with it.
pub fn check_alone(run: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(run);
    #[cfg(shuttle)]
    shuttle::check_random(run, 1);
    #[cfg(not(any(loom, shuttle)))]
    run();
}

/// Runs `run` in a thread for each number below `threads`, one of them this one, and gives what they gave.
pub fn crowd<T: Send + 'static>(threads: usize, run: impl Fn(usize) -> T + Send + Sync + 'static) -> Vec<T> {
    let turned = TURNED.get();
    let run = Arc::new(move |number| run(if turned { threads - 1 - number } else { number }));
    let others: Vec<_> = (0..threads - 1)
        .map(|number| {
            let run = run.clone();
            thread::spawn(move || run(number))
        })
        .collect();
    let last = run(threads - 1);
    let mut all: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
    all.push(last);
    all
}

/// Memory that lives as long as this: what the pools of a model are made from. Reads as zero.
#[derive(Debug, Default)]
pub struct Memory {
    // The standard library's lock, never held across a step of the model. Pointers, since to move a box is to claim its contents.
    pieces: Mutex<Vec<Piece>>,
}

#[derive(Debug)]
struct Piece(*mut [u128]);

// SAFETY: a piece of memory, which belongs to no thread.
unsafe impl Send for Piece {}

impl Memory {
    /// So many bytes, aligned to 16.
    pub fn take(&self, bytes: usize) -> *mut u8 {
        let piece = Box::into_raw(vec![0u128; bytes.div_ceil(16)].into_boxed_slice());
        self.pieces.lock().unwrap().push(Piece(piece));
        piece.cast()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for Piece(piece) in self.pieces.get_mut().unwrap().drain(..) {
            // SAFETY: made by `take`; whoever used it shares ownership of this, and has ended.
            drop(unsafe { Box::from_raw(piece) });
        }
    }
}

/// A number that some protocol protects. The model reports an access that the protocol doesn't order; without a model,
/// Miri does.
#[derive(Debug)]
pub struct Protected {
    number: UnsafeCell<usize>,
}

// SAFETY: that the accesses are ordered is what is tested.
unsafe impl Sync for Protected {}
// SAFETY: a number.
unsafe impl Send for Protected {}

impl Protected {
    /// A cell that holds `number`.
    pub fn new(number: usize) -> Self {
        Protected { number: UnsafeCell::new(number) }
    }

    /// Reads it.
    pub fn get(&self) -> usize {
        // SAFETY: that nobody writes meanwhile is what is tested.
        self.number.with(|number| unsafe { *number })
    }

    /// Writes it.
    pub fn set(&self, to: usize) {
        // SAFETY: that nobody reads or writes meanwhile is what is tested.
        self.number.with_mut(|number| unsafe { *number = to });
    }
}
