//! Threads are born and die: each has a heap alone, sees it as the last owner left it, and walkers see whole heaps.

use cairn_core::lock::Lock;
use cairn_core::sync::{AtomicUsize, Ordering};
use cairn_model::shipped::registry::{Listing, Registered, Registry};
use cairn_model::tool::{self, Arc, Protected};

/// A heap: `bins` is its owner's, `length` may be read by anybody, `made` never changes.
struct Heap {
    bins: Protected,
    length: AtomicUsize,
    made: Protected,
    listing: Listing<Heap>,
}

// SAFETY: a field of it.
unsafe impl Registered for Heap {
    fn listing(&self) -> &Listing<Heap> {
        &self.listing
    }
}

struct Process {
    births: Lock,
    registry: Registry<Heap>,
    /// The heaps that were made, to be freed at the end; the standard library's lock, which is no part of the model.
    made: std::sync::Mutex<Vec<usize>>,
}

impl Process {
    fn new() -> Self {
        Process { births: Lock::new(), registry: Registry::new(), made: Default::default() }
    }

    fn birth(&self) -> &'static Heap {
        let _held = self.births.hold();
        self.registry.take_left().unwrap_or_else(|| {
            let heap = Box::into_raw(Box::new(Heap {
                bins: Protected::new(0),
                length: AtomicUsize::new(0),
                made: Protected::new(7),
                listing: Listing::taken(),
            }));
            self.made.lock().unwrap().push(heap.expose_provenance());
            // SAFETY: whole, unknown, kept until all threads have ended, and inside the lock of births.
            unsafe { self.registry.add(heap) }
        })
    }

    /// A thread's life; `lives` of them, one after another.
    fn live(&self, lives: usize) {
        for _ in 0..lives {
            let heap = self.birth();
            assert_eq!(heap.bins.get(), 0, "the last owner left the bins empty");
            heap.bins.set(1);
            heap.length.store(1, Ordering::Relaxed);
            assert_eq!(heap.bins.get(), 1, "nobody else has this heap");
            heap.bins.set(0);
            heap.length.store(0, Ordering::Relaxed);
            heap.listing.leave();
        }
    }

    /// What statistics do: any thread, at any time.
    fn walk(&self) -> usize {
        let mut heaps = 0;
        for heap in self.registry.all() {
            assert_eq!(heap.made.get(), 7, "whoever finds a heap finds it whole");
            assert!(heap.length.load(Ordering::Relaxed) <= 1);
            heaps += 1;
        }
        heaps
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for &heap in self.made.get_mut().unwrap().iter() {
            // SAFETY: made by `birth`; all threads have ended.
            drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Heap>(heap)) });
        }
    }
}

fn lives_and_walks(living: usize, lives: usize, walking: usize, preemptions: usize) {
    tool::check(preemptions, move || {
        let process = Arc::new(Process::new());
        let theirs = process.clone();
        tool::crowd(living + walking, move |number| {
            if number < living {
                theirs.live(lives);
            } else {
                assert!(theirs.walk() <= living, "no more heaps than threads at a time");
            }
        });
        let all = process.walk();
        assert!(all >= 1 && all <= living);
        assert!(process.registry.all().all(|heap| heap.listing.take()), "all were left");
    });
}

#[test]
fn two_are_born_and_die() {
    lives_and_walks(2, 1, 0, 3);
}

#[test]
fn one_dies_and_is_born_again_while_another_walks() {
    lives_and_walks(1, 2, 1, 3);
}

#[test]
fn two_are_born_while_another_walks() {
    lives_and_walks(2, 1, 1, 2);
}

#[test]
#[cfg(not(loom))]
fn a_crowd_is_born_and_dies() {
    if tool::LARGE {
        lives_and_walks(10, 5, 3, 0);
    } else {
        lives_and_walks(3, 2, 1, 0);
    }
}

/// A heap is left without a lock, so only `taken` orders its two owners.
#[test]
fn a_heap_is_handed_on_without_any_other_order() {
    tool::check(3, || {
        let process = Arc::new(Process::new());
        let heap = process.birth();
        heap.bins.set(1);
        let theirs = process.clone();
        tool::crowd(2, move |number| {
            if number == 0 {
                heap.bins.set(0);
                heap.listing.leave();
            } else if let Some(heap) = theirs.registry.take_left() {
                assert_eq!(heap.bins.get(), 0);
                heap.bins.set(2);
            }
        });
    });
}
