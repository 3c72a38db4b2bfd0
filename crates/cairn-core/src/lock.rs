//! A lock of four bytes that an allocator may use.
//!
//! It never allocates, needs no destructor, starts as a zero byte pattern (so it can sit in `.bss` and in fresh
//! pages), keeps `errno`, and sleeps in the kernel when the wait is long.
//!
//! ```text
//!            lock: 0 -> 1                     lock: 1 -> 2, then sleep while it is 2
//!   FREE 0 ───────────────► HELD 1 ─────────────────────────────► WAITED 2
//!     ▲                       │                                      │
//!     └───────────────────────┘  unlock: -> 0                        │
//!     └──────────────────────────────────────────────────────────────┘  unlock: -> 0, wake one
//! ```
//!
//! - The word is not `FREE` *iff* a thread is inside.
//! - A thread that sleeps left the word at `WAITED`, and whoever frees a `WAITED` word wakes one thread. A woken
//!   thread takes the lock as `WAITED`, since it can't know whether others still sleep; so no wake-up is lost,
//!   and the price is at most one system call too many.
//!
//! # Cost
//! Without contention one compare-exchange to enter and one swap to leave; no system call. With contention a
//! short spin, because what it protects takes less time than going to sleep, then `futex`.
//!
//! # Orderings
//! Entering is `Acquire` and leaving is `Release` on the same word, so all that was written inside is seen by
//! whoever enters next. Nothing else is needed: a failed attempt to enter reads nothing that it relies on, and
//! the kernel compares the word again, under its own lock, before it puts a thread to sleep.
//!
//! # Counting
//! A lock has a name, [`Place`], which only a build that counts keeps (see [`count`](crate::count)): there a lock is larger.
//!
//! # Model
//! `RUSTFLAGS="--cfg loom" cargo test -p cairn-model --release lock` runs it through every order of events, with
//! the kernel's queue replaced by a small model of it. A lost wake-up shows there as a deadlock.

#[cfg(cairn_count)]
use crate::count;
use crate::count::Place;
use crate::ord;
use crate::sync::{AtomicU32, Ordering, pause};

/// Nobody is inside.
const FREE: u32 = 0;
/// A thread is inside and nobody sleeps.
const HELD: u32 = 1;
/// A thread is inside and others may sleep.
const WAITED: u32 = 2;

/// Looks at a lock that is held before this thread goes to sleep. With a pause of some 40 cycles each this is about
/// the time of one sleep and one wake-up, so that spinning at most doubles the cost of the worst case.
#[cfg(not(any(loom, shuttle, miri)))]
const SPINS_MAX: u32 = 100;
/// The models explore each spin, and one shows as much as a hundred.
#[cfg(any(loom, shuttle, miri))]
const SPINS_MAX: u32 = 1;

/// A lock without contents; what it protects is up to its owner.
#[derive(Debug)]
#[repr(C)]
pub struct Lock {
    word: AtomicU32,
    #[cfg(any(loom, shuttle))]
    queue: queue::Queue,
    #[cfg(cairn_count)]
    counted: counted::Counted,
}

#[cfg(not(any(loom, shuttle, cairn_count)))]
const _: () = assert!(size_of::<Lock>() == 4);

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl Lock {
    /// A lock that is free.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new() -> Self {
        Self::named(Place::Other)
    }

    /// A lock that is free, and what it is called when its entries are counted.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn named(place: Place) -> Self {
        let _ = place;
        Self {
            word: AtomicU32::new(FREE),
            #[cfg(cairn_count)]
            counted: counted::Counted::new(place),
        }
    }

    /// A lock that is free.
    #[cfg(any(loom, shuttle))]
    pub fn new() -> Self {
        Self::named(Place::Other)
    }

    /// A lock that is free, and what it is called when its entries are counted.
    #[cfg(any(loom, shuttle))]
    pub fn named(place: Place) -> Self {
        let _ = place;
        Self {
            word: AtomicU32::new(FREE),
            queue: queue::Queue::new(),
            #[cfg(cairn_count)]
            counted: counted::Counted::new(place),
        }
    }

    /// Enters, and waits for that as long as it takes. Each entry needs one [`unlock`](Self::unlock).
    ///
    /// A thread that enters twice waits for ever.
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    /// Enters if nobody is inside, and tells whether it did.
    #[inline]
    #[must_use = "the lock may be held by another thread"]
    pub fn try_lock(&self) -> bool {
        self.touch();
        let entered =
            self.word.compare_exchange(FREE, HELD, ord!("lock-enter", Acquire), Ordering::Relaxed).is_ok();
        if entered {
            self.count_entry();
        }
        entered
    }

    /// Leaves, and wakes one of the threads that sleep.
    ///
    /// # Safety
    /// The caller is inside: it entered by [`lock`](Self::lock) or [`try_lock`](Self::try_lock) and has not left
    /// since.
    #[inline]
    pub unsafe fn unlock(&self) {
        #[cfg(cairn_count)]
        self.counted.left();
        self.touch();
        if self.word.swap(FREE, ord!("lock-leave", Release)) == WAITED {
            self.wake_slow();
        }
    }

    /// Enters and gives a guard that leaves when it is dropped.
    #[inline]
    pub fn hold(&self) -> Guard<'_> {
        self.lock();
        Guard { lock: self }
    }

    /// Makes the lock free, whoever held it. For the child of a `fork`, in which the threads that held or waited
    /// no longer exist.
    ///
    /// # Safety
    /// No thread of this process is inside or waits, and what the lock protects is whole.
    pub unsafe fn reset(&self) {
        // Relaxed: there is no other thread that could see it too early.
        self.word.store(FREE, Ordering::Relaxed);
    }

    /// Waits for a lock that was not free a moment ago.
    #[cold]
    fn lock_slow(&self) {
        #[cfg(cairn_count)]
        self.counted.waited();
        for _ in 0..SPINS_MAX {
            match self.word.load(Ordering::Relaxed) {
                FREE if self.try_lock() => return,
                // Others already sleep: who spins now only takes time from the one who is inside.
                WAITED => break,
                _ => pause(),
            }
        }
        self.touch();
        while self.word.swap(WAITED, ord!("lock-enter-waited", Acquire)) != FREE {
            self.sleep_while_waited();
            self.touch();
        }
        self.count_entry();
    }

    /// Counts an indivisible operation on the word.
    #[inline(always)]
    fn touch(&self) {
        #[cfg(cairn_count)]
        count::atomic(self.counted.place(), &self.word);
    }

    /// Counts an entry, of this thread and just now.
    #[inline(always)]
    fn count_entry(&self) {
        #[cfg(cairn_count)]
        self.counted.entered();
    }

    /// Wakes one thread that sleeps.
    #[cold]
    fn wake_slow(&self) {
        #[cfg(any(loom, shuttle))]
        self.queue.wake_one();
        #[cfg(not(any(loom, shuttle)))]
        queue::wake_one(&self.word);
    }

    /// Sleeps until somebody wakes this thread, or not at all if the word is no longer `WAITED`. May also return for
    /// no reason.
    fn sleep_while_waited(&self) {
        #[cfg(any(loom, shuttle))]
        self.queue.sleep_while(&self.word, WAITED);
        #[cfg(not(any(loom, shuttle)))]
        queue::sleep_while(&self.word, WAITED);
    }
}

