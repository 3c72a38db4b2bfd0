//! Stands in for the rooms of the engine that are not modelled, for those that are: each has a lock in the place of its own, in the
//! order that its own source names, and something under it that must be found whole.

use cairn_core::lock::Lock;
use cairn_core::shared;

use crate::tool::Protected;
use std::sync::Mutex;

/// What a lock protects: two numbers that are the same whenever nobody is inside.
#[derive(Debug)]
pub struct Room {
    lock: Lock,
    numbers: [Protected; 2],
}

impl Room {
    fn new() -> Room {
        Room { lock: Lock::new(), numbers: [0; 2].map(Protected::new) }
    }

    /// Goes in, changes it, and in the middle of that does `inner`.
    pub fn change<T>(&self, inner: impl FnOnce() -> T) -> T {
        let _held = self.lock.hold();
        let [first, second] = &self.numbers;
        first.set(first.get() + 1);
        let result = inner();
        second.set(second.get() + 1);
        result
    }

    fn assert_whole(&self) {
        assert_eq!(self.numbers[0].get(), self.numbers[1].get(), "found half changed");
    }
}

shared! {
    static HARDENED: Room = Room::new();
    static CLASS: Room = Room::new();
    static POOL: Room = Room::new();
    static RECORDS: Room = Room::new();
    static PAGES: Room = Room::new();
    static GUARDED: Room = Room::new();
}

/// Under all locks: nothing is half changed.
pub fn assert_all_whole() {
    [&*HARDENED, &*CLASS, &*POOL, &*RECORDS, &*PAGES, &*GUARDED].into_iter().for_each(Room::assert_whole);
}

/// Goes into every room, one after another: hangs if a lock is not free.
pub fn visit_all() {
    [&*HARDENED, &*CLASS, &*POOL, &*RECORDS, &*PAGES, &*GUARDED]
        .into_iter()
        .for_each(|room| room.change(|| ()));
    drop(crate::mode::lock().hold());
    drop(crate::thread::lock().hold());
    drop(crate::shelf::locks().map(Lock::hold).collect::<Vec<_>>());
}

/// Whether nobody is in any of them, nor is born or enters a mode.
pub fn are_all_free() -> bool {
    let is_free = |lock: &'static Lock| {
        let entered = lock.try_lock();
        if entered {
            // SAFETY: just entered.
            unsafe { lock.unlock() };
        }
        entered
    };
    let rooms = center::locks().chain(hardened::locks());
    let others = [records_lock(), pages::lock(), guarded::lock(), crate::mode::lock(), crate::thread::lock()];
    rooms.chain(others).all(is_free)
}

shared! {
    static BURIED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
}

/// In the child of a fork, which has no other thread: goes everywhere.
fn bury(name: &'static str) {
    visit_all();
    BURIED.lock().expect("one thread").push(name);
}

/// Who buried since the last call, in order.
pub fn take_burials() -> Vec<&'static str> {
    std::mem::take(&mut *BURIED.lock().expect("one thread"))
}

/// The default engine's blocks, all of one class.
pub mod center {
    use cairn_core::lock::Lock;
    use cairn_core::shared;
    use cairn_core::sync::UnsafeCell;

    use super::{CLASS, PAGES, POOL};
    use crate::inside::Inside;
    use crate::{records, shelf};

    /// A class's slabs: free blocks in a heap.
    #[derive(Debug)]
    pub struct Center {
        free: UnsafeCell<Vec<*mut u8>>,
    }

    // SAFETY: `free` is used under the lock of the class.
    unsafe impl Sync for Center {}
    // SAFETY: blocks belong to no thread.
    unsafe impl Send for Center {}

    shared! {
        static CENTER: Center = Center { free: UnsafeCell::new(Vec::new()) };
    }

