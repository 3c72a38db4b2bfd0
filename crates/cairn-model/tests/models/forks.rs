//! A fork takes all locks while other threads hold two or three of them, in the order in which the engine nests them.

use cairn_model::rooms::{self, center, guarded, hardened, slot, thread};
use cairn_model::shipped::mode::{self, Mode};
use cairn_model::shipped::{fork, hands::Hands, shelf};
use cairn_model::tool;

/// What other threads do: each holds locks while it waits for further ones.
const TRIPS: [(&str, fn()); 6] = [
    ("slabs", center::visit),
    ("batches", center::visit_pool),
    ("the hardened heap", hardened::visit),
    ("guarded pages", guarded::visit),
    ("a shelf", shelve),
    ("a mode", enter),
];

fn enter() {
    // A thread that has bins may be the other one.
    let _ = mode::enter(Mode::Debug);
    thread::end();
}

/// Puts a block on a shelf, which then needs memory.
fn shelve() {
    let _inside = cairn_model::shipped::inside::Inside::enter();
    let hands = Hands::empty();
    hands.add(1, 1, |slots, taken| {
        slots[0] = std::ptr::without_provenance_mut(16);
        taken(1);
        1
    });
    shelf::put(1, &hands);
}

/// The parent's side of a fork, with a handler of the program's that allocates before it, or after.
fn fork(handler: impl Fn()) {
    // SAFETY: both, in the order of a fork; nothing of this thread is held.
    unsafe { fork::before() };
    handler();
    rooms::assert_all_whole();
    // SAFETY: see above.
    unsafe { fork::after_in_parent() };
    assert_eq!(slot::inside(), 0);
}

fn everything_goes_on_after() {
    rooms::visit_all();
    rooms::assert_all_whole();
    assert!(rooms::are_all_free());
}

fn a_fork_meets(trip: &'static str, preemptions: usize) {
    let (_, trip) = *TRIPS.iter().find(|(name, _)| *name == trip).expect("one of them");
    tool::check(preemptions, move || {
        rooms::visit_all();
        tool::crowd(2, move |number| if number == 0 { fork(|| ()) } else { trip() });
        everything_goes_on_after();
    });
}

#[test]
fn a_fork_meets_a_trip_to_slabs() {
    a_fork_meets("slabs", 4);
}

#[test]
fn a_fork_meets_a_batch_without_memory() {
    a_fork_meets("batches", 4);
}

#[test]
fn a_fork_meets_the_hardened_heap() {
    a_fork_meets("the hardened heap", 4);
}

#[test]
fn a_fork_meets_guarded_pages() {
    a_fork_meets("guarded pages", 4);
}

#[test]
fn a_fork_meets_a_shelf_without_memory() {
    a_fork_meets("a shelf", 4);
}

#[test]
fn a_fork_meets_a_mode() {
    a_fork_meets("a mode", 4);
}

/// The program's handler allocates while this thread has all locks: it lends them to itself and to the others.
#[test]
fn a_handler_of_the_fork_allocates() {
    tool::check(4, || {
        rooms::visit_all();
        tool::crowd(2, |number| if number == 0 { fork(center::visit) } else { center::visit_pool() });
        everything_goes_on_after();
    });
}

/// Two threads fork at a time. (That the kernel runs one after the other's handlers is not promised.)
#[test]
fn two_fork_at_once() {
    tool::check(4, || {
        rooms::visit_all();
        tool::crowd(2, |_| fork(|| ()));
        everything_goes_on_after();
    });
}

/// The child has this thread only, and finds each lock free before it goes anywhere (the stand-ins go everywhere): after a fork, after
/// one whose handler allocated, and after its own fork. In one thread a lock that isn't free is a deadlock.
#[test]
fn the_child_finds_every_lock_free() {
    tool::check_alone(|| {
        for handler in [(|| ()) as fn(), center::visit, || hardened::visit()] {
            // SAFETY: as in a fork. What is a copy in a child is the parent's here, which does not go on.
            unsafe { fork::before() };
            handler();
            // SAFETY: see above.
            unsafe { fork::after_in_child() };
            assert_eq!(slot::inside(), 0);
            assert_eq!(rooms::take_burials(), ["pages", "threads", "the hardened heap"]);
            everything_goes_on_after();
        }
        fork(center::visit);
        everything_goes_on_after();
    });
}

/// A signal handler forks inside of the engine: no lock is taken, and none is let go.
#[test]
fn a_fork_in_a_signal_handler_takes_nothing() {
    tool::check_alone(|| {
        let inside = cairn_model::shipped::inside::Inside::enter();
        let held = thread::lock().hold();
        fork_signalled();
        assert!(!rooms::are_all_free(), "it is still held");
        drop(held);
        drop(inside);
        assert_eq!(slot::inside(), 0);
        everything_goes_on_after();
    });
}

fn fork_signalled() {
    // SAFETY: as in a fork.
    unsafe {
        fork::before();
        fork::after_in_parent();
        fork::before();
        fork::after_in_child();
    }
}

#[test]
#[cfg(not(loom))]
fn a_crowd_forks_and_goes_everywhere() {
    tool::check(0, || {
        rooms::visit_all();
        tool::crowd(8, |number| {
            for step in 0..4 {
                match (number + 3 * step) % 8 {
                    0 => fork(|| ()),
                    1 => fork(center::visit),
                    trip => TRIPS[trip - 2].1(),
                }
            }
        });
        everything_goes_on_after();
    });
}
