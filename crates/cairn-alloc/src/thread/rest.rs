//! Rest: how time passes for a thread that seldom calls the allocator.
//!
//! Free pages go back as time passes, and only slow paths look at the clock. A thread whose bins serve all it asks for
//! never comes to one, so after a peak the pages of the peak would stay for good. Therefore a thread of a large heap *rests*
//! while it calls seldom: its slot leads to `NOBODY`'s bins, which are empty and full at once, so that each of its calls takes the
//! slow path, finds the thread's own bins there, and sees whether time has passed. That costs such a call some
//! 30 ns. A thread that calls often must not pay that: what it may spend is an allowance of calls for each
//! millisecond, and when that is used up it wakes: its slot leads to its own bins again.
//!
//! A thread goes to rest on a slow path, at most once a millisecond, and wakes after [`FIRST`] calls if it is
//! busy: some 2 µs a millisecond, in loads that miss their bins all the time. It can't be seen from here when a busy
//! time ends; but when a slab or a large block becomes free, which costs a microsecond anyway, its thread rests for at least
//! [`AFTER_SPAN`] calls: the end of a peak is followed by rest, unless the last of it waits in bins. (To rest after each block of
//! 4 KiB that did not fit its bin cost `rptest` with 16 threads a fifth of its time.)
//!
//! While it rests a thread does what is due for the whole process, and keeps its own house.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use cairn_core::os;

use crate::inside::Inside;
use crate::mode::{self, Mode};
use crate::slot::{self, State};
use crate::thread::{Heap, at_distance};
use crate::{center, hardened, pages, region};

/// In a smaller heap no thread rests (granules): there is little to give back.
const REST_MIN: usize = 512;
/// Calls that a thread may make right after it went to rest.
const FIRST: u32 = 64;
/// Calls that it may make after it freed what a whole span had.
const AFTER_SPAN: u32 = 8;
/// Calls that each further millisecond allows.
const EACH_MS: u64 = 64;
/// Calls that it may save up, for a burst.
const SAVED_MAX: u64 = 16 << 10;
/// Milliseconds between two housekeepings of a resting thread.
const HOUSEKEEPING_MS: u64 = 64;

/// The state of one thread, which alone uses it.
pub struct Rest {
    left: AtomicU32,
    seen_ms: AtomicU64,
    housekeeping_ms: AtomicU64,
}

/// What a call of a resting thread means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Nothing.
    Seldom,
    /// So many milliseconds have passed since the last call.
    Later(u64),
    /// The thread calls often: it wakes.
    Often,
}

impl Rest {
    /// Whether the thread may go to rest now: not twice in a millisecond.
    #[inline]
    pub fn begin(&self, now_ms: u64) -> bool {
        if self.seen_ms.load(Relaxed) == now_ms {
            return false;
        }
        self.seen_ms.store(now_ms, Relaxed);
        self.left.store(FIRST, Relaxed);
        true
    }

    /// A span became free: the thread, if it doesn't rest, goes to rest.
    #[inline]
    pub fn begin_after_span(&self) {
        self.left.store(self.left.load(Relaxed).max(AFTER_SPAN), Relaxed);
    }

    /// Whether it is time for the thread's housekeeping.
    pub fn keeps_house(&self, now_ms: u64) -> bool {
        let due = now_ms.saturating_sub(self.housekeeping_ms.load(Relaxed)) >= HOUSEKEEPING_MS;
        if due {
            self.housekeeping_ms.store(now_ms, Relaxed);
        }
        due
    }

    /// The resting thread calls.
    #[inline]
    pub fn call(&self, now_ms: u64) -> Call {
        let (left, seen_ms) = (self.left.load(Relaxed), self.seen_ms.load(Relaxed));
        if now_ms > seen_ms {
            let passed = now_ms - seen_ms;
            let left = u64::from(left).saturating_add(passed.saturating_mul(EACH_MS)).min(SAVED_MAX);
            self.left.store(left as u32, Relaxed);
            self.seen_ms.store(now_ms, Relaxed);
            return Call::Later(passed);
        }
        let Some(left) = left.checked_sub(1) else { return Call::Often };
        self.left.store(left, Relaxed);
        Call::Seldom
    }
}

impl Heap {
    /// Goes to rest, if there may be much to give back and the thread may call seldom (rest.rs).
    pub(super) fn try_to_rest(&self) {
        if may_rest() && slot::distance() != 0 && self.rest.begin(os::now_ms()) {
            slot::set(0, State::Resting(slot::distance()));
        }
    }

