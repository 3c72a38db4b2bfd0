//! Huge pages, where the machine gives them quickly.
//!
//! A heap that grows beyond [`FROM`] takes fresh memory for its slabs in *chunks* of 2 MiB, and has each filled with one
//! huge page before it is used: one fault instead of 512, and one entry of the TLB. That costs a tenth to a third of the 512 faults
//! where the kernel has a huge page at hand, and several times as much where it has to make one, or where a
//! hypervisor has to find its memory first (docs/decisions/huge-pages.md has the figures). Which of the two
//! holds changes with the hour, so it is measured: each filling is timed, and after a slow one that those before it have not paid for the
//! heap first has to grow by a pause, which doubles with each further one. Growth in a slow hour so costs a tenth to a sixth more, in a quick one a half less.
//!
//! Of large blocks (large.rs) some huge pages are timed in the same way: more at first, until there is a streak of quick ones, then one for each
//! 16 MiB; and of one that grows, half of what was added. After a streak the kernel may give it huge pages for the rest, as it is touched.
//!
//! Memory: one chunk at a time is filled and not used, 2 MiB, and in larger heaps up to four, if as many threads ask; of large blocks an eighth and 8 MiB; and of those that are expected to be written
//! to (large/written.rs) 16 MiB, or a sixteenth of what is in use up to 64. All other faults but those in such large blocks bring small pages, so what is used
//! sparsely, or given back in part, costs no more than without all this.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cairn_core::os;

use crate::class::GRANULE;
use crate::mode::{self, Mode};
use crate::region::{Place, Region};
use crate::settings;

/// Granules of a chunk.
pub const CHUNK: usize = os::HUGE_PAGE / GRANULE;
/// Granules in use from which on chunks are filled: 8 MiB, so that one that stays half empty is an eighth more at most.
const FROM: usize = 128;
/// A filling that takes longer, in microseconds, is no gain: 512 faults cost some 400 to 1,400. Quick ones take 100 to 600, slow ones
/// 2,500 and more.
const SLOW_US: u64 = 1000;
/// Granules by which the heap grows after a slow one before the next: 16 MiB at first,
const PAUSE_MIN: usize = 256;
/// 4 GiB at most.
const PAUSE_MAX: usize = 64 << 10;
/// So many quick ones in a row, and the slow ones are forgotten.
const STREAK: u32 = 4;
/// What so many quick ones have saved pays for a slow one: 8 times some 0.4 ms, and the TLB's entries.
const PAID_BY: u32 = 8;

/// At most so many chunks are filled at a time, by as many threads,
const FILLING_MAX: usize = 4;
/// and one for each so many granules in use, 16 MiB: beyond that, what is filled and not used is an eighth at most.
const FILLING_EACH: usize = 256;

/// How many chunks may be filled at a time, with so many granules in use.
fn filling_most(in_use: usize) -> usize {
    (in_use / FILLING_EACH).clamp(1, FILLING_MAX)
}

/// The state of the policy.
pub struct Huge {
    /// Granules in use from which on a chunk is filled.
    from: usize,
    /// Granules by which the heap has to grow after the next slow filling.
    pause: usize,
    /// Quick fillings since the last slow one that was not paid for.
    streak: u32,
    /// Quick fillings that have not paid for a slow one yet, [`PAID_BY`] at most.
    saved: u32,
    /// The first granules of the chunks that are being filled.
    filling: [Option<usize>; FILLING_MAX],
}

impl Huge {
    /// Before the first chunk.
    pub const fn new() -> Self {
        Huge { from: FROM, pause: PAUSE_MIN, streak: 0, saved: 0, filling: [None; FILLING_MAX] }
    }

    /// Whether to fill a chunk now, with so many granules in use.
    #[inline]
    pub fn wants(&self, in_use: usize) -> bool {
        in_use >= self.from && self.filling_now() < filling_most(in_use) && are_on()
    }

