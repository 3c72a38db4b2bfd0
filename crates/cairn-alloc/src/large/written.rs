//! Whether blocks of some 256 KiB to 2 MiB are written to from end to end, or what is added to those that grow, as far as the last ones tell.
//!
//! Such a block in huge pages is there at once, and with all of its bytes: half of the time if the program writes to it, and up to 2 MiB
//! for nothing if it is a buffer of which little is ever used. Nobody says which, so one block is *watched*: it gets small pages, and
//! the kernel is asked whether a few pages of it are in memory, in its middle, or at its end if it has grown. After a few blocks of
//! which they were huge pages are used, and from then on one is watched in each 16 MiB or so, or in each 16th of the memory in use up to 64 MiB, so
//! that a program which changes its ways pays for that much.
//!
//! The kernel is asked when the next block is requested, mostly: who asks for another one has written to the last. But that may be another thread, or a program
//! that asks for some before it writes to the first. So a block that was not written to yet stays watched: until it is freed, which settles it, or
//! for [`PATIENCE`] requests. Meanwhile no other one is, and a program that is trusted stays so for
//! 4 MiB, which are the first of the next 16 or more.
//!
//! All of this is a guess about time and pages, never about bytes: threads that race here, or a watched block that is another one by now,
//! make it a worse one, no more.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many blocks in a row must have been written to.
const ENOUGH: usize = 4;
/// Bytes of such blocks after which one is watched again: 16 MiB,
const WATCH_EACH: usize = 16 << 20;
/// or this part of what is in use (each one that is watched leaves pieces of another kind among those that are filled),
const WATCH_SHARE: usize = 16;
/// but 64 MiB at most: what is in use need not have been touched.
const WATCH_EACH_MAX: usize = 64 << 20;
/// So many bytes of that are for the time in which the watched one has not been written to yet.
const WHILE_WATCHED: usize = 4 << 20;
/// After so many requests a block that still was not written to will not be. The kernel is asked at each power of two.
const PATIENCE: usize = 32;

/// What is known.
pub struct Written {
    /// Watched blocks in a row that were written to.
    seen: AtomicUsize,
    /// The first granule of the block that is watched,
    granule: AtomicUsize,
    /// and how many it has; 0 if none is.
    granules: AtomicUsize,
    /// Requests since then.
    asked: AtomicUsize,
    /// Bytes of blocks that were expected to be written to since the last one was watched: also before it was known what became of that, so
    /// that a program which changes its ways meanwhile does not pay twice.
    trusted: AtomicUsize,
}

impl Written {
    /// Nothing is known.
    pub const fn new() -> Self {
        Written {
            seen: AtomicUsize::new(0),
            granule: AtomicUsize::new(0),
            granules: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            trusted: AtomicUsize::new(0),
        }
    }

    /// Whether to expect that the next block, which would have so many bytes in memory, is written to from end to end; if not, it should be
    /// [watched](Written::watch). `in_use` tells how many bytes the heap has in use, and `was_written` looks at so many granules from one on.
    pub fn expects(
        &self,
        bytes: usize,
        in_use: impl FnOnce() -> usize,
        was_written: impl FnOnce(usize, usize) -> bool,
    ) -> bool {
        // Relaxed, all of them: see above.
        let watched = self.granules.load(Relaxed);
        if watched != 0 {
            let asked = self.asked.load(Relaxed) + 1;
            self.asked.store(asked, Relaxed);
            if asked.is_power_of_two() {
                let written = was_written(self.granule.load(Relaxed), watched);
                if written || asked >= PATIENCE {
                    self.settle(written);
                }
            }
        }
        if self.seen.load(Relaxed) < ENOUGH {
            return false;
        }
        let most = match self.granules.load(Relaxed) {
            0 => watch_each(in_use) - WHILE_WATCHED,
            _ => WHILE_WATCHED,
        };
        let trusted = self.trusted.load(Relaxed) + bytes;
        let expects = trusted < most;
        if expects {
            self.trusted.store(trusted, Relaxed);
        }
        expects
    }

    /// A block that has no pages yet is given out, and was not expected to be written to: it is watched, if no other one is. (One that has pages
    /// already tells nothing, so the next one is not expected to be either.)
    pub fn watch(&self, granule: usize, granules: usize) {
        if self.granules.load(Relaxed) == 0 {
            self.asked.store(0, Relaxed);
            self.trusted.store(0, Relaxed);
            self.granule.store(granule, Relaxed);
            self.granules.store(granules, Relaxed);
        }
    }

    /// So many granules from `first` on are freed, or may be elsewhere soon: if the watched block is there, `was_written` looks at it for the last time.
    pub fn freed(&self, first: usize, granules: usize, was_written: impl FnOnce(usize, usize) -> bool) {
        if self.is_watched_in(first, granules) {
            self.settle(was_written(self.granule.load(Relaxed), self.granules.load(Relaxed)));
        }
    }

    /// What is watched among so many granules from `first` on is watched no more.
    pub fn forget(&self, first: usize, granules: usize) {
        if self.is_watched_in(first, granules) {
            self.granules.store(0, Relaxed);
        }
    }

    fn is_watched_in(&self, first: usize, granules: usize) -> bool {
        self.granules.load(Relaxed) != 0 && (first..first + granules).contains(&self.granule.load(Relaxed))
    }

