//! The pool of guarded blocks: runs of pages, what is known of each, and the quarantine of freed ones.
//!
//! ```text
//!             ┌──────── vacant (by class) ◄───────┐ oldest first, when more than
//!   carve ──► │                                   │ the limit wait or nothing else fits
//!             └──► live ── free ──► quarantine ───┘
//! ```
//! Debug and sampled mode use the same pool and differ in [`Limits`].
//!
//! Invariants: a record's number is its place in the table, from 1 on; `owners` tells for each page which record's run it
//! belongs to, the guard behind it included, or 0. A run whose state is not `Live` is closed, or the kernel
//! refused that, and it is never used again. All is changed under the lock, which is a leaf:
//! nothing of the engine is called under it.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::lock::Lock;
use cairn_core::os::{self, page_size};

use super::layout::{Place, pages_for};
use super::record::{Record, State, Trace};
use super::space::{self, CLASSES, Space};
use crate::modes::Request;

/// What a pool may hold.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Live blocks,
    pub blocks: usize,
    /// and their pages.
    pub pages: usize,
    /// Freed blocks in quarantine.
    pub quarantine: usize,
    /// The largest block.
    pub size: usize,
    /// Runs, live or not.
    pub runs: usize,
    /// The one class of runs, if all shall be alike.
    pub class: Option<usize>,
    /// Pages of address space.
    pub space: usize,
}

/// Why a block can't be freed.
pub enum Wrong {
    /// The page never had a block, or what it had is forgotten.
    Unknown,
    DoubleFree,
    Interior,
    /// Other bytes than were asked for, or another alignment.
    Size(Layout),
    /// A byte around the block, at this address, was written to.
    Spoilt(usize),
}

/// What is known of the pool.
pub(super) struct Books {
    pub(super) space: Space,
    pub(super) limits: Limits,
    pub(super) records: *mut Record,
    /// Records in use.
    pub(super) used: usize,
    pub(super) owners: *mut u32,
    /// Heads of the lists of vacant runs, by class.
    pub(super) vacant: [u32; CLASSES],
    /// The quarantine, and how many wait there.
    pub(super) oldest: u32,
    pub(super) newest: u32,
    pub(super) waiting: usize,
    pub(super) live: usize,
    pub(super) live_pages: usize,
    pub(super) live_bytes: usize,
}

struct Pool {
    lock: Lock,
    books: UnsafeCell<Books>,
}

// SAFETY: the books are used by whoever holds the lock (and by the handler of a fault, which only reads).
unsafe impl Sync for Pool {}

static POOL: Pool = Pool { lock: Lock::new(), books: UnsafeCell::new(Books::NONE) };

/// The pool's addresses. Written before the mode begins, and again only if that is refused.
static BEGIN: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// The lock, for fork.
pub fn lock() -> &'static Lock {
    &POOL.lock
}

/// Whether an address lies in the pool.
#[inline]
pub fn contains(address: usize) -> bool {
    address.wrapping_sub(BEGIN.load(Relaxed)) < BYTES.load(Relaxed)
}

/// The books, for the audit: to be read under the lock.
pub(super) fn books() -> *mut Books {
    POOL.books.get()
}

fn locked<T>(run: impl FnOnce(&mut Books) -> T) -> T {
    let _held = POOL.lock.hold();
    // SAFETY: the lock is held, and `run` doesn't lock again.
    run(unsafe { &mut *POOL.books.get() })
}

/// Reserves what a pool of these limits needs, or of half of them, and so on; false if the kernel gives not even a little.
pub fn prepare(mut limits: Limits) -> bool {
    while limits.space >= 16 && limits.runs > 0 {
        if try_prepare(limits) {
            return true;
        }
        limits.space /= 2;
        limits.runs = limits.runs.min(limits.space / 2);
    }
    false
}

fn try_prepare(limits: Limits) -> bool {
    let Some(space) = Space::reserve(limits.space) else { return false };
    let tables = [limits.records_bytes(), limits.owners_bytes()].map(os::map_zeroed);
    let mut books = Books { space, limits, ..Books::NONE };
    books.records = tables[0].map_or(ptr::null_mut(), |at| at.as_ptr().cast());
    books.owners = tables[1].map_or(ptr::null_mut(), |at| at.as_ptr().cast());
    if tables.contains(&None) {
        books.unmap();
        return false;
    }
    books.space.address_of(0).expose_provenance();
    let (begin, bytes) = (books.space.base(), books.space.bytes());
    locked(|all| *all = books);
    BEGIN.store(begin, Relaxed);
    BYTES.store(bytes, Relaxed);
    true
}

