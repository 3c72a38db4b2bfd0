//! Of the audit: guarded blocks. The lock of their pool is held, so that all of it stands still.
//!
//! Nothing in the pool's pages is looked at, only what is known of them: each run is in one state, has its pages for itself, is in the list of
//! its state, and the counts are theirs.

use core::ops::Range;

use cairn_core::os::page_size;

use crate::audit::{Found, Violation, must, must_be};

use super::pool::{self, Books};
use super::record::{Record, State};
use super::space::{CLASSES, Way, class_pages};

const POOL: &str = "the pool of guarded blocks";
const RUN: &str = "the pages of a guarded block";

/// What the records say, together.
#[derive(Default)]
struct Sums {
    /// Pages of runs, each with its guard.
    pages: usize,
    live: usize,
    live_pages: usize,
    live_bytes: usize,
    vacant: usize,
    freed: usize,
    /// Live blocks whose pages are accessible by protection.
    protected: usize,
}

/// Checks the pool, if there is one.
pub fn check() -> Found {
    // SAFETY: an audit holds the pool's lock.
    let books = unsafe { &*pool::books() };
    if books.records.is_null() {
        return Ok(());
    }
    check_space(books)?;
    let mut sums = Sums::default();
    for number in 1..=books.used {
        check_run(books, number, &mut sums)?;
    }
    check_owners(books, &sums)?;
    check_counts(books, &sums)?;
    check_vacant(books, &sums)?;
    check_quarantine(books, &sums)
}

fn check_space(books: &Books) -> Found {
    let (space, limits) = (&books.space, &books.limits);
    let wrong = |what| Violation::new(POOL, what).at(space.base());
    must_be(space.pages, limits.space, || wrong("has another number of pages than its tables"))?;
    must(pool::contains(space.base()) && !pool::contains(space.base() + space.bytes()), || {
        wrong("is said to lie elsewhere")
    })?;
    must(1 <= space.low && space.low <= space.high && space.high < space.pages, || {
        wrong("has small runs where large ones are").is(space.low, space.high)
    })?;
    must(1 <= space.ready && space.ready <= space.high, || wrong("marked pages that large runs have"))?;
    must(books.used <= limits.runs, || wrong("has more runs than it may").is(books.used, limits.runs))?;
    must(space.protected <= space.protected_max, || {
        wrong("protects more than it may").is(space.protected, space.protected_max)
    })
}

/// The parts of the space that runs were cut from.
fn carved(books: &Books) -> [Range<usize>; 2] {
    [1..books.space.low, books.space.high..books.space.pages - 1]
}

fn check_run(books: &Books, number: usize, sums: &mut Sums) -> Found {
    // SAFETY: the number is one of a record in use, and the lock is held. Its states are read as the bytes that they are first.
    let (record, state, way) = unsafe {
        let record = books.records.add(number);
        (
            record,
            (&raw const (*record).state).cast::<u8>().read(),
            (&raw const (*record).way).cast::<u8>().read(),
        )
    };
    let wrong = |what| Violation::new(RUN, what).at(record.addr());
    must(state <= State::Freed as u8, || wrong("are in a state that does not exist"))?;
    must(way <= Way::Protection as u8, || wrong("were opened in a way that does not exist"))?;
    // SAFETY: as above; and it is one of `Record` now.
    let record = unsafe { &*record };
    let class = usize::from(record.class);
    must(class < CLASSES && books.limits.class.is_none_or(|only| only == class), || {
        wrong("have a class that the pool does not have")
    })?;
    let (first, end) = (record.first as usize, record.first as usize + class_pages(class));
    must(carved(books).iter().any(|part| part.contains(&first) && part.contains(&end)), || {
        wrong("lie where nothing was cut yet")
    })?;
    let wrong = |what| Violation::new(RUN, what).at(books.space.address_of(first).addr());
    let mut owners = (first..=end).map(|page| books.owner(page) as usize);
    must(owners.all(|owner| owner == number), || wrong("are said to be another block's"))?;
    sums.pages += class_pages(class) + 1;
    match record.state {
        State::Vacant => sums.vacant += 1,
        State::Live => {
            check_live(books, record)?;
            sums.live += 1;
            sums.live_pages += record.open_pages as usize;
            sums.live_bytes += record.size;
            sums.protected += usize::from(record.open_pages > 0 && record.way == Way::Protection);
        }
        State::Freed => {
            must(record.freed.thread != 0, || wrong("wait in quarantine, but were never freed"))?;
            sums.freed += 1;
        }
    }
    Ok(())
}