    /// The watched block was written to, or was not and will not be.
    fn settle(&self, written: bool) {
        self.granules.store(0, Relaxed);
        self.seen.store(if written { self.seen.load(Relaxed) + 1 } else { 0 }, Relaxed);
    }
}

/// Bytes after which one is watched again, if `in_use` are.
fn watch_each(in_use: impl FnOnce() -> usize) -> usize {
    (in_use() / WATCH_SHARE).clamp(WATCH_EACH, WATCH_EACH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// A block of 1 MiB is asked for; true if it need not be watched.
    fn next(written: &Written, was_written: bool) -> bool {
        let expects = written.expects(
            MIB,
            || 0,
            |granule, granules| {
                assert_eq!((granule, granules), (7, 16));
                was_written
            },
        );
        if !expects {
            written.watch(7, 16);
        }
        expects
    }

    #[test]
    fn a_few_that_were_written_to_are_enough() {
        let written = Written::new();
        assert!((0..ENOUGH).all(|_| !next(&written, true)));
        assert!(next(&written, true));
        // Nobody is watched, so nobody is looked at.
        assert!(next(&written, false));
    }

    #[test]
    fn one_in_16_mib_is_watched_again_and_can_end_it() {
        let written = Written::new();
        (0..ENOUGH).for_each(|_| _ = next(&written, true));
        let trusted = || (0..100).take_while(|_| next(&written, true)).count() * MIB;
        assert_eq!(trusted(), WATCH_EACH - WHILE_WATCHED - MIB);
        assert_eq!(trusted(), WATCH_EACH - WHILE_WATCHED - MIB);
        // One that can't be watched, because it has pages, leaves that to the next one.
        assert!((0..11).all(|_| next(&written, true)));
        assert!(!written.expects(MIB, || 0, |_, _| unreachable!("nobody is watched")));
        assert!(!next(&written, true));
        // The one that is watched now is not written to, and the next ones only begin to be.
        assert_eq!((0..PATIENCE).take_while(|_| next(&written, false)).count() * MIB, WHILE_WATCHED - MIB);
        let asked = WHILE_WATCHED / MIB;
        assert!((asked..PATIENCE).all(|_| !next(&written, false)));
        assert!((1..ENOUGH).all(|_| !next(&written, true)));
        assert!(next(&written, true));
    }

    #[test]
    fn what_was_trusted_while_one_was_watched_counts() {
        let written = Written::new();
        (0..ENOUGH).for_each(|_| _ = next(&written, true));
        let trusted = || (0..100).take_while(|_| next(&written, true)).count() * MIB;
        let usual = trusted();
        assert!((0..3).all(|_| next(&written, false)));
        assert_eq!(trusted(), usual - 3 * MIB);
    }

    #[test]
    fn a_block_may_be_written_to_some_requests_later() {
        let written = Written::new();
        let mut looks = 0;
        for _ in 0..ENOUGH {
            written.watch(7, 16);
            for asked in 1..=PATIENCE / 2 {
                // Other threads ask meanwhile, and what they get is not watched.
                let was_written = |granule: usize, _: usize| {
                    looks += 1;
                    assert_eq!(granule, 7);
                    asked == PATIENCE / 2
                };
                assert_eq!(written.expects(MIB, || 0, was_written), asked == PATIENCE / 2 && looks == 20);
                if asked < PATIENCE / 2 {
                    written.watch(8, 16);
                }
            }
        }
        assert_eq!(looks, ENOUGH * 5, "the kernel is asked after 1, 2, 4, 8 and 16 requests");
    }

    #[test]
    fn a_block_that_is_freed_tells_for_the_last_time() {
        let written = Written::new();
        for _ in 0..ENOUGH {
            assert!(!written.expects(MIB, || 0, |_, _| unreachable!("nobody is watched")));
            written.watch(7, 16);
            written.freed(0, 7, |_, _| unreachable!("that is another one"));
            written.freed(0, 8, |granule, granules| (granule, granules) == (7, 16));
        }
        assert!(written.expects(MIB, || 0, |_, _| unreachable!("nobody is watched")));
        written.watch(7, 16);
        written.freed(7, 16, |_, _| false);
        assert!(!written.expects(MIB, || 0, |_, _| unreachable!("nobody is watched")));
    }

    #[test]
    fn where_much_is_in_use_fewer_are_watched() {
        let written = Written::new();
        (0..ENOUGH).for_each(|_| _ = next(&written, true));
        let trusted = |in_use: usize| {
            let nobody = |_: usize, _: usize| unreachable!("nobody is watched");
            (0..100).take_while(|_| written.expects(MIB, || in_use, nobody)).count()
        };
        // The last of the first few is looked at.
        assert!(written.expects(MIB, || 512 * MIB, |_, _| true));
        assert_eq!(trusted(512 * MIB), 26);
        assert_eq!(trusted(usize::MAX), 32);
    }

    #[test]
    fn what_is_forgotten_tells_nothing() {
        let written = Written::new();
        (1..ENOUGH).for_each(|_| _ = next(&written, true));
        written.forget(0, 7);
        written.forget(8, 100);
        assert!(!next(&written, true), "another one was watched, and three are not enough");
        written.forget(7, 1);
        assert!(!next(&written, false), "nobody was watched, and one more is to be seen");
        assert!(next(&written, true));
        // One block that grows and grows is watched now and then all the same.
        let filled = (0..200).filter(|_| {
            written.forget(7, 1);
            next(&written, false)
        });
        assert!(filled.count() > 180);
    }
}