    /// The same after a span became free.
    pub(super) fn rest_after_span(&self) {
        if may_rest() {
            self.rest.begin_after_span();
            if slot::distance() != 0 {
                slot::set(0, State::Resting(slot::distance()));
            }
        }
    }

    /// A call while it rests: sees whether time has passed, and whether it calls often.
    pub(super) fn rest_on(&self, distance: usize) {
        static LOOKED_MS: AtomicU64 = AtomicU64::new(0);
        let now_ms = os::now_ms();
        match self.rest.call(now_ms) {
            Call::Seldom => (),
            Call::Often => slot::set(distance, State::Known),
            Call::Later(passed_ms) => {
                // One of many resting threads is enough.
                if LOOKED_MS.swap(now_ms, Relaxed) != now_ms {
                    give_back(passed_ms);
                }
                if self.rest.keeps_house(now_ms) {
                    self.close_idle();
                }
            }
        }
    }
}

/// A slow path that doesn't need the thread's heap lets time pass too. `freed`: a span became free.
pub fn look_at_clock(freed: bool) {
    match (slot::distance(), slot::state()) {
        (0, State::Resting(distance)) => {
            let _inside = Inside::enter();
            at_distance(distance).rest_on(distance);
        }
        (0, _) => (),
        (distance, _) if freed => at_distance(distance).rest_after_span(),
        (distance, _) => at_distance(distance).try_to_rest(),
    }
}

/// Whether the heap is so large that threads rest. (Where blocks are sampled, slow paths are what is counted.)
fn may_rest() -> bool {
    mode::current() == Mode::Default
        && region::regions().first().is_some_and(|first| first.committed() > REST_MIN)
}

/// Gives back what has been free for long, after so many milliseconds in which nobody looked: all that is due, but no more than
/// takes a twentieth of that time or so.
pub fn give_back(passed_ms: u64) {
    const BYTES_EACH_MS: usize = 512 << 10;
    /// At most some 15 ms,
    const BYTES_MAX: usize = 256 << 20;
    /// and the same for holes, which go in small pieces.
    const HOLES_MAX: usize = 32 << 20;
    let bytes = (passed_ms as usize).saturating_mul(BYTES_EACH_MS);
    let new_window = pages::purge_step(bytes.min(BYTES_MAX));
    center::purge_step(new_window, false, Some(bytes.min(HOLES_MAX)));
    hardened::purge_step(new_window);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest() -> Rest {
        Rest { left: AtomicU32::new(0), seen_ms: AtomicU64::new(0), housekeeping_ms: AtomicU64::new(0) }
    }

    /// How many calls in a row go by until the thread wakes.
    fn calls(rest: &Rest, now_ms: u64) -> u32 {
        (0..).find(|_| rest.call(now_ms) == Call::Often).expect("some call is the last")
    }

    #[test]
    fn a_busy_thread_wakes_soon_and_does_not_rest_again_at_once() {
        let rest = rest();
        assert!(rest.begin(10));
        assert_eq!(calls(&rest, 10), FIRST);
        assert!(!rest.begin(10));
        assert!(rest.begin(11));
    }

    #[test]
    fn a_free_span_brings_rest_at_any_time() {
        let rest = rest();
        assert!(rest.begin(10));
        assert_eq!(calls(&rest, 10), FIRST);
        rest.begin_after_span();
        assert_eq!(calls(&rest, 10), AFTER_SPAN);
        // If few calls follow until the next millisecond, it goes on.
        rest.begin_after_span();
        assert_eq!(rest.call(10), Call::Seldom);
        assert_eq!(rest.call(11), Call::Later(1));
    }

    #[test]
    fn a_thread_that_calls_seldom_rests_on() {
        let rest = rest();
        assert!(rest.begin(10));
        for ms in 1..1_000 {
            assert_eq!(rest.call(10 + 10 * ms), Call::Later(10));
            // A burst, each time: as many as ten milliseconds allow.
            for _ in 0..10 * EACH_MS - 1 {
                assert_eq!(rest.call(10 + 10 * ms), Call::Seldom);
            }
        }
        assert_eq!(rest.call(1_000_000), Call::Later(1_000_000 - 10_000));
        assert_eq!(u64::from(calls(&rest, 1_000_000)), SAVED_MAX);
    }
}
