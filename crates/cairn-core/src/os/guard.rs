//! Pages that nobody may touch, and random numbers: what a heap needs that defends itself.
//!
//! A guard that the kernel keeps in its page tables (`MADV_GUARD_INSTALL`, Linux 6.13) makes no mapping of its own, so there may be
//! any number of them. Where the kernel has none, or refuses one (locked memory), a guard is an inaccessible mapping
//! (`mprotect`), which splits the one around it; a process may have 65,530 mappings, so only [`SPLITS_MAX`] such guards are
//! made, and what would be a further one stays as it is.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

use super::call::{call, was_interrupted};
use super::{advise, commit, map_as, protect, purge};

/// `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`; the `libc` crate has them for some targets only.
const GUARD_INSTALL: libc::c_int = 102;
const GUARD_REMOVE: libc::c_int = 103;
/// An advice that no kernel knows.
const NO_ADVICE: libc::c_int = 0x7fff_fff0;

/// Guards that may be mappings of their own at a time: each makes two more, and half of what a process may have is the program's.
const SPLITS_MAX: usize = 16 << 10;

/// Guards that are mappings of their own now.
static SPLITS: AtomicUsize = AtomicUsize::new(0);

/// Whether the kernel keeps guards in its page tables: 0 until somebody asked.
static HAS_MARKS: AtomicU8 = AtomicU8::new(0);
const YES: u8 = 1;
const NO: u8 = 2;

/// What keeps a range from being touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Guard {
    /// Nothing: the kernel refused, or there are too many.
    #[default]
    None = 0,
    /// The page tables.
    Pages = 1,
    /// A mapping of its own. (Perhaps not all of the range: the kernel refused when it had begun, and to undo that.)
    Mapping = 2,
}

/// Makes a range inaccessible; its contents are lost (`madvise(MADV_GUARD_INSTALL)`, else `mprotect`).
///
/// # Safety
/// The range is page-aligned, committed, and holds nothing that anybody needs.
pub unsafe fn install_guard(at: *mut u8, bytes: usize) -> Guard {
    // SAFETY: the caller's contract.
    unsafe {
        if has_marks(at, bytes) {
            if advise(at, bytes, GUARD_INSTALL) {
                return Guard::Pages;
            }
            // It may have got as far as a page that it may not take (locked memory), and what is marked would stay so beneath the
            // mapping. This, the kernel refuses for no memory of which it marks a part.
            advise(at, bytes, GUARD_REMOVE);
        }
    }
    if SPLITS.fetch_add(1, Relaxed) < SPLITS_MAX {
        // SAFETY: the caller's contract.
        if unsafe { forbid(at, bytes) } {
            return Guard::Mapping;
        }
        // Of a range that lies in several mappings, a part may be inaccessible by now. To undo that joins mappings and needs no
        // further ones. If it is refused nevertheless, some of the range may be guarded, and it is taken for guarded.
        //
        // SAFETY: the caller's contract.
        if !unsafe { commit(at, bytes) } {
            return Guard::Mapping;
        }
    }
    SPLITS.fetch_sub(1, Relaxed);
    Guard::None
}

/// Whether the kernel knows the advice, and refuses what it doesn't know: an emulator (QEMU's user mode) says "done" to any, and does
/// nothing.
///
/// # Safety
/// The range is the caller's, and has no guards.
unsafe fn has_marks(at: *mut u8, bytes: usize) -> bool {
    // Relaxed: all who ask get the same answer.
    if HAS_MARKS.load(Relaxed) == 0 {
        // SAFETY: what no kernel knows, none does; and there is nothing to remove.
        let has = unsafe { !advise(at, bytes, NO_ADVICE) && advise(at, bytes, GUARD_REMOVE) };
        HAS_MARKS.store(if has { YES } else { NO }, Relaxed);
    }
    HAS_MARKS.load(Relaxed) == YES
}

/// Makes a guarded range accessible again; false if the kernel refuses, and the range then stays as it is for ever.
///
/// # Safety
/// [`install_guard`] gave `guard` for this very range.
pub unsafe fn remove_guard(at: *mut u8, bytes: usize, guard: Guard) -> bool {
    match guard {
        Guard::None => true,
        // SAFETY: the caller owns the range.
        Guard::Pages => unsafe { advise(at, bytes, GUARD_REMOVE) },
        Guard::Mapping => {
            // SAFETY: the caller owns the range.
            let done = unsafe { commit(at, bytes) };
            SPLITS.fetch_sub(usize::from(done), Relaxed);
            done
        }
    }
}