    /// A chunk of the first region goes out to be filled.
    pub fn begin(&mut self, granule: usize) {
        let free = self.filling.iter_mut().find(|chunk| chunk.is_none());
        debug_assert!(free.is_some(), "as many as are wanted");
        if let Some(free) = free {
            *free = Some(granule);
        }
    }

    /// The chunk is back.
    pub fn end(&mut self, granule: usize) {
        if let Some(chunk) = self.filling.iter_mut().find(|chunk| **chunk == Some(granule)) {
            *chunk = None;
        }
    }

    /// A chunk that is being filled, if there is one.
    pub fn any_filling(&self) -> Option<usize> {
        self.filling.iter().copied().flatten().next()
    }

    fn filling_now(&self) -> usize {
        self.filling.iter().flatten().count()
    }

    /// How the filling went; true if the last ones all were quick, but for one that was paid for.
    pub fn filled(&mut self, took: Filled, in_use: usize) -> bool {
        match took {
            Filled::Quickly => {
                self.streak += 1;
                self.saved = (self.saved + 1).min(PAID_BY);
                if self.streak >= STREAK {
                    self.pause = PAUSE_MIN;
                }
            }
            Filled::Slowly if self.saved == PAID_BY => self.saved = 0,
            // Others that were on their way when one was slow tell nothing new.
            Filled::Slowly if in_use < self.from => self.streak = 0,
            Filled::Slowly => {
                self.streak = 0;
                self.saved = 0;
                self.from = in_use + self.pause;
                self.pause = (2 * self.pause).min(PAUSE_MAX);
            }
            Filled::Not => {
                self.streak = 0;
                self.from = usize::MAX;
            }
        }
        self.is_reliable()
    }

    /// Whether the last fillings all were quick, but for one that was paid for.
    pub fn is_reliable(&self) -> bool {
        self.streak >= STREAK
    }
}

/// How a filling went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// At least as quickly as the faults it saves.
    Quickly,
    /// It would have been better to touch page by page.
    Slowly,
    /// The kernel can't.
    Not,
}

/// Whether huge pages may be used at all. In hardened mode they are not: its guards would split them, and its spans are not to
/// lie side by side.
pub fn are_on() -> bool {
    settings::HUGE_PAGES.get() == 1 && mode::current() != Mode::Hardened && os::huge_pages_allowed()
}

/// Fills a chunk. Without the page lock: it may take milliseconds.
///
/// # Safety
/// The [`CHUNK`] granules are the caller's and committed, begin at a multiple of a huge page, and have no contents: their pages may be given back.
pub unsafe fn fill(chunk: Place) -> Filled {
    let at = chunk.region.address_of(chunk.granule);
    forbid_elsewhere(chunk.region);
    // SAFETY: the caller's contract.
    unsafe {
        os::allow_huge(at, CHUNK * GRANULE);
        let filled = timed(at);
        forbid(chunk.region, at, CHUNK * GRANULE);
        if filled == Filled::Not {
            // A part may have got pages before the kernel gave up, and the chunk comes back as one without.
            os::purge(at, CHUNK * GRANULE);
        }
        filled
    }
}

/// Whether huge pages were ever used here.
static USED: AtomicBool = AtomicBool::new(false);

/// From the first use on, the first region has huge pages only where they were asked for, whatever the system's default is.
pub fn forbid_elsewhere(region: &Region) {
    if !USED.swap(true, Relaxed) {
        // SAFETY: the region's own reservation.
        unsafe { os::forbid_huge(region.address_of(0), region.granules() * GRANULE) };
    }
}

/// From here on a range of the region gets small pages. Where the kernel refuses that (each border of advice is one of a process's mappings, and they may
/// be used up), all of the region is told, which takes no border: or 2 MiB would come at a touch for good, which nobody counts. Live
/// blocks that have asked for huge pages lose a wish.
pub fn forbid(region: &Region, at: *mut u8, bytes: usize) {
    // SAFETY: the caller's range, which lies in the region, or the region's own reservation.
    unsafe {
        if !os::forbid_huge(at, bytes) {
            os::forbid_huge(region.address_of(0), region.granules() * GRANULE);
        }
    }
}

