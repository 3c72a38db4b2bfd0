//! The audit: looks at the whole heap of the process and names the first invariant that does not hold.
//!
//! Each room checks its own: this file takes the locks, calls the rooms one after the other, and has what they share.
//!
//! ```text
//!   audit.rs      locks, order, words            region/audit.rs   bounds, what is committed
//!   scratch.rs    which bytes were met before    pages/audit.rs    spans, trees, dirty bits, large blocks
//!   resolve.rs    is a block in two places?      center/audit.rs   slabs, their lists, the transfer stacks
//!   whereabouts.rs    is it in any?              hardened/         its slabs, stocks and quarantine
//!                                                guarded/audit.rs  runs of pages, their lists, counts
//!                                                shelf/, records/, thread/audit.rs   rows, pieces, bins
//! ```
//!
//! **What is certain.** All locks of the heap are held, in the order in which fork takes them, so regions, spans, slabs, shelves,
//! records and the registry of threads stand still, and no array of a bin is given back. What moves on are the bins of running
//! threads (and who misses soon waits for a lock), the transfer stacks, and the fields of large blocks. A block that a thread
//! has in its hands, between two places, is in none, which is always allowed. Of what moves, only this is reported:
//! - A bin of a running thread is read so that each block found was in it at some moment while the locks were held (see
//!   thread/audit.rs). Slabs and shelves did not change meanwhile, so a block of the bin that is free there too is in two places.
//! - A transfer stack is believed only if its head, version included, is the same before and after it was read.
//! - A block that seems to be in two bins is looked for there again and again (resolve.rs).
//!
//! What can't be checked in this way is checked only if no other thread runs ([`Audit::alone`]).
//!
//! An audit allocates nothing from the heap: what it notes goes into a mapping of its own. In a signal handler that interrupted its thread
//! inside the heap it does nothing, and says so.

mod resolve;
mod scratch;
#[cfg(test)]
pub(crate) mod tests;
mod whereabouts;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use cairn_core::fault::Line;
use cairn_core::os;

use crate::class::{CLASS_COUNT, SHAPES, block_size};
use crate::inside::{self, Inside};
use crate::slab::{Fault, Slab};
use crate::{center, fork, guarded, hardened, pages, records, region, shelf, thread};

pub use resolve::second_place;
use scratch::Scratch;
pub use whereabouts::fault_of_marked;

/// What one look at the heap saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Regions of address space.
    pub regions: usize,
    /// Spans, free or not.
    pub spans: usize,
    /// Slabs among them.
    pub slabs: usize,
    /// Large blocks among them.
    pub large: usize,
    /// Threads that have bins.
    pub threads: usize,
    /// Free blocks in bins, on shelves and in transfer stacks.
    pub blocks: usize,
    /// No other thread was running, so that nothing was left out.
    pub alone: bool,
}

/// The first invariant that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where it shows, as the subject of a sentence,
    pub subject: &'static str,
    /// whose rest this is.
    pub what: &'static str,
    /// The address at which it shows; 0 if there is none.
    pub address: usize,
    /// The size class that it is about; 0 if it is about none.
    pub class: usize,
    /// What was found, and what should have been.
    pub numbers: Option<(usize, usize)>,
}

/// Why an audit says nothing good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The heap is damaged.
    Broken(Violation),
    /// There is no memory for what the audit has to note; nothing was checked.
    NoMemory,
    /// The caller is a signal handler that interrupted its thread inside the heap, or the child of a fork by such a one; nothing was
    /// checked.
    Inside,
}

/// The result of a part of an audit.
pub type Found = Result<(), Violation>;

impl Violation {
    /// A sentence about no place in particular.
    pub const fn new(subject: &'static str, what: &'static str) -> Violation {
        Violation { subject, what, address: 0, class: 0, numbers: None }
    }

    /// Where it shows.
    pub const fn at(self, address: usize) -> Violation {
        Violation { address, ..self }
    }

    /// The class that it is about.
    pub const fn of(self, class: usize) -> Violation {
        Violation { class, ..self }
    }

    /// What was found, and what should have been.
    pub const fn is(self, found: usize, expected: usize) -> Violation {
        Violation { numbers: Some((found, expected)), ..self }
    }

    /// The whole sentence.
    pub fn line(&self) -> Line {
        let mut line = Line::new().text("audit: ").text(self.subject).text(" ").text(self.what);
        if let Some((found, expected)) = self.numbers {
            line = line.text(": ").number(found).text(", expected ").number(expected);
        }
        if self.address != 0 {
            line = line.text("; at ").address(self.address);
        }
        if self.class > 0 && self.class < CLASS_COUNT {
            let size = block_size(self.class);
            line = line.text(" (blocks of ").number(size).text(" bytes, class ").number(self.class).text(")");
        }
        line
    }
}

/// Fails with a violation unless `holds`.
#[inline]
pub fn must(holds: bool, violation: impl FnOnce() -> Violation) -> Found {
    if holds { Ok(()) } else { Err(violation()) }
}

/// Fails unless both numbers are the same.
#[inline]
pub fn must_be(found: usize, expected: usize, violation: impl FnOnce() -> Violation) -> Found {
    must(found == expected, || violation().is(found, expected))
}

