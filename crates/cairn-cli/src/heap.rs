//! The heap report that `libcairn.so` writes when the program ends: reading it.
//!
//! ```text
//! version 0.1.0                      one `key value` a line, whole numbers but for the version
//! pid 4711
//! ...
//! class 64 120 30 0 900 12 65536     block size, live, in bins, in stacks, free in slabs, uncarved, slab bytes
//! end                                a report without this line was cut off
//! ```
//! Keys that we don't know are passed over: the library may be newer than this program.

use serde::Serialize;

/// One size class.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Class {
    /// Bytes of one block.
    pub block_size: u64,
    /// Blocks that the program held.
    pub live_blocks: u64,
    /// Free blocks in the bins of threads.
    pub bin_blocks: u64,
    /// Free blocks in the stacks between threads.
    pub stack_blocks: u64,
    /// Free blocks in slabs that were used before.
    pub slab_free_blocks: u64,
    /// Blocks in slabs that were never used.
    pub uncarved_blocks: u64,
    /// Bytes of all slabs.
    pub slab_bytes: u64,
}

/// The heap at the end of the program.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Heap {
    /// The library's version.
    pub version: String,
    /// The process that wrote the report.
    pub pid: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Address space reserved.
    pub reserved_bytes: u64,
    /// Part of it that may be read and written.
    pub committed_bytes: u64,
    /// Memory for Cairn's own records.
    pub metadata_bytes: u64,
    /// Large blocks that the program held.
    pub large_blocks: u64,
    /// Their bytes.
    pub large_bytes: u64,
    /// Free spans whose pages may be in memory.
    pub free_dirty_bytes: u64,
    /// Free spans without pages.
    pub free_clean_bytes: u64,
    /// Given back to the kernel, all times together.
    pub purged_bytes: u64,
    /// Threads that had bins.
    pub threads: u64,
    /// Audits that found it whole.
    pub audits: u64,
    /// The size classes that were used, smallest first.
    pub classes: Vec<Class>,
}

/// Why there is no heap to show.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing was written.
    Nothing,
    /// The report breaks off.
    CutOff,
    /// This line makes no sense.
    Damaged(String),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Missing::Nothing => out.write_str(
                "the program left no heap report: it ended by a signal, by _exit, or replaced itself",
            ),
            Missing::CutOff => out.write_str("the program's heap report breaks off in the middle"),
            Missing::Damaged(line) => {
                write!(out, "the program's heap report has a line that makes no sense: {line}")
            }
        }
    }
}

impl Heap {
    /// Reads a report.
    pub fn parse(text: &str) -> Result<Heap, Missing> {
        let mut heap = Heap::default();
        for line in text.lines() {
            if line == "end" {
                return Ok(heap);
            }
            heap.take(line).ok_or_else(|| {
                // A report that was cut off may end inside a line.
                if text.ends_with(line) { Missing::CutOff } else { Missing::Damaged(line.to_owned()) }
            })?;
        }
        Err(if text.trim().is_empty() { Missing::Nothing } else { Missing::CutOff })
    }

    /// Takes in one line; none if it makes no sense.
    fn take(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once(' ')?;
        let field = match key {
            "version" => {
                self.version = value.to_owned();
                return Some(());
            }
            "class" => {
                self.classes.push(Class::parse(value)?);
                return Some(());
            }
            "pid" => &mut self.pid,
            "page_size" => &mut self.page_size,
            "reserved_bytes" => &mut self.reserved_bytes,
            "committed_bytes" => &mut self.committed_bytes,
            "metadata_bytes" => &mut self.metadata_bytes,
            "large_blocks" => &mut self.large_blocks,
            "large_bytes" => &mut self.large_bytes,
            "free_dirty_bytes" => &mut self.free_dirty_bytes,
            "free_clean_bytes" => &mut self.free_clean_bytes,
            "purged_bytes" => &mut self.purged_bytes,
            "threads" => &mut self.threads,
            "audits" => &mut self.audits,
            _ => return Some(()),
        };
        *field = value.parse().ok()?;
        Some(())
    }

    /// Bytes and blocks that the program held, large and small.
    pub fn live(&self) -> (u64, u64) {
        let small = self.sum(|class| class.live_blocks);
        (self.large_bytes + small.0, self.large_blocks + small.1)
    }

    /// Bytes and blocks over all classes, where `blocks` tells which blocks of a class count.
    pub fn sum(&self, blocks: impl Fn(&Class) -> u64) -> (u64, u64) {
        self.classes.iter().fold((0, 0), |(bytes, count), class| {
            (bytes + blocks(class) * class.block_size, count + blocks(class))
        })
    }
}

impl Class {
    fn parse(value: &str) -> Option<Class> {
        let numbers: Option<Vec<u64>> = value.split(' ').map(|word| word.parse().ok()).collect();
        let [
            block_size,
            live_blocks,
            bin_blocks,
            stack_blocks,
            slab_free_blocks,
            uncarved_blocks,
            slab_bytes,
        ] = numbers?.try_into().ok()?;
        Some(Class {
            block_size,
            live_blocks,
            bin_blocks,
            stack_blocks,
            slab_free_blocks,
            uncarved_blocks,
            slab_bytes,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report as the library writes it.
    pub const SAMPLE: &str = "version 0.1.0\npid 42\npage_size 4096\nreserved_bytes 1073741824\ncommitted_bytes 262144\n\
        metadata_bytes 8192\nlarge_blocks 1\nlarge_bytes 131072\nfree_dirty_bytes 65536\nfree_clean_bytes 0\n\
        purged_bytes 0\nthreads 2\naudits 7\nclass 16 100 20 0 3000 976 65536\nclass 64 1 2 3 4 1014 65536\nend\n";

    #[test]
    fn reads_a_whole_report() {
        let heap = Heap::parse(SAMPLE).expect("a good report");
        assert_eq!((heap.version.as_str(), heap.pid, heap.threads), ("0.1.0", 42, 2));
        assert_eq!(heap.audits, 7);
        assert_eq!(heap.live(), (131_072 + 1_600 + 64, 102));
        assert_eq!(heap.sum(|class| class.bin_blocks), (20 * 16 + 2 * 64, 22));
        assert_eq!(heap.classes[1].slab_free_blocks, 4);
    }

    #[test]
    fn tells_nothing_from_a_part() {
        assert_eq!(Heap::parse(""), Err(Missing::Nothing));
        // Wherever it breaks off, it must not pass for a whole report.
        for end in 1..SAMPLE.len() - "end\n".len() {
            assert_eq!(Heap::parse(&SAMPLE[..end]), Err(Missing::CutOff), "cut off after {end} bytes");
        }
    }

    #[test]
    fn names_a_line_that_makes_no_sense() {
        let text = SAMPLE.replace("threads 2", "threads many");
        assert_eq!(Heap::parse(&text), Err(Missing::Damaged("threads many".into())));
        let text = SAMPLE.replace("class 64 1 2 3", "class 64 1 2");
        assert!(matches!(Heap::parse(&text), Err(Missing::Damaged(_))));
    }

    #[test]
    fn passes_over_what_it_does_not_know() {
        let text = SAMPLE.replace("end\n", "colour blue\nend\n");
        assert!(Heap::parse(&text).is_ok());
    }
}
