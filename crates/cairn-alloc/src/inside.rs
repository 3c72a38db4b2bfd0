//! Which thread is inside the engine, and which has all its locks: what a fork has to know.
//!
//! Every slow half of the engine begins with [`Inside::enter`]. Two things can come between its steps, in the same thread:
//!
//! - *A signal handler that forks.* The thread it interrupted may hold any lock, so the preparations for a fork can't take them.
//!   They take none, and neither side hangs: the parent just goes on, and the child is what POSIX says, a process that may
//!   call what a signal handler may call. If there was no other thread, it may even return from the handler and go on with all it likes.
//! - *A handler of the fork that allocates* (`pthread_atfork`), after ours took all the locks, or before ours has let them go
//!   (the order is that of registration). So a thread that has all the locks lets go of them when it enters, and takes
//!   them again when it leaves.
//!
//! The state is sixteen bits of the slot, which only its own thread uses:
//! ```text
//!   bits  9..16    forks that took no locks, and have not ended
//!   bit   8        this thread has all locks, for a fork
//!   bits  0..8     how many times it is inside; more than once if what it called allocates, or a handler does
//! ```
//! A thread that leaves by `longjmp` or is cancelled in the middle stays inside; it may well hold a lock, too.

use cairn_core::os::KeepErrno;
use cairn_core::planted;

use crate::{fork, slot};

const HAS_LOCKS: usize = 1 << 8;
const FORK_WITHOUT: usize = 1 << 9;

/// While this exists the thread counts as inside. Keeps errno.
pub struct Inside {
    /// Whether the thread had all locks and let go of them.
    lent: bool,
    /// Whether it made the number of entries greater.
    counted: bool,
    _errno: KeepErrno,
}

impl Inside {
    /// Enters.
    #[inline]
    pub fn enter() -> Inside {
        let _errno = KeepErrno::new();
        // A thread that was left by `longjmp` so often can't be counted any further, and stays inside.
        let counted = slot::inside() % HAS_LOCKS < HAS_LOCKS - 1;
        let word = slot::add_inside(usize::from(counted));
        let lent = word & HAS_LOCKS != 0 && !planted!("fork-lends");
        if lent {
            lend();
        }
        Inside { lent, counted, _errno }
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if self.lent {
            take_back();
        }
        slot::add_inside(usize::from(self.counted).wrapping_neg());
    }
}

#[cold]
fn lend() {
    slot::add_inside(HAS_LOCKS.wrapping_neg());
    // SAFETY: the word said that this thread has them. After a fork that holds for the child too, whose memory is a copy.
    unsafe { fork::unlock_all() };
}

#[cold]
fn take_back() {
    fork::lock_all();
    slot::add_inside(HAS_LOCKS);
}

/// Whether the caller, which has not entered, interrupted this thread inside.
pub fn is_interrupted() -> bool {
    depth() > 0
}

/// How many times the calling thread is inside.
pub fn depth() -> usize {
    slot::inside() % HAS_LOCKS
}

/// Before a fork: takes all locks, unless this thread was interrupted inside.
pub fn before_fork() {
    let word = slot::inside();
    if word != 0 {
        slot::add_inside(FORK_WITHOUT);
        return;
    }
    slot::add_inside(1);
    fork::lock_all();
    slot::add_inside(HAS_LOCKS - 1);
}

/// After a fork, in parent or child: runs `let_go` if this thread has all locks.
///
/// # Safety
/// [`before_fork`] ran in this thread, or in the one that this is the child's copy of, and `let_go` frees the locks.
pub unsafe fn after_fork(let_go: impl FnOnce()) {
    let word = slot::inside();
    if word >= FORK_WITHOUT {
        slot::add_inside(FORK_WITHOUT.wrapping_neg());
    } else if word == HAS_LOCKS {
        slot::add_inside(1usize.wrapping_sub(HAS_LOCKS));
        let_go();
        slot::add_inside(1usize.wrapping_neg());
    }
}