/// Makes a range inaccessible and keeps its contents (`mprotect`, PROT_NONE); false if the kernel refuses, and a part of the range may be
/// inaccessible then. [`commit`] makes it usable again.
///
/// # Safety
/// The range is page-aligned, committed, and nobody has a use for it meanwhile.
pub unsafe fn forbid(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller owns the range.
    unsafe { protect(at, bytes, libc::PROT_NONE) }
}

/// Turns memory back into address space that can't be touched, and gives its pages back (`mmap(MAP_FIXED)`, PROT_NONE, or what does the
/// same in two steps). False if the kernel refuses all that.
///
/// # Safety
/// The range is page-aligned, accessible (the second way may look at it, see [`purge`]), lies in a reservation of the caller, and
/// holds nothing that anybody needs.
pub unsafe fn decommit(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller's contract: what is replaced is its own. The second way needs the first to have failed before anything was
    // changed, which is how it fails: the kernel looks at its limits first.
    unsafe {
        let mapped = map_as(at.expose_provenance(), bytes, libc::PROT_NONE, libc::MAP_FIXED);
        mapped.is_ok() || (purge(at, bytes) && forbid(at, bytes))
    }
}

/// Makes a range readable only (`mprotect`, PROT_READ); false if the kernel refuses.
///
/// # Safety
/// The range is page-aligned and the caller's, and nobody writes to it any more.
pub unsafe fn make_read_only(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller owns the range.
    unsafe { protect(at, bytes, libc::PROT_READ) }
}

/// Fills with random words (`getrandom`, which never waits here); false if the kernel has none to give.
pub fn random(words: &mut [u64]) -> bool {
    let bytes = size_of_val(words);
    let mut got = 0;
    while got < bytes {
        let rest = words.as_mut_ptr().expose_provenance() + got;
        // SAFETY: the kernel writes at most the bytes that are left.
        let more = unsafe { call(libc::SYS_getrandom, [rest, bytes - got, libc::GRND_NONBLOCK as usize]) };
        match more {
            Ok(more @ 1..) => got += more,
            _ if was_interrupted(more) => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{map_zeroed, page_size, unmap};

    #[test]
    fn a_guard_comes_and_goes() {
        let page = page_size();
        let at = map_zeroed(3 * page).unwrap().as_ptr();
        // SAFETY: the pages are this test's own; the guarded one is not touched meanwhile.
        unsafe {
            at.add(page).write(7);
            let guard = install_guard(at.add(page), page);
            assert_ne!(guard, Guard::None);
            at.write(1);
            at.add(2 * page).write(1);
            assert!(remove_guard(at.add(page), page, guard));
            if guard == Guard::Pages {
                assert_eq!(at.add(page).read(), 0, "what was there is gone");
            }
            assert!(forbid(at, page) && crate::os::commit(at, page));
            assert_eq!(at.read(), 1, "what was forbidden is kept");
            assert!(unmap(at, 3 * page));
        }
    }

    /// The kernel marks the first page and may not mark the second one.
    #[test]
    fn a_guard_that_is_refused_half_way_leaves_no_marks() {
        let page = page_size();
        let at = map_zeroed(2 * page).unwrap().as_ptr();
        // SAFETY: the pages are this test's own, and nobody touches them while they are guarded.
        unsafe {
            // Where the limit on locked memory is 0 the guard is one in the page tables.
            let is_locked = libc::mlock(at.add(page).cast(), page) == 0;
            let guard = install_guard(at, 2 * page);
            assert_ne!(guard, Guard::None);
            assert!(guard == Guard::Mapping || !is_locked, "locked memory can't be marked");
            assert!(remove_guard(at, 2 * page, guard));
            at.write(1);
            at.add(page).write(2);
            assert_eq!((at.read(), at.add(page).read()), (1, 2));
            assert!(unmap(at, 2 * page));
        }
    }

    #[test]
    fn random_words_differ() {
        let mut words = [0; 300];
        assert!(random(&mut words));
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
