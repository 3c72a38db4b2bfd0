//! Claim: a guard that the kernel sets up half-way and then refuses leaves nothing inaccessible.
//!
//! Alone in its process, since it uses up all mappings that a process may have.
#![cfg(all(feature = "os", not(miri)))]

use cairn_core::os::{
    Guard, forbid, install_guard, map_zeroed, mappings_max, page_size, remove_guard, reserve,
};

/// Makes mappings until the kernel gives no more, but for `left` of them.
///
/// In a reservation what begins at some page has another protection than what comes before it: a mapping for each page.
fn use_up_mappings(left: usize) {
    let (page, pages) = (page_size(), mappings_max() + 10);
    let at = reserve(pages * page).expect("address space").as_ptr();
    let protect_from = |first: usize, protection| {
        // SAFETY: the reservation is this function's, and nobody ever touches it.
        unsafe { libc::mprotect(at.add(first * page).cast(), (pages - first) * page, protection) == 0 }
    };
    let protection = |first: usize| if first.is_multiple_of(2) { libc::PROT_NONE } else { libc::PROT_READ };
    let last = (1..pages).find(|&first| !protect_from(first, protection(first)));
    let last = last.expect("a process may not have more mappings than the kernel says");
    for first in (last - left..last).rev() {
        assert!(protect_from(first, protection(first - 1)), "joining mappings needs none");
    }
}

#[test]
fn a_guard_that_is_refused_half_way_leaves_all_accessible() {
    let page = page_size();
    let at = map_zeroed(4 * page).expect("memory").as_ptr();
    // SAFETY: the pages are this test's own, and nobody touches them while they are guarded.
    unsafe {
        let is_locked = libc::mlock(at.add(2 * page).cast(), 2 * page) == 0;
        let is_apart = libc::madvise(at.add(2 * page).cast(), 2 * page, libc::MADV_DONTFORK) == 0;
        assert!(is_apart, "two mappings that can't be joined");
        // As the one below, so that none is left to be found out.
        let first = install_guard(at.add(page), 2 * page);
        assert!(remove_guard(at.add(page), 2 * page, first));
        use_up_mappings(1);
        // A guard in the second page and the third would split both mappings; a guard in the page tables, neither.
        let guard = install_guard(at.add(page), 2 * page);
        assert_eq!(guard == Guard::Pages, first == Guard::Pages, "marks need no mappings");
        assert!(
            first == Guard::Pages || guard == Guard::None,
            "{guard:?}: there is room for one mapping, not for two"
        );
        assert!(first != Guard::Pages || !is_locked, "locked memory can't be marked");
        assert!(remove_guard(at.add(page), 2 * page, guard));
        for index in 0..4 {
            at.add(index * page).write(7);
        }
        // What is said here of the kernel: it leaves what it did.
        assert!(!forbid(at.add(page), 2 * page));
    }
}
