//! Random numbers: from the kernel, and a quick stream that is fed by them.
//!
//! Placement takes a number at each allocation, so they come from a small generator; it takes a fresh word of the kernel's
//! at each eighth trip to the slabs, so what can be learned of it from addresses is worth little. The secrets are the
//! kernel's own words.

use core::cell::Cell;

use cairn_core::os;

/// Random words from the kernel; what the process was started with, if it has none to give yet.
pub fn words<const N: usize>() -> [u64; N] {
    let mut words = [0; N];
    if !os::random(&mut words) {
        let [first, second] = os::random_words();
        let seed = first as u64 ^ (second as u64).rotate_left(29);
        let mut state = seed ^ os::now_us() ^ (&raw const words).addr() as u64;
        words.fill_with(|| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        });
    }
    words
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Words that are fetched at a time.
const STORE: usize = 16;
/// Trips to the slabs for each of them.
const TRIPS: usize = 8;

/// A stream of random numbers; all zeroes is one that was not fed yet. Used by one thread.
pub struct Stream {
    state: Cell<u64>,
    store: [Cell<u64>; STORE],
    left: Cell<usize>,
    /// Trips to go with the word that was taken last.
    trips: Cell<usize>,
}

impl Stream {
    /// One that was not fed yet.
    pub const fn new() -> Self {
        let store = [const { Cell::new(0) }; STORE];
        Stream { state: Cell::new(0), store, left: Cell::new(0), trips: Cell::new(0) }
    }

    /// A number below `bound`, which is at most 2^16; 0 if that is 0.
    #[inline(always)]
    pub fn below(&self, bound: usize) -> usize {
        // A multiplicative congruential generator (its state is odd); only its upper bits are used.
        let state = self.state.get().wrapping_mul(0xaf25_1af3_b0f0_25b5);
        self.state.set(state);
        ((state >> 32) as usize * bound) >> 32
    }

    /// A trip to the slabs begins: takes in a fresh word of the kernel's at the first one, and at each eighth after that.
    #[inline]
    pub fn feed(&self) {
        match self.trips.get() {
            0 => self.take_in(),
            trips => self.trips.set(trips - 1),
        }
    }

    /// Takes in a fresh word of the kernel's.
    #[cold]
    fn take_in(&self) {
        self.trips.set(TRIPS - 1);
        let left = match self.left.get() {
            0 => {
                for (slot, word) in self.store.iter().zip(words::<STORE>()) {
                    slot.set(word);
                }
                STORE
            }
            left => left,
        };
        self.left.set(left - 1);
        self.state.set((self.state.get() ^ self.store[left - 1].replace(0)) | 1);
    }

    /// Forgets what it has: the child of a fork must not go on as its parent does.
    pub fn forget(&self) {
        self.left.set(0);
        self.take_in();
    }
}
