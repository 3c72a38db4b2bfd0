//! A mode begins while other threads look, are born, and want another one.

use cairn_core::sync::{AtomicUsize, Ordering::Relaxed};
use cairn_model::rooms::{modes, thread};
use cairn_model::shipped::mode::{self, Mode, Refused};
use cairn_model::tool::{self, Arc};

/// So that no thread's first look at the statics is what orders anything.
fn begin() {
    assert_eq!((mode::current(), thread::count(), modes::prepared()), (Mode::Default, 0, 0));
}

/// A thread that has no bins asks for the mode at any time, without a lock.
#[test]
fn who_sees_a_mode_sees_what_was_prepared_for_it() {
    tool::check(3, || {
        begin();
        tool::crowd(2, |number| {
            if number == 0 {
                assert_eq!(mode::enter(Mode::Hardened), Ok(()));
            } else if mode::current() == Mode::Hardened {
                assert_eq!(modes::prepared(), Mode::Hardened as usize);
            }
        });
        assert_eq!(mode::current(), Mode::Hardened);
    });
}

/// Either the mode comes first, and then the thread gets no bins, or the thread, and then the mode is refused.
#[test]
fn nobody_gets_bins_in_a_mode_without_them() {
    tool::check(3, || {
        begin();
        let results = tool::crowd(2, |number| {
            let done = if number == 0 { mode::enter(Mode::Debug).is_ok() } else { thread::current() };
            (number, done)
        });
        let done = |thread| results.contains(&(thread, true));
        assert_ne!(done(0), done(1), "one of them comes too late");
        assert_eq!(mode::current() == Mode::Debug, done(0));
        // What was prepared for a mode that did not begin is given back.
        assert_eq!(modes::prepared(), if done(0) { Mode::Debug as usize } else { 0 });
        // Who was refused keeps its bins.
        assert_eq!(thread::count(), if done(0) { 0 } else { 2 });
    });
}

/// Two threads without bins each enter a mode. (What they prepare is a cell that the model watches.)
fn at_most_one_mode_is_entered(first: Mode, second: Mode) {
    tool::check(4, move || {
        begin();
        let wins = Arc::new(AtomicUsize::new(0));
        let all = wins.clone();
        tool::crowd(2, move |number| {
            let mine = if number == 0 { first } else { second };
            match mode::enter(mine) {
                Ok(()) => {
                    wins.fetch_add(1, Relaxed);
                    assert_eq!(mode::current(), mine, "no other mode comes after it");
                }
                Err(Refused::Entered(theirs)) => assert!(theirs != mine && mode::current() == theirs),
                Err(refused) => assert_eq!(refused, Refused::Threads),
            }
            thread::end();
        });
        assert!(all.load(Relaxed) <= 1);
        assert!(all.load(Relaxed) == 1 || mode::current() == Mode::Default);
        assert_eq!(thread::count(), 0);
    });
}

#[test]
fn at_most_one_of_two_that_take_bins_away_is_entered() {
    at_most_one_mode_is_entered(Mode::Debug, Mode::Hardened);
}

#[test]
fn at_most_one_of_two_is_entered_if_one_leaves_the_bins() {
    at_most_one_mode_is_entered(Mode::Debug, Mode::Sampled);
}

/// The kernel gives no memory for a mode: the process goes on as it was, for the other threads too, and may try again.
#[test]
fn a_refused_mode_changes_nothing() {
    tool::check(3, || {
        begin();
        modes::refuse(1);
        let results = tool::crowd(2, |number| {
            if number == 0 {
                let refused = mode::enter(Mode::Hardened);
                assert!(matches!(refused, Err(Refused::Memory | Refused::Threads)), "{refused:?}");
            } else {
                assert!(thread::current(), "threads have bins");
                thread::end();
            }
            assert_eq!(mode::current(), Mode::Default);
            number
        });
        assert_eq!(results.len(), 2);
        modes::refuse(0);
        thread::end();
        assert!(mode::enter(Mode::Hardened).is_ok() || thread::count() > 0);
    });
}

#[test]
#[cfg(not(loom))]
fn a_crowd_is_born_and_wants_modes() {
    tool::check(0, || {
        begin();
        tool::crowd(9, |number| {
            for step in 0..4 {
                match (number + step) % 4 {
                    0 => _ = mode::enter(Mode::ALL[1 + number % 3]),
                    1 => {
                        thread::current();
                    }
                    2 => thread::end(),
                    _ => {
                        let now = mode::current();
                        assert!(now == Mode::Default || modes::prepared() == now as usize);
                    }
                }
            }
            thread::end();
        });
        assert_eq!(thread::count(), 0);
    });
}