    /// The center of any class.
    pub fn of(_class: usize) -> &'static Center {
        &CENTER
    }

    /// As in the engine.
    pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
        shelf::locks().chain([&CLASS.lock, &POOL.lock])
    }

    /// A trip to a class whose slabs are used up: records and pages under the lock of the class. A slow half of the engine.
    pub fn visit() {
        let _inside = Inside::enter();
        CLASS.change(|| records::take_forever(32));
        CLASS.change(|| PAGES.change(|| ()));
    }

    /// A batch needs memory.
    pub fn visit_pool() {
        let _inside = Inside::enter();
        POOL.change(|| records::take_forever(32));
    }

    /// As in the engine.
    pub type Home = u32;
    /// As in the engine.
    pub const ANYBODY: Home = 0;

    impl Center {
        fn locked<T>(&self, run: impl FnOnce(&mut Vec<*mut u8>) -> T) -> T {
            // SAFETY: under the lock.
            CLASS.change(|| self.free.with_mut(|free| run(unsafe { &mut *free })))
        }

        /// No batch ever waits.
        pub fn pop(&self, _slots: &mut [*mut u8]) -> usize {
            0
        }

        /// As in the engine.
        pub fn refill_apart(&self, _class: usize, out: &mut [*mut u8], taken: impl FnOnce(usize)) -> usize {
            self.locked(|free| {
                let count = out.len().min(free.len());
                out[..count].copy_from_slice(&free[free.len() - count..]);
                free.truncate(free.len() - count);
                taken(count);
                count
            })
        }

        /// As in the engine.
        pub fn flush(&self, _class: usize, blocks: &[*mut u8], gone: impl FnOnce()) {
            self.locked(|free| {
                free.extend(blocks);
                gone();
            });
        }

        /// As in the engine.
        pub fn bring(&self, class: usize, _home: Home, blocks: &[*mut u8], gone: impl FnOnce()) {
            self.flush(class, blocks, gone);
        }

        /// Under the lock.
        pub fn show(&self, see: impl FnMut(*mut u8)) {
            // SAFETY: under the lock.
            self.free.with(|free| unsafe { (*free).iter().copied().for_each(see) });
        }
    }
}

/// Two classes, the second one of blocks that count as medium ones. Of the first a shelf holds two.
pub mod class {
    /// Classes, one of which is none.
    pub const CLASS_COUNT: usize = 3;

    /// As in the engine.
    pub const fn is_medium(class: usize) -> bool {
        class == 2
    }

    /// What a shelf asks about a class.
    #[derive(Debug)]
    pub struct Shape {
        /// Bytes of a block.
        pub size: u32,
        /// Blocks that fill whole cache lines.
        pub lines_filled_by: u8,
    }

    const fn shape(size: u32) -> Shape {
        Shape { size, lines_filled_by: 1 }
    }

    /// Of each class.
    pub static SHAPES: [Shape; CLASS_COUNT] = [shape(0), shape(16 << 10), shape(16 << 10)];
}

/// Memory for records, under the locks of the two rooms that it needs in the engine.
pub fn take_forever(bytes: usize) -> *mut u8 {
    shared! {
        static MEMORY: crate::tool::Memory = crate::tool::Memory::default();
    }
    RECORDS.change(|| PAGES.change(|| MEMORY.take(bytes)))
}

/// The lock of the records.
pub fn records_lock() -> &'static Lock {
    &RECORDS.lock
}

/// The page heap.
pub mod pages {
    use super::{Lock, PAGES};

    /// The lock, for fork.
    pub fn lock() -> &'static Lock {
        &PAGES.lock
    }

    /// In the child of a fork.
    pub fn bury() {
        super::bury("pages");
    }
}

/// The pool of debug mode.
pub mod guarded {
    use super::{GUARDED, Lock};

    /// The lock, for fork: a leaf.
    pub fn lock() -> &'static Lock {
        &GUARDED.lock
    }

    /// A block on its own pages.
    pub fn visit() {
        let _inside = crate::inside::Inside::enter();
        GUARDED.change(|| ());
    }
}

