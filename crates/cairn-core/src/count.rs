//! Counts of what threads share: indivisible operations, entries into locks, system calls.
//!
//! They answer what a small machine can't show by the clock: which cache line becomes hot first on a large one
//! (docs/scaling.md). Only a build with `RUSTFLAGS="--cfg cairn_count"` counts, and `cairn bench atomics` makes it. In any other
//! build the functions here are empty and [`lock::Lock`](crate::lock::Lock) keeps no name: the machine code is the same as
//! without this module.
//!
//! Each count has a [`Place`], the kind of thing that is touched, and each indivisible operation a *line*: which 64 bytes of
//! memory it goes to. A kind may have many lines (a lock for each size class), and what ends scaling is the one that is touched
//! most. Attempts count, whether they succeed or not. Left out is what happens once in a process, or touches what one
//! thread has alone.

/// What is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// What has no name of its own. Zero, so that a lock without a name stays a pattern of zeroes.
    #[default]
    Other,
    /// The head of a class's transfer stack.
    Stack,
    /// The pool of batches that carry nothing.
    Pool,
    /// The lock of a CPU's shelf.
    Shelf,
    /// The lock of a class's slabs.
    Class,
    /// The lock of the page heap.
    Pages,
    /// The lock of Cairn's own records.
    Records,
    /// The lock of births.
    Birth,
    /// The sum of what all bins may hold.
    Capacity,
    /// The number of threads.
    Threads,
    /// The counters of large blocks.
    Large,
    /// Which blocks of a slab of medium blocks the program holds.
    Held,
    /// The mark that a thread's heap is taken.
    Heaps,
}

impl Place {
    /// All of them, each at its own number.
    pub const ALL: [Place; 13] = [
        Place::Other,
        Place::Stack,
        Place::Pool,
        Place::Shelf,
        Place::Class,
        Place::Pages,
        Place::Records,
        Place::Birth,
        Place::Capacity,
        Place::Threads,
        Place::Large,
        Place::Held,
        Place::Heaps,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Place::Other => "other",
            Place::Stack => "stack",
            Place::Pool => "pool",
            Place::Shelf => "shelf",
            Place::Class => "class",
            Place::Pages => "pages",
            Place::Records => "records",
            Place::Birth => "birth",
            Place::Capacity => "capacity",
            Place::Threads => "threads",
            Place::Large => "large",
            Place::Held => "held",
            Place::Heaps => "heaps",
        }
    }
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Call {
    /// `mmap`
    Mmap,
    /// `munmap`
    Munmap,
    /// `mprotect`
    Mprotect,
    /// `madvise`
    Madvise,
    /// `mremap`
    Mremap,
    /// `mincore`
    Mincore,
    /// `futex`, to sleep or to wake
    Futex,
}

impl Call {
    /// All of them, each at its own number.
    pub const ALL: [Call; 7] =
        [Call::Mmap, Call::Munmap, Call::Mprotect, Call::Madvise, Call::Mremap, Call::Mincore, Call::Futex];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Call::Mmap => "mmap",
            Call::Munmap => "munmap",
            Call::Mprotect => "mprotect",
            Call::Madvise => "madvise",
            Call::Mremap => "mremap",
            Call::Mincore => "mincore",
            Call::Futex => "futex",
        }
    }
}

/// An indivisible operation that reads and writes `word`.
#[inline(always)]
pub fn atomic<T>(place: Place, word: &T) {
    #[cfg(cairn_count)]
    counters::atomic(place, core::ptr::from_ref(word).addr());
    let _ = (place, word);
}

/// A system call.
#[inline(always)]
pub fn call(call: Call) {
    #[cfg(cairn_count)]
    counters::call(call);
    let _ = call;
}

#[cfg(cairn_count)]
pub use counters::{Counts, clock_ns, entered, left, of, of_call, waited};

#[cfg(cairn_count)]
mod counters {
    use super::{Call, Place};
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Lines that are told apart: those of 64 KiB of statics. Further ones share a counter.
    const LINES: usize = 1024;
    const LINE_BYTES: usize = 64;
    const PLACES: usize = Place::ALL.len();

