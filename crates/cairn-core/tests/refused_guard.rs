//! Claim: what [`install_guard`] says of a guard is so, whatever the kernel refuses.
#![cfg(all(feature = "os", not(miri)))]

mod refuse;

use cairn_core::os::{Guard, install_guard, map_zeroed, page_size, remove_guard};
use refuse::{Refused, refuse};

const GUARD_INSTALL: u32 = 102;
const READ_WRITE: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;

/// Three pages, the middle one of which is no longer mapped.
fn pages_with_a_hole() -> *mut u8 {
    let at = map_zeroed(3 * page_size()).expect("memory").as_ptr();
    // SAFETY: the pages are this function's own, and nobody touches the one that goes.
    assert_eq!(unsafe { libc::munmap(at.add(page_size()).cast(), page_size()) }, 0);
    at
}

/// The kernel guards the first page, by a mapping, finds a hole, and won't undo what it did.
#[test]
fn what_may_be_guarded_is_not_said_to_be_open() {
    std::thread::spawn(|| {
        let page = page_size();
        let at = pages_with_a_hole();
        let can = refuse([
            Refused(libc::SYS_madvise, 2, GUARD_INSTALL),
            Refused(libc::SYS_mprotect, 2, READ_WRITE),
        ]);
        if !can {
            return println!("skipped: no filter of system calls here");
        }
        // SAFETY: nobody touches the pages any more.
        unsafe {
            let guard = install_guard(at, 3 * page);
            assert_ne!(guard, Guard::None);
            assert!(!remove_guard(at, 3 * page, guard), "it can't be undone");
        }
    })
    .join()
    .expect("no failure");
}