/// The hardened heap.
pub mod hardened {
    use super::{HARDENED, Lock};

    /// The locks, for fork.
    pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
        [&HARDENED.lock].into_iter()
    }

    /// A trip to the hardened slabs.
    pub fn visit() {
        let _inside = crate::inside::Inside::enter();
        HARDENED.change(|| super::take_forever(32));
    }

    /// In the child of a fork.
    pub fn bury_the_dead() {
        super::bury("the hardened heap");
    }
}

/// Audits.
pub mod audit {
    /// In the child of a fork.
    pub fn forked(_whole: bool) {}
}

/// What a thread knows of itself.
pub mod slot {
    use crate::tool::thread_local;
    use std::cell::Cell;

    thread_local! {
        static INSIDE: Cell<usize> = Cell::new(0);
    }

    /// As in the engine.
    pub fn inside() -> usize {
        INSIDE.with(Cell::get)
    }

    /// As in the engine.
    pub fn add_inside(number: usize) -> usize {
        INSIDE.with(|inside| inside.replace(inside.get().wrapping_add(number)))
    }
}

/// What a mode needs.
pub mod modes {
    use super::Protected;
    use crate::mode::Mode;
    use cairn_core::shared;
    use cairn_core::sync::{AtomicUsize, Ordering::Relaxed};

    shared! {
        static PREPARED: Protected = Protected::new(0);
        static REFUSALS: AtomicUsize = AtomicUsize::new(0);
    }

    /// So many of the next preparations fail.
    pub fn refuse(times: usize) {
        REFUSALS.store(times, Relaxed);
    }

    /// Two threads that prepare at a time are reported by the model.
    pub fn prepare(mode: Mode) -> bool {
        PREPARED.set(0);
        let refused = REFUSALS.load(Relaxed);
        if refused > 0 {
            REFUSALS.store(refused - 1, Relaxed);
            return false;
        }
        PREPARED.set(mode as usize);
        true
    }

    /// It won't begin.
    pub fn give_back(mode: Mode) {
        assert_eq!(PREPARED.get(), mode as usize);
        PREPARED.set(0);
    }

    /// The mode that is prepared; reading races with preparing, if nothing orders them.
    pub fn prepared() -> usize {
        PREPARED.get()
    }
}

/// A thread, which has bins or not.
pub mod thread {
    use crate::mode;
    pub use crate::shipped::hands::Hands;
    use crate::shipped::living;
    pub use crate::shipped::living::lock;
    use crate::tool::thread_local;
    use std::cell::Cell;

    thread_local! {
        static HAS_BINS: Cell<bool> = Cell::new(false);
    }

    /// Whether the calling thread has bins; it gets some now if it may have them. As in the engine.
    pub fn current() -> bool {
        let take = || {
            living::one_more();
            Some(())
        };
        let has = || HAS_BINS.with(Cell::get);
        if !has() && mode::has_bins() && living::be_born(mode::has_bins, take).is_some() {
            HAS_BINS.with(|has| has.set(true));
        }
        has()
    }

    /// As in the engine.
    pub fn be_born() {
        current();
    }

    /// As in the engine.
    pub fn others_have_bins() -> bool {
        !living::unless_others(current(), || ())
    }

    /// As in the engine.
    pub fn end_bins(begin: impl FnOnce()) -> bool {
        let mine = current();
        let done = living::unless_others(mine, begin);
        if done {
            end();
        }
        done
    }

    /// The thread ends.
    pub fn end() {
        if HAS_BINS.with(|has| has.replace(false)) {
            living::one_less();
        }
    }

    /// Threads that have bins.
    pub fn count() -> usize {
        living::threads()
    }

    /// In the child of a fork.
    pub fn bury_the_dead() {
        super::bury("threads");
    }
}

/// The CPU of the moment: the model with few threads has one, or they would not meet.
pub fn cpu() -> usize {
    #[cfg(loom)]
    return 0;
    #[cfg(shuttle)]
    return shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..2);
}