/// The same for a fresh mapping in the region: it knows nothing of what the old one was told, and would stay one of its own.
pub fn forbid_in_fresh(at: *mut u8, bytes: usize) {
    if USED.load(Relaxed) {
        // SAFETY: the caller's range, which lies in a region.
        unsafe { os::forbid_huge(at, bytes) };
    }
}

/// Fills one huge page's range and tells how that went.
///
/// # Safety
/// [`os::HUGE_PAGE`] bytes at `at` are the caller's and committed.
pub unsafe fn timed(at: *mut u8) -> Filled {
    let begin = os::now_us();
    // SAFETY: the caller's contract.
    let done = unsafe { os::populate(at, os::HUGE_PAGE) };
    match done {
        false => Filled::Not,
        true if os::now_us() - begin > SLOW_US => Filled::Slowly,
        true => Filled::Quickly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_slow_filling_is_not_repeated_soon() {
        let mut huge = Huge::new();
        assert!(!huge.wants(FROM - 1));
        huge.filled(Filled::Quickly, FROM);
        assert_eq!(huge.from, FROM);
        huge.filled(Filled::Slowly, 2 * FROM);
        assert_eq!(huge.from, 2 * FROM + PAUSE_MIN);
        huge.filled(Filled::Slowly, 8 * FROM);
        assert_eq!(huge.from, 8 * FROM + 2 * PAUSE_MIN);
        (0..STREAK).for_each(|n| assert_eq!(huge.filled(Filled::Quickly, 16 * FROM), n + 1 == STREAK));
        huge.filled(Filled::Slowly, 16 * FROM);
        assert_eq!(huge.from, 16 * FROM + PAUSE_MIN);
        // Those that were under way at the same time count once.
        huge.filled(Filled::Slowly, 16 * FROM);
        huge.filled(Filled::Slowly, 16 * FROM + 4 * CHUNK);
        assert_eq!(huge.from, 16 * FROM + PAUSE_MIN);
        huge.filled(Filled::Not, 8 * FROM);
        assert!(!huge.wants(usize::MAX - 1));
    }

    #[test]
    fn a_larger_heap_fills_more_chunks_at_a_time() {
        let mut huge = Huge::new();
        huge.begin(32);
        assert!(!huge.wants(FROM) && !huge.wants(2 * FILLING_EACH - 1));
        assert!(huge.wants(2 * FILLING_EACH));
        (2..=FILLING_MAX).for_each(|n| huge.begin(32 * n));
        assert!(!huge.wants(1 << 20));
        huge.end(64);
        assert!(huge.wants(1 << 20), "one is back");
        huge.end(64);
        let mut left: Vec<usize> = core::iter::from_fn(|| {
            let granule = huge.any_filling()?;
            huge.end(granule);
            Some(granule)
        })
        .collect();
        left.sort_unstable();
        assert_eq!(left, [32, 96, 128], "a fork's child finds all that were not back");
    }

    #[test]
    fn what_many_have_saved_pays_for_one_slow_filling() {
        let mut huge = Huge::new();
        let quickly =
            |huge: &mut Huge, times: u32| (0..times).for_each(|_| _ = huge.filled(Filled::Quickly, FROM));
        quickly(&mut huge, 3 * PAID_BY);
        assert!(huge.filled(Filled::Slowly, FROM), "it is as if it had not been");
        assert!(huge.wants(FROM));
        assert!(!huge.filled(Filled::Slowly, FROM), "for one, however many there were");
        assert!(!huge.wants(FROM));
        let mut huge = Huge::new();
        quickly(&mut huge, PAID_BY - 1);
        assert!(!huge.filled(Filled::Slowly, FROM), "too few");
        quickly(&mut huge, PAID_BY - 1);
        assert!(!huge.filled(Filled::Slowly, FROM), "those before the last slow one don't count");
    }
}
