//! Claim: a mode that is refused, once and again, leaves the process in the mode that it was in, with a heap that works; and what refused it
//! gone, it can be entered.
//!
//! One test: the mode is the process's. The test harness itself doesn't use Cairn.

#![allow(clippy::undocumented_unsafe_blocks)] // each block is freed once, by its layout

use std::alloc::{GlobalAlloc, Layout};
use std::sync::mpsc;
use std::thread;

use cairn_alloc::Cairn;
use cairn_alloc::audit;
use cairn_alloc::mode::{self, Mode, Refused};

/// Blocks of all kinds come and go, and the heap is whole.
fn works() {
    for size in [1, 24, 200, 5000, 40_000, 1 << 20, 5 << 20] {
        let layout = Layout::from_size_align(size, 16).unwrap();
        let blocks: Vec<*mut u8> = (0..40)
            .map(|number| unsafe {
                let block = Cairn.alloc(layout);
                assert!(!block.is_null(), "{size} bytes in mode {:?}", mode::current());
                block.write_bytes(number, size);
                block
            })
            .collect();
        for (number, block) in blocks.into_iter().enumerate() {
            unsafe {
                assert_eq!((block.read(), block.add(size - 1).read()), (number as u8, number as u8));
                Cairn.dealloc(block, layout);
            }
        }
    }
    assert!(audit::check().is_ok());
}

/// Sets the limit on address space (the soft one).
fn limit_address_space(bytes: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
        before
    }
}

/// Whether the kernel refuses memory now. QEMU's user mode takes the limit and doesn't keep to it.
fn is_limited() -> bool {
    let (bytes, flags) = (1 << 20, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, given back.
    unsafe {
        let map = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
        map == libc::MAP_FAILED || libc::munmap(map, bytes) != 0
    }
}

#[test]
fn a_refusal_leaves_things_as_they_were() {
    works();

    // Another thread has bins.
    let (done, until) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let other = thread::spawn(move || {
        works();
        tell.send(()).unwrap();
        until.recv().unwrap();
        works();
    });
    told.recv().unwrap();
    for mode in [Mode::Hardened, Mode::Debug, Mode::Hardened, Mode::Debug] {
        assert_eq!(mode::enter(mode), Err(Refused::Threads));
        assert_eq!(mode::current(), Mode::Default);
        works();
    }
    done.send(()).unwrap();
    other.join().unwrap();

    // There is no address space left: less than the process has already.
    let before = limit_address_space(1 << 20);
    let refused = is_limited().then(|| {
        [Mode::Debug, Mode::Sampled, Mode::Debug, Mode::Sampled].map(|mode| (mode, mode::enter(mode)))
    });
    limit_address_space(before);
    assert!(refused.is_some() || cfg!(not(target_arch = "x86_64")), "only emulators forget a limit");
    for (mode, answer) in refused.into_iter().flatten() {
        assert_eq!(answer, Err(Refused::Memory), "{mode:?}");
    }
    assert_eq!(mode::current(), Mode::Default);
    works();

    // Now it can be entered, but no other after it.
    assert_eq!(mode::enter(Mode::Debug), Ok(()));
    assert_eq!(mode::enter(Mode::Debug), Ok(()));
    works();
    for mode in [Mode::Hardened, Mode::Default, Mode::Sampled, Mode::Hardened] {
        assert_eq!(mode::enter(mode), Err(Refused::Entered(Mode::Debug)));
        assert_eq!(mode::current(), Mode::Debug);
        works();
    }
    thread::spawn(works).join().unwrap();
}
