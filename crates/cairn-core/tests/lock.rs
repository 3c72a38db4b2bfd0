//! The lock with real threads and the real kernel.
#![cfg(not(loom))]

use cairn_core::lock::Lock;
use cairn_core::sync::UnsafeCell;
use std::sync::mpsc;
use std::time::Duration;

/// A count that only the lock protects.
struct Guarded {
    lock: Lock,
    count: UnsafeCell<u64>,
}

// SAFETY: `count` is touched only by a thread that is inside `lock`.
unsafe impl Sync for Guarded {}

static SHARED: Guarded = Guarded { lock: Lock::new(), count: UnsafeCell::new(0) };

#[test]
fn no_increment_is_lost() {
    let (threads, rounds) = if cfg!(miri) { (3, 20) } else { (8, 20_000) };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 0..rounds {
                    let _inside = SHARED.lock.hold();
                    // SAFETY: this thread is inside the lock.
                    SHARED.count.with_mut(|count| unsafe { *count += 1 });
                    if round % 64 == 0 {
                        // Leave the processor while inside, so that others really go to sleep.
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    // SAFETY: all other threads have ended.
    assert_eq!(SHARED.count.with(|count| unsafe { *count }), threads * rounds);
}

#[test]
fn try_lock_says_no_while_held() {
    let lock = Lock::new();
    assert!(lock.try_lock());
    assert!(!lock.try_lock());
    // SAFETY: entered above.
    unsafe { lock.unlock() };
    {
        let _inside = lock.hold();
        assert!(!lock.try_lock());
    }
    assert!(lock.try_lock());
    // SAFETY: entered in the line above; no other thread knows this lock.
    unsafe { lock.reset() };
    assert!(lock.try_lock());
}

#[test]
fn errno_is_kept_by_sleeping_and_waking() {
    static LOCK: Lock = Lock::new();
    LOCK.lock();
    let (at_the_door, started) = mpsc::channel();
    let sleeper = std::thread::spawn(move || {
        // SAFETY: errno of this thread.
        unsafe { *libc::__errno_location() = 77 };
        at_the_door.send(()).unwrap();
        LOCK.lock();
        // SAFETY: as above.
        let errno = unsafe { *libc::__errno_location() };
        // SAFETY: entered two lines above.
        unsafe { LOCK.unlock() };
        errno
    });
    started.recv().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    // SAFETY: errno of this thread.
    unsafe { *libc::__errno_location() = 88 };
    // SAFETY: entered at the top.
    unsafe { LOCK.unlock() };
    // SAFETY: errno of this thread.
    assert_eq!(unsafe { *libc::__errno_location() }, 88);
    assert_eq!(sleeper.join().unwrap(), 77);
}

#[test]
fn a_child_may_make_the_lock_free() {
    static LOCK: Lock = Lock::new();
    LOCK.lock();
    // SAFETY: this thread is inside and no other one knows the lock.
    unsafe { LOCK.reset() };
    let _inside = LOCK.hold();
}