/// Proof that the caller is inside a [`Lock`]; it leaves when this is dropped.
#[derive(Debug)]
#[must_use = "the lock is left at once if nothing keeps the guard"]
pub struct Guard<'lock> {
    lock: &'lock Lock,
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a guard is made only by `hold`, which entered, and it is dropped at most once.
        unsafe { self.lock.unlock() }
    }
}

/// What a lock keeps in a build that counts.
#[cfg(cairn_count)]
mod counted {
    use crate::count::{self, Place};
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// The name of a lock, and when the one who is inside entered.
    #[derive(Debug)]
    pub(super) struct Counted {
        place: Place,
        since: AtomicUsize,
    }

    impl Counted {
        pub(super) const fn new(place: Place) -> Self {
            Self { place, since: AtomicUsize::new(0) }
        }

        pub(super) fn place(&self) -> Place {
            self.place
        }

        /// Called inside.
        pub(super) fn entered(&self) {
            self.since.store(count::entered(self.place), Relaxed);
        }

        pub(super) fn waited(&self) {
            count::waited(self.place);
        }

        /// Called inside.
        pub(super) fn left(&self) {
            count::left(self.place, self.since.load(Relaxed));
        }
    }
}

/// The kernel's queue of sleeping threads.
#[cfg(all(not(any(loom, shuttle)), feature = "os", target_os = "linux"))]
mod queue {
    use crate::count::{Call, call as count};
    use crate::os::call;
    use crate::sync::AtomicU32;

    /// Sleeps if `word` still is `value`.
    pub(super) fn sleep_while(word: &AtomicU32, value: u32) {
        futex(word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value);
    }

    /// Wakes one thread that sleeps on `word`.
    pub(super) fn wake_one(word: &AtomicU32) {
        futex(word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    }

    /// A sleeper looks at the word at the latest after so long.
    ///
    /// The kernel wakes those whom it is told to wake. But it may be forbidden to tell it (a filter on system calls that came into
    /// force while a thread slept); then a thread comes late, which without a limit would sleep for ever.
    const SLEEP_MAX: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };

    fn futex(word: &AtomicU32, operation: libc::c_int, argument: u32) {
        count(Call::Futex);
        // SAFETY: the limit is a constant. WAKE ignores it.
        unsafe { call::futex(word, operation, argument, &SLEEP_MAX) };
    }
}

/// Where the kernel has no such queue, a waiting thread looks again and again.
#[cfg(all(not(any(loom, shuttle)), not(all(feature = "os", target_os = "linux"))))]
mod queue {
    use crate::sync::{AtomicU32, pause};

    /// Waits a little; the caller looks at the word again.
    pub(super) fn sleep_while(_word: &AtomicU32, _value: u32) {
        pause();
    }

    /// Nobody sleeps.
    pub(super) fn wake_one(_word: &AtomicU32) {}
}

/// The kernel's queue as the model checker sees it: comparing the word and lying down are one step.
#[cfg(any(loom, shuttle))]
mod queue {
    use crate::sync::{AtomicU32, Condvar, Mutex, Ordering};

    /// The queue of one lock.
    #[derive(Debug)]
    pub(super) struct Queue {
        gate: Mutex<()>,
        sleepers: Condvar,
    }

    impl Queue {
        /// A queue in which nobody sleeps.
        pub(super) fn new() -> Self {
            Self { gate: Mutex::new(()), sleepers: Condvar::new() }
        }

        /// Sleeps if `word` still is `value`.
        pub(super) fn sleep_while(&self, word: &AtomicU32, value: u32) {
            let gate = self.gate.lock().unwrap();
            if word.load(Ordering::Relaxed) == value {
                drop(self.sleepers.wait(gate).unwrap());
            }
        }

        /// Wakes one thread that sleeps.
        pub(super) fn wake_one(&self) {
            let _gate = self.gate.lock().unwrap();
            self.sleepers.notify_one();
        }
    }
}