    type PerPlace = [AtomicUsize; PLACES];

    static ATOMICS: [[AtomicUsize; LINES]; PLACES] =
        [const { [const { AtomicUsize::new(0) }; LINES] }; PLACES];
    static ENTERED: PerPlace = [const { AtomicUsize::new(0) }; PLACES];
    static WAITED: PerPlace = [const { AtomicUsize::new(0) }; PLACES];
    static HELD_NS: PerPlace = [const { AtomicUsize::new(0) }; PLACES];
    static CALLS: [AtomicUsize; Call::ALL.len()] = [const { AtomicUsize::new(0) }; Call::ALL.len()];

    /// What was counted at a place.
    pub struct Counts {
        /// Indivisible operations,
        pub atomics: usize,
        /// those on the line that had the most,
        pub hottest: usize,
        /// entries into locks,
        pub entered: usize,
        /// those that had to wait,
        pub waited: usize,
        /// and the CPU time that was spent inside, with a reading of the clock each time ([`clock_ns`]).
        pub held_ns: usize,
    }

    pub(super) fn atomic(place: Place, address: usize) {
        ATOMICS[place as usize][address / LINE_BYTES % LINES].fetch_add(1, Relaxed);
    }

    pub(super) fn call(call: Call) {
        CALLS[call as usize].fetch_add(1, Relaxed);
    }

    /// A lock was entered; gives the time, for [`left`].
    pub fn entered(place: Place) -> usize {
        ENTERED[place as usize].fetch_add(1, Relaxed);
        now_ns()
    }

    /// A lock was found held.
    pub fn waited(place: Place) {
        WAITED[place as usize].fetch_add(1, Relaxed);
    }

    /// A lock is about to be left that was entered at `since`. (In the child of a fork by another thread, whose clock is
    /// another one.)
    pub fn left(place: Place, since: usize) {
        HELD_NS[place as usize].fetch_add(now_ns().saturating_sub(since), Relaxed);
    }

    /// What was counted at a place so far.
    pub fn of(place: Place) -> Counts {
        let lines = || ATOMICS[place as usize].iter().map(|count| count.load(Relaxed));
        let one = |counts: &PerPlace| counts[place as usize].load(Relaxed);
        Counts {
            atomics: lines().sum(),
            hottest: lines().max().unwrap_or(0),
            entered: one(&ENTERED),
            waited: one(&WAITED),
            held_ns: one(&HELD_NS),
        }
    }

    /// How often a system call was made so far.
    pub fn of_call(call: Call) -> usize {
        CALLS[call as usize].load(Relaxed)
    }

    /// What a reading of the clock takes, of which each stay in a lock has one in its time.
    pub fn clock_ns() -> usize {
        const READINGS: usize = 1000;
        let begin = now_ns();
        (1..READINGS).for_each(|_| _ = now_ns());
        (now_ns() - begin) / READINGS
    }

    /// CPU time of this thread: a thread that is interrupted inside a lock should not make its work look long.
    #[cfg(feature = "os")]
    fn now_ns() -> usize {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a writable timespec; a failure, which this clock can't have, leaves it as it is.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.tv_sec as usize * 1_000_000_000 + time.tv_nsec as usize
    }

    /// Without an operating system there is no clock.
    #[cfg(not(feature = "os"))]
    fn now_ns() -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_own_number() {
        for (number, place) in Place::ALL.into_iter().enumerate() {
            assert_eq!(place as usize, number, "{}", place.name());
        }
        for (number, call) in Call::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, number, "{}", call.name());
        }
    }

    #[test]
    #[cfg(cairn_count)]
    fn the_hottest_line_is_told_from_the_sum() {
        #[repr(align(64))]
        struct Line(u8);
        let (one, other) = (Line(0), Line(1));
        assert_eq!(one.0 + other.0, 1);
        atomic(Place::Birth, &one);
        atomic(Place::Birth, &other);
        atomic(Place::Birth, &other);
        let counts = of(Place::Birth);
        assert_eq!((counts.atomics, counts.hottest), (3, 2));
    }
}