/// One audit under way.
pub struct Audit {
    /// What was met so far, and tables that are too large for a small stack.
    pub scratch: Scratch,
    /// Nobody else can change anything: no other thread of the process runs.
    pub alone: bool,
    /// What was seen so far.
    pub seen: Seen,
}

/// Audits so far that found the heap whole.
static AUDITS: AtomicUsize = AtomicUsize::new(0);
/// The threads that Cairn itself has started, which hold no blocks,
static HELPERS: AtomicUsize = AtomicUsize::new(0);
/// and in which process: a forked child has none of them.
static HELPERS_IN: AtomicUsize = AtomicUsize::new(0);

impl Seen {
    /// What was seen, as a sentence.
    pub fn line(&self) -> Line {
        let line = Line::new().text("audit: the heap is whole: ").number(self.spans).text(" spans (");
        let line = line.number(self.slabs).text(" slabs, ").number(self.large).text(" large blocks), ");
        let line = line.number(self.blocks).text(" free blocks between slabs and program, ");
        line.number(self.threads).text(if self.threads == 1 { " thread" } else { " threads" })
    }
}

/// This process is the child of a fork.
static FORKED: AtomicBool = AtomicBool::new(false);

/// The fork came when its thread was inside, so nothing is certain here.
static UNSURE: AtomicBool = AtomicBool::new(false);

/// In the child of a fork: threads that no longer exist may have been in the middle of making large blocks, or of freeing them. Those
/// spans are lost, and what the blocks say of themselves, and their count, means nothing any more. Nothing at all is certain unless
/// the heap was `whole`.
pub fn forked(whole: bool) {
    FORKED.store(true, Relaxed);
    UNSURE.store(!whole, Relaxed);
}

/// A thread was started that never allocates: an audit needs not reckon with it.
pub fn helper_started() {
    HELPERS_IN.store(os::process_number(), Relaxed);
    HELPERS.fetch_add(1, Relaxed);
}

/// How many audits of this process found the heap whole.
pub fn count() -> usize {
    AUDITS.load(Relaxed)
}

/// Looks at the whole heap. errno is kept. Other threads wait as soon as they miss their bins.
pub fn check() -> Result<Seen, Failure> {
    let helpers = if HELPERS_IN.load(Relaxed) == os::process_number() { HELPERS.load(Relaxed) } else { 0 };
    check_as(os::threads_of_process().is_some_and(|threads| threads <= 1 + helpers))
}

/// The same for a thread that was told of by [`helper_started`]: it is never alone.
pub fn check_by_helper() -> Result<Seen, Failure> {
    check_as(false)
}

fn check_as(alone: bool) -> Result<Seen, Failure> {
    if inside::is_interrupted() || UNSURE.load(Relaxed) {
        return Err(Failure::Inside);
    }
    let _inside = Inside::enter();
    let result = fork::under_all_locks(|| {
        let scratch = Scratch::new().ok_or(Failure::NoMemory)?;
        let mut audit = Audit { scratch, alone, seen: Seen { alone, ..Seen::default() } };
        audit.run().map_err(Failure::Broken).map(|()| audit.seen)
    });
    AUDITS.fetch_add(usize::from(result.is_ok()), Relaxed);
    result
}

impl Audit {
    /// Whether large blocks can be believed: each is known to its owner only until it is made.
    pub fn knows_large(&self) -> bool {
        self.alone && !FORKED.load(Relaxed)
    }

    /// Each room, those first on which the others rely.
    fn run(&mut self) -> Found {
        region::check(self)?;
        pages::check(self)?;
        records::check(self)?;
        center::check_slabs(self)?;
        shelf::check(self)?;
        center::check_stacks(self)?;
        thread::check(self)?;
        hardened::check(self)?;
        guarded::check()
    }

    /// A part of Cairn's records is met: it must lie in them, and must not have been met as anything else.
    pub fn record(&mut self, subject: &'static str, at: usize, bytes: usize) -> Found {
        must(pages::are_records(at, bytes), || {
            Violation::new(subject, "is kept outside of Cairn's records").at(at)
        })?;
        match self.scratch.mark(at, bytes) {
            None => Ok(()),
            Some(twice) => {
                Err(Violation::new(subject, "shares its memory with another of Cairn's records").at(twice))
            }
        }
    }
}

/// What is wrong with `block` as a free block of `class` outside of its slab, if anything. Under the class's lock.
pub fn fault_of(block: usize, class: usize) -> Option<&'static str> {
    let Some(place) = region::locate_in_slab(block, class) else {
        return Some("holds an address that lies in no slab of its class");
    };
    Some(match Slab::at(place).fault_of(block, class)? {
        Fault::Interior => "holds an address inside a block",
        Fault::NeverAllocated => "holds a block that was never handed out",
        Fault::DoubleFree => "holds a block that is free in its slab, too",
        Fault::Misplaced => "holds an address that lies in no slab of its class",
    })
}

/// Whether blocks of `class` exist.
pub fn is_class(class: usize) -> bool {
    class > 0 && class < CLASS_COUNT && SHAPES[class].size > 0
}
