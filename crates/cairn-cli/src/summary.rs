//! What a run with `--stats` tells: time, memory and the heap, as a table for people or as JSON for programs.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::heap::{Heap, Missing};
use crate::signals;
use crate::supervise::{Ending, Outcome};
use crate::table::{Table, bytes, count};

/// The whole document; the fields are the keys of the JSON form.
#[derive(Debug, Serialize)]
pub struct Summary {
    command: Vec<String>,
    pid: i32,
    /// The exit status, if it ended by itself.
    exit_status: Option<i32>,
    /// The name of the signal that ended it, if one did.
    signal: Option<String>,
    wall_seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    peak_rss_bytes: u64,
    minor_faults: u64,
    major_faults: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
    /// Bytes of all blocks that the program held at the end.
    live_bytes: Option<u64>,
    /// How many blocks these are.
    live_blocks: Option<u64>,
    heap: Option<Heap>,
    /// Why there is no heap.
    heap_missing: Option<String>,
}

impl Summary {
    /// Gathers what is known about a finished run; `report` is the file that the library wrote.
    pub fn new(command: &[OsString], outcome: &Outcome, report: &Path) -> Self {
        let text = std::fs::read_to_string(report).unwrap_or_default();
        Summary::of(command, outcome, Heap::parse(&text))
    }

    fn of(command: &[OsString], outcome: &Outcome, heap: Result<Heap, Missing>) -> Self {
        let usage = outcome.usage;
        let (heap, heap_missing) = match heap {
            Ok(heap) => (Some(heap), None),
            Err(missing) => (None, Some(missing.to_string())),
        };
        let (exit_status, signal) = match outcome.ending {
            Ending::Exit(status) => (Some(status), None),
            Ending::Signal(number) => (None, Some(signals::name(number))),
        };
        Summary {
            command: command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            pid: outcome.pid,
            exit_status,
            signal,
            wall_seconds: outcome.wall.as_secs_f64(),
            user_seconds: usage.user.as_secs_f64(),
            system_seconds: usage.system.as_secs_f64(),
            peak_rss_bytes: usage.peak_rss_bytes,
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
            live_bytes: heap.as_ref().map(|heap| heap.live().0),
            live_blocks: heap.as_ref().map(|heap| heap.live().1),
            heap,
            heap_missing,
        }
    }

    /// The JSON form.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data has a JSON form");
        text.push('\n');
        text
    }

    /// How the audits went, in one line.
    pub fn audits(&self) -> String {
        let program = self.command.first().map_or("", String::as_str);
        match (&self.heap, &self.heap_missing) {
            (Some(heap), _) => {
                let audits = heap.audits;
                format!(
                    "cairn: {} {} of the heap of {program}, no damage\n",
                    count(audits),
                    plural(audits, "audit")
                )
            }
            // If damage ended it, the library has said so.
            (None, missing) => {
                let ending = self.ending();
                let missing = missing.as_deref().unwrap_or_default();
                format!("cairn: {program} was audited and {ending}; {missing}\n")
            }
        }
    }

    fn ending(&self) -> String {
        match (&self.signal, self.exit_status) {
            (Some(signal), _) => format!("was ended by {signal}"),
            (None, status) => format!("exited with status {}", status.unwrap_or_default()),
        }
    }

    /// The form for people.
    pub fn table(&self) -> String {
        let ending = self.ending();
        let program = self.command.first().map_or("", String::as_str);
        let wall = Duration::from_secs_f64(self.wall_seconds);
        let mut text = format!("\ncairn: {program} {ending} after {}\n\n", seconds(wall.as_secs_f64()));
        let mut run = Table::facts();
        run.fact(
            "processor time",
            &[seconds(self.user_seconds), "user".into(), seconds(self.system_seconds), "system".into()],
        );
        run.fact("peak RSS", &[bytes(self.peak_rss_bytes)]);
        run.fact(
            "page faults",
            &[count(self.minor_faults), "minor".into(), count(self.major_faults), "major".into()],
        );
        run.fact(
            "context switches",
            &[
                count(self.voluntary_switches),
                "voluntary".into(),
                count(self.involuntary_switches),
                "involuntary".into(),
            ],
        );
        text += &run.to_string();
        match (&self.heap, &self.heap_missing) {
            (Some(heap), _) => text += &heap_text(heap),
            (None, missing) => text += &format!("\n{}\n", missing.as_deref().unwrap_or_default()),
        }
        text
    }
}

