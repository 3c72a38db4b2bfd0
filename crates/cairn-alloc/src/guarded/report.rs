//! What is said about faults with guarded blocks: one line, then who did what where.

use cairn_core::backtrace;
use cairn_core::fault::Line;
use cairn_core::os::{self, thread_number};

use super::pool::Wrong;
use super::record::{Record, Relation, State, Trace};

/// What an instruction tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// Nobody told.
    #[cfg_attr(target_arch = "x86_64", expect(dead_code, reason = "this processor always tells"))]
    Unknown,
}

/// Prints that an instruction touched what it must not: `at` is its stack.
pub fn print_access(address: usize, access: Access, record: Option<&Record>, at: &[usize]) {
    let verb = match access {
        Access::Read => "read of ",
        Access::Write => "write to ",
        Access::Unknown => "access to ",
    };
    let Some(record) = record else {
        let line = Line::new().text("wild ").text(verb).address(address);
        line.text(", between guarded blocks, where none was yet").print();
        return print_access_stack(at);
    };
    let live = record.state == State::Live;
    let what = match record.relation(address) {
        _ if !live => "use after free: ",
        Relation::Before(_) => "underflow: ",
        _ => "overflow: ",
    };
    let line = place(Line::new().text(what).text(verb).address(address), address, record);
    line.text("; thread ").number(thread_number()).text(")").print();
    print_access_stack(at);
    print_history(record);
}

/// Ends the process: a block can't be freed, or asked about, or be given another size.
#[cold]
pub fn refuse(wrong: &Wrong, address: usize, record: &Record, by: &Trace, verb: &str) -> ! {
    backtrace::end_soon();
    let line = Line::new();
    let line = match wrong {
        Wrong::Unknown => {
            line.text(verb).text(" of ").address(address).text(", where no block is (wild pointer?")
        }
        Wrong::DoubleFree => {
            let line = if verb == "free" {
                line.text("double free of ")
            } else {
                line.text(verb).text(" of freed memory at ")
            };
            let line = line.address(address);
            match record.relation(address) {
                Relation::Inside(0) => line.text(" (block of ").number(record.size).text(" bytes"),
                _ => place(line, address, record),
            }
        }
        Wrong::Interior => {
            place(line.text(verb).text(" of an address inside a block: ").address(address), address, record)
        }
        Wrong::Size(layout) => line
            .text("free of ")
            .address(address)
            .text(" with a wrong size: it is a block of ")
            .number(record.size)
            .text(" bytes, freed as one of ")
            .number(layout.size())
            .text(" bytes, alignment ")
            .number(layout.align())
            .text(" (both stacks follow"),
        Wrong::Spoilt(at) => place(
            line.text("overflow, found by ").text(verb).text(": something wrote to ").address(*at),
            *at,
            record,
        ),
    };
    line.text("; thread ").number(by.thread as usize).text(")").print();
    print_stack(verb, by.thread, by.frames());
    print_history(record);
    os::alarm(0);
    // SAFETY: may be called at any time.
    unsafe { libc::abort() }
}

/// Appends where an address lies: `, 16 bytes into a block of 48 bytes (0x7f…`; the bracket stays open.
fn place(line: Line, address: usize, record: &Record) -> Line {
    let (distance, word) = match record.relation(address) {
        Relation::Inside(offset) => (offset, " bytes into a block of "),
        Relation::Behind(bytes) => (bytes, " bytes behind the end of a block of "),
        Relation::Before(bytes) => (bytes, " bytes before the begin of a block of "),
    };
    let line = line.text(", ").number(distance).text(word).number(record.size);
    let line = line.text(if record.state == State::Live { " bytes (" } else { " bytes that was freed (" });
    line.address(record.begin)
}

fn print_history(record: &Record) {
    print_stack("allocated", record.allocated.thread, record.allocated.frames());
    print_stack("freed", record.freed.thread, record.freed.frames());
}

fn print_access_stack(at: &[usize]) {
    print_head("accessed", thread_number() as u32);
    backtrace::print_interrupted(at);
}

/// Prints a stack, if what it is about happened.
fn print_stack(what: &str, thread: u32, frames: &[usize]) {
    if thread == 0 {
        return;
    }
    print_head(what, thread);
    backtrace::print(frames);
}

fn print_head(what: &str, thread: u32) {
    Line::continued().text("  ").text(what).text(" by thread ").number(thread as usize).text(" at:").print();
}
