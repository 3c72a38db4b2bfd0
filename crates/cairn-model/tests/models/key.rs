//! The key that is made at the first need.

use cairn_model::shipped::key::Key;
use cairn_model::tool::{self, Arc, Protected};

/// What the C library notes about each key: who made it.
struct Library {
    key: Key,
    table: Vec<Protected>,
}

fn all_get_one_key_and_see_its_making(threads: usize, preemptions: usize) {
    tool::check(preemptions, move || {
        let table = (0..threads).map(|_| Protected::new(0)).collect();
        let shared = Arc::new(Library { key: Key::new(), table });
        let keys = tool::crowd(threads, move |number| {
            let make = || {
                shared.table[number].set(7);
                Some(number as u32)
            };
            let unmake = |key: u32| {
                assert_eq!(key, number as u32, "each thread unmakes its own");
                shared.table[number].set(0);
            };
            let got = shared.key.get_or_make(make, unmake).expect("none fails to make one");
            assert_eq!(shared.table[got as usize].get(), 7, "the library knows the key");
            assert_eq!(shared.key.get(), Some(got));
            got
        });
        assert!(keys.iter().all(|&key| key == keys[0]), "all go on with the same: {keys:?}");
    });
}

#[test]
fn two_threads() {
    all_get_one_key_and_see_its_making(2, 4);
}

#[test]
#[cfg(not(loom))]
fn a_crowd() {
    all_get_one_key_and_see_its_making(if tool::LARGE { 12 } else { 4 }, 0);
}

#[test]
fn a_thread_that_comes_later_only_looks() {
    tool::check(3, || {
        let shared = Arc::new(Library { key: Key::new(), table: vec![Protected::new(0)] });
        tool::crowd(2, move |number| {
            if number == 0 {
                shared.key.get_or_make(
                    || {
                        shared.table[0].set(7);
                        Some(0)
                    },
                    |_| unreachable!("nobody else makes one"),
                );
            } else if let Some(key) = shared.key.get() {
                assert_eq!(shared.table[key as usize].get(), 7);
            }
        });
    });
}