/// Gives a pool back that never had a block.
pub fn give_back() {
    BYTES.store(0, Relaxed);
    locked(|books| core::mem::replace(books, Books::NONE)).unmap();
}

/// A block, or None if a limit is reached. It reads as zero.
pub fn allocate(request: Request, by: &Trace) -> Option<*mut u8> {
    locked(|books| books.allocate(request, by))
}

/// Frees a block of the pool; else says what is wrong, and with which record.
pub fn free(block: *mut u8, layout: Option<Layout>, by: &Trace) -> Result<(), (Wrong, u32)> {
    locked(|books| books.free(block.addr(), layout, by))
}

/// The size of a live block of the pool that begins at this address, or what is wrong.
pub fn size_of_block(block: *mut u8) -> Result<usize, (Wrong, u32)> {
    locked(|books| books.live_at(block.addr()).map(|number| books.record(number).size))
}

/// A copy of a record, for a report. Number 0 is a record of nothing.
pub fn record(number: u32) -> Record {
    locked(|books| *books.record(number))
}

/// Live blocks and their bytes.
pub fn totals() -> (usize, usize) {
    locked(|books| (books.live, books.live_bytes))
}

/// What is known about an address of the pool: the block it lies in or is nearest to, where live ones come first. For the
/// handler of a fault: takes no lock.
pub fn nearest(address: usize) -> Option<Record> {
    // SAFETY: the process ends here, and what other threads change meanwhile is numbers.
    let books = unsafe { &*POOL.books.get() };
    /// Pages of closed space in which a neighbour is looked for.
    const NEAR: usize = 64;
    let page = (address - books.space.base()) / page_size();
    let own = books.owner(page);
    let differs = |&page: &usize| books.owner(page) != own && books.owner(page) != 0;
    let next = (page + 1..books.limits.space).take(NEAR).find(differs).map_or(0, |page| books.owner(page));
    let previous = (0..page).rev().take(NEAR).find(differs).map_or(0, |page| books.owner(page));
    let known =
        [own, next, previous].into_iter().filter(|&number| number != 0).map(|number| *books.record(number));
    let known = known.filter(|record| record.allocated.thread != 0);
    known.min_by_key(|record| {
        let distance = record.relation(address).distance();
        (distance != 0, record.state != State::Live, distance)
    })
}

impl Limits {
    fn records_bytes(&self) -> usize {
        // There is a record of nothing.
        (self.runs + 1) * size_of::<Record>()
    }

    fn owners_bytes(&self) -> usize {
        self.space * size_of::<u32>()
    }
}

impl Books {
    /// Those of no pool.
    const NONE: Books = Books {
        space: Space::none(),
        limits: Limits { blocks: 0, pages: 0, quarantine: 0, size: 0, runs: 0, class: None, space: 0 },
        records: ptr::null_mut(),
        used: 0,
        owners: ptr::null_mut(),
        vacant: [0; CLASSES],
        oldest: 0,
        newest: 0,
        waiting: 0,
        live: 0,
        live_pages: 0,
        live_bytes: 0,
    };

    /// Gives back what was mapped. If the kernel refuses, the addresses are lost.
    fn unmap(self) {
        let mappings = [
            (self.space.address_of(0), self.space.bytes()),
            (self.records.cast(), self.limits.records_bytes()),
            (self.owners.cast(), self.limits.owners_bytes()),
        ];
        for (at, bytes) in mappings.into_iter().filter(|(at, _)| !at.is_null()) {
            // SAFETY: mapped for these books, which nobody uses any more.
            let _ = unsafe { os::unmap(at, bytes) };
        }
    }

    /// The number of the run that a page belongs to, or 0.
    pub(super) fn owner(&self, page: usize) -> u32 {
        debug_assert!(page < self.limits.space);
        // SAFETY: the table has an entry for each page of the space.
        unsafe { self.owners.add(page).read() }
    }