/// A live block lies in its pages, and those of them that it touches are open.
fn check_live(books: &Books, record: &Record) -> Found {
    let wrong = |what| Violation::new("a guarded block", what).at(record.begin);
    let space = &books.space;
    let first = space.address_of(record.first as usize).addr();
    let end = space.address_of(record.first as usize + class_pages(usize::from(record.class))).addr();
    must(record.begin >= first && record.begin < end && record.size <= end - record.begin, || {
        wrong("lies outside of its pages")
    })?;
    must(record.size <= books.limits.size, || {
        wrong("is larger than it may be").is(record.size, books.limits.size)
    })?;
    must(record.allocated.thread != 0 && record.freed.thread == 0, || {
        wrong("is live, and was freed or never allocated")
    })?;
    let page = page_size();
    let (open_first, open_end) = match record.size {
        0 => (record.begin, record.begin),
        size => (record.begin & !(page - 1), (record.begin + size).next_multiple_of(page)),
    };
    let pages = (open_end - open_first) / page;
    must_be(record.open_pages as usize, pages, || wrong("has another number of open pages than it touches"))?;
    let open_first = (open_first - space.base()) / page;
    must_be(record.open_first as usize, open_first, || wrong("has other pages open than it touches"))?;
    let way = if open_first < space.ready { Way::Marks } else { Way::Protection };
    must(pages == 0 || record.way == way, || wrong("would be closed in another way than it was opened"))
}

/// Each run has its pages: so if there are no further ones, no page has an owner that isn't a run's.
fn check_owners(books: &Books, sums: &Sums) -> Found {
    let wrong = |what| Violation::new(POOL, what).at(books.space.base());
    let owned = carved(books).into_iter().flatten().filter(|&page| books.owner(page) != 0).count();
    must_be(owned, sums.pages, || wrong("has pages of runs that do not exist"))?;
    must(books.owner(0) == 0 && books.owner(books.space.pages - 1) == 0, || wrong("gave its border away"))
}

fn check_counts(books: &Books, sums: &Sums) -> Found {
    let (limits, wrong) = (&books.limits, |what| Violation::new(POOL, what));
    must_be(books.live, sums.live, || wrong("counts its live blocks wrongly"))?;
    must_be(books.live_pages, sums.live_pages, || wrong("counts the pages of its live blocks wrongly"))?;
    must_be(books.live_bytes, sums.live_bytes, || wrong("counts the bytes of its live blocks wrongly"))?;
    must(books.live <= limits.blocks, || {
        wrong("has more live blocks than it may").is(books.live, limits.blocks)
    })?;
    must(books.live_pages <= limits.pages, || {
        wrong("has more open pages than it may").is(books.live_pages, limits.pages)
    })?;
    // Those that were freed and wait nowhere are lost: the kernel refused to close them.
    let lost = sums.freed.checked_sub(books.waiting);
    let lost = lost.ok_or_else(|| wrong("counts its quarantine wrongly").is(books.waiting, sums.freed))?;
    let protected = books.space.protected;
    must(protected >= sums.protected && protected - sums.protected <= lost, || {
        wrong("counts what it protects wrongly").is(protected, sums.protected)
    })
}

/// A record that a list leads to.
fn listed<'a>(books: &'a Books, number: u32, what: &'static str) -> Result<&'a Record, Violation> {
    must((1..=books.used).contains(&(number as usize)), || Violation::new(POOL, what))?;
    // SAFETY: a record in use, which was checked. The lock is held.
    Ok(unsafe { &*books.records.add(number as usize) })
}

/// Each vacant run is in the list of its class: no list has another, and none leads back into itself, so their lengths tell.
fn check_vacant(books: &Books, sums: &Sums) -> Found {
    let mut met = 0;
    for (class, &head) in books.vacant.iter().enumerate() {
        let mut number = head;
        while number != 0 {
            let record = listed(books, number, "has a list of vacant pages that leads to none")?;
            let wrong =
                |what| Violation::new(RUN, what).at(books.space.address_of(record.first as usize).addr());
            must(record.state == State::Vacant, || {
                wrong("are in the list of those that are vacant, and are not")
            })?;
            must_be(usize::from(record.class), class, || wrong("are in the list of another class"))?;
            met += 1;
            must(met <= sums.vacant, || wrong("are in a list of vacant ones twice"))?;
            number = record.next;
        }
    }
    must_be(met, sums.vacant, || Violation::new(POOL, "has vacant pages that are in no list"))
}

/// The quarantine is as long as it is said to be, and ends with the newest one.
fn check_quarantine(books: &Books, sums: &Sums) -> Found {
    let wrong = |what| Violation::new("the quarantine of guarded blocks", what);
    let (waiting, limit) = (books.waiting, books.limits.quarantine);
    debug_assert!(waiting <= sums.freed);
    must(waiting <= limit, || wrong("holds more than it may").is(waiting, limit))?;
    let (mut number, mut last) = (books.oldest, 0);
    for _ in 0..waiting {
        let record = listed(books, number, "has a quarantine that leads to no block")?;
        must(record.state == State::Freed, || wrong("holds a block that was not freed").at(record.begin))?;
        (last, number) = (number, record.next);
    }
    must(number == 0, || wrong("has a block behind its newest one"))?;
    must(waiting == 0 || last == books.newest, || wrong("does not end with its newest block"))
}

/// Ways to damage the pool, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The pool's books. One test damages at a time.
    pub fn books() -> *mut Books {
        pool::books()
    }

    /// The number of the run that an address belongs to, its record, and the entry of its page in the table of owners.
    pub fn run(address: *mut u8) -> (u32, *mut Record, *mut u32) {
        // SAFETY: as above.
        let books = unsafe { &*pool::books() };
        let page = (address.addr() - books.space.base()) / page_size();
        let number = books.owner(page);
        (number, books.records.wrapping_add(number as usize), books.owners.wrapping_add(page))
    }
}