/// The heap: what it holds in all, then class by class.
fn heap_text(heap: &Heap) -> String {
    let mut text = format!("\nheap at the end (Cairn {}, process {})\n\n", heap.version, heap.pid);
    let mut facts = Table::facts();
    let mut blocks = |name: &str, (size, number): (u64, u64), what: &str| {
        facts.fact(name, &[bytes(size), what.into(), count(number), plural(number, "block")]);
    };
    blocks("live", heap.live(), "in");
    blocks("  of it large", (heap.large_bytes, heap.large_blocks), "in");
    blocks("free in bins", heap.sum(|class| class.bin_blocks), "in");
    blocks("free in stacks", heap.sum(|class| class.stack_blocks), "in");
    blocks("free in slabs", heap.sum(|class| class.slab_free_blocks), "in");
    blocks("never used in slabs", heap.sum(|class| class.uncarved_blocks), "in");
    facts.fact("free spans", &[bytes(heap.free_dirty_bytes), "may be in memory".into()]);
    facts.fact("", &[bytes(heap.free_clean_bytes), "not in memory".into()]);
    facts.fact("given back so far", &[bytes(heap.purged_bytes)]);
    facts.fact("own records", &[bytes(heap.metadata_bytes)]);
    facts.fact(
        "address space",
        &[bytes(heap.committed_bytes), "usable of".into(), bytes(heap.reserved_bytes)],
    );
    facts.fact("threads", &[count(heap.threads)]);
    if heap.audits > 0 {
        facts.fact("found whole by", &[count(heap.audits), plural(heap.audits, "audit")]);
    }
    text += &facts.to_string();
    if heap.classes.is_empty() {
        return text;
    }
    let mut classes = Table::with_head(&[
        "block size",
        "live blocks",
        "live bytes",
        "in bins",
        "in stacks",
        "free in slabs",
        "never used",
        "slabs",
    ]);
    for class in &heap.classes {
        classes.row(&[
            count(class.block_size),
            count(class.live_blocks),
            bytes(class.live_blocks * class.block_size),
            count(class.bin_blocks),
            count(class.stack_blocks),
            count(class.slab_free_blocks),
            count(class.uncarved_blocks),
            bytes(class.slab_bytes),
        ]);
    }
    text + "\n" + &classes.to_string()
}

fn plural(number: u64, word: &str) -> String {
    if number == 1 { word.to_owned() } else { format!("{word}s") }
}

fn seconds(value: f64) -> String {
    format!("{value:.3} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::tests::SAMPLE;
    use crate::supervise::Usage;

    fn sample(ending: Ending, heap: Result<Heap, Missing>) -> Summary {
        let usage = Usage {
            user: Duration::from_millis(1500),
            system: Duration::from_millis(20),
            peak_rss_bytes: 3 << 20,
            minor_faults: 12_345,
            major_faults: 1,
            voluntary_switches: 2,
            involuntary_switches: 3,
        };
        let outcome = Outcome { pid: 42, ending, wall: Duration::from_millis(1600), usage };
        Summary::of(&["prog".into(), "a b".into()], &outcome, heap)
    }

    #[test]
    fn the_table_tells_it_readably() {
        let text = sample(Ending::Exit(3), Heap::parse(SAMPLE)).table();
        for part in ["prog exited with status 3 after 1.600 s", "3 MiB", "12,345", "102 blocks", "never used"]
        {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(text.lines().all(|line| line.trim_end() == line), "trailing spaces in:\n{text}");
    }

    #[test]
    fn the_table_says_why_there_is_no_heap() {
        let text = sample(Ending::Signal(libc::SIGSEGV), Err(Missing::Nothing)).table();
        assert!(text.contains("was ended by SIGSEGV") && text.contains("left no heap report"), "{text}");
    }

    #[test]
    fn the_json_form_has_the_figures() {
        let text = sample(Ending::Exit(3), Heap::parse(SAMPLE)).json();
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["command"][1], "a b");
        assert_eq!(value["exit_status"], 3);
        assert_eq!(value["peak_rss_bytes"], 3 << 20);
        assert_eq!(value["live_blocks"], 102);
        assert_eq!(value["heap"]["classes"][0]["live_blocks"], 100);
        assert!(value["signal"].is_null() && value["heap_missing"].is_null());
    }
}