    /// A record. No two references to the same one are kept at once.
    fn record(&self, number: u32) -> &'static mut Record {
        // SAFETY: numbers come from `owners` and the lists, which hold those of records in use; what was never written reads as
        // zero, a vacant record. The table stays for as long as there is a pool, and the books are used by one thread at a time.
        unsafe { &mut *self.records.add(number as usize) }
    }

    fn allocate(&mut self, request: Request, by: &Trace) -> Option<*mut u8> {
        let limits = self.limits;
        if request.size > limits.size || self.live == limits.blocks {
            return None;
        }
        let pages = pages_for(request.size, request.align)?;
        let class = match limits.class {
            Some(class) if space::class_pages(class) >= pages => class,
            Some(_) => return None,
            None => space::class_for(pages)?,
        };
        if self.live_pages + pages > limits.pages {
            return None;
        }
        let number = self.run_of(class)?;
        let record = self.record(number);
        let run = self.space.address_of(record.first as usize).addr();
        let end = run + space::class_pages(class) * page_size();
        let place = Place::new(run, end, request.size, request.align);
        let first = (place.open_begin - self.space.base()) / page_size();
        let pages = (place.open_end - place.open_begin) / page_size();
        if pages > 0 {
            let Some(way) = self.space.open(first, pages) else {
                self.give_vacant(number);
                return None;
            };
            record.way = way;
            // SAFETY: just opened.
            unsafe { place.paint() };
        }
        record.begin = place.begin;
        record.size = request.size;
        (record.open_first, record.open_pages) = (first as u32, pages as u32);
        record.allocated = *by;
        record.freed.thread = 0;
        record.state = State::Live;
        self.live += 1;
        self.live_pages += pages;
        self.live_bytes += request.size;
        Some(self.space.address_of(0).with_addr(place.begin))
    }

    /// A vacant run of a class: one that is, a new one, or one out of the quarantine.
    fn run_of(&mut self, class: usize) -> Option<u32> {
        loop {
            let number = self.vacant[class];
            if number != 0 {
                self.vacant[class] = self.record(number).next;
                return Some(number);
            }
            if let Some(number) = self.carve(class) {
                return Some(number);
            }
            if !self.forget_oldest() {
                return None;
            }
        }
    }

    fn carve(&mut self, class: usize) -> Option<u32> {
        if self.used == self.limits.runs {
            return None;
        }
        let first = self.space.carve(class)?;
        self.used += 1;
        let number = self.used as u32;
        for page in first..=first + space::class_pages(class) {
            // SAFETY: a page of the space.
            unsafe { self.owners.add(page).write(number) };
        }
        let record = self.record(number);
        record.first = first as u32;
        record.class = class as u8;
        Some(number)
    }

    fn give_vacant(&mut self, number: u32) {
        let record = self.record(number);
        record.state = State::Vacant;
        record.next = self.vacant[usize::from(record.class)];
        self.vacant[usize::from(record.class)] = number;
    }

    /// Lets the oldest block leave the quarantine; false if it is empty.
    fn forget_oldest(&mut self) -> bool {
        let number = self.oldest;
        if number == 0 {
            return false;
        }
        self.oldest = self.record(number).next;
        self.waiting -= 1;
        self.give_vacant(number);
        true
    }

    /// The live block that begins at an address.
    fn live_at(&self, address: usize) -> Result<u32, (Wrong, u32)> {
        let number = self.owner((address - self.space.base()) / page_size());
        let record = self.record(number);
        let wrong = match record.state {
            State::Live if record.begin == address => return Ok(number),
            State::Live => Wrong::Interior,
            State::Freed => Wrong::DoubleFree,
            State::Vacant if number == 0 || record.allocated.thread == 0 => {
                return Err((Wrong::Unknown, 0));
            }
            State::Vacant => Wrong::DoubleFree,
        };
        Err((wrong, number))
    }

    fn free(&mut self, address: usize, layout: Option<Layout>, by: &Trace) -> Result<(), (Wrong, u32)> {
        let number = self.live_at(address)?;
        let record = self.record(number);
        if let Some(layout) = layout
            && (layout.size() != record.size || !address.is_multiple_of(layout.align()))
        {
            return Err((Wrong::Size(layout), number));
        }
        let pages = record.open_pages as usize;
        let open_begin = self.space.base() + record.open_first as usize * page_size();
        let open_end = open_begin + pages * page_size();
        let place = Place { begin: record.begin, size: record.size, open_begin, open_end };
        // SAFETY: the pages are open, and were painted when they were.
        if let Some(at) = (pages > 0).then(|| unsafe { place.spoilt() }).flatten() {
            return Err((Wrong::Spoilt(at), number));
        }
        record.freed = *by;
        record.state = State::Freed;
        record.next = 0;
        self.live -= 1;
        self.live_pages -= pages;
        self.live_bytes -= record.size;
        if pages > 0 && !self.space.close(record.open_first as usize, pages, record.way) {
            // The run is lost, but it is known what it was.
            return Ok(());
        }
        match self.newest {
            last if self.waiting > 0 => self.record(last).next = number,
            _ => self.oldest = number,
        }
        self.newest = number;
        self.waiting += 1;
        if self.waiting > self.limits.quarantine {
            self.forget_oldest();
        }
        Ok(())
    }
}
