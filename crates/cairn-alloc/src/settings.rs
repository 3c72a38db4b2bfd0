//! The one table of tunables. The environment, `cairn settings` and the documentation are made from it.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::mode::Mode;

/// One setting: a whole number in a range, read from the environment when the shared object starts.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable, for example `CAIRN_DECAY_MS`.
    pub name: &'static str,
    /// The value without the variable.
    pub default: usize,
    /// The least value accepted.
    pub min: usize,
    /// The greatest value accepted.
    pub max: usize,
    /// One sentence: what it does and why one would change it.
    pub help: &'static str,
    value: &'static AtomicUsize,
}

impl Setting {
    /// The value in force.
    pub fn get(&self) -> usize {
        self.value.load(Relaxed)
    }

    /// Sets the value; false, and no change, if it is out of range.
    pub fn set(&self, value: usize) -> bool {
        let fits = (self.min..=self.max).contains(&value);
        if fits {
            self.value.store(value, Relaxed);
        }
        fits
    }
}

/// One setting that is one of some words, read likewise. The first word is the default.
#[derive(Debug)]
pub struct Choice {
    /// The environment variable, for example `CAIRN_MODE`.
    pub name: &'static str,
    /// The words.
    pub words: &'static [&'static str],
    /// One sentence: what it does and why one would change it.
    pub help: &'static str,
    value: &'static AtomicUsize,
}

impl Choice {
    /// The number of the word in force.
    pub fn get(&self) -> usize {
        self.value.load(Relaxed)
    }

    /// Chooses a word; false, and no change, if it is none of them.
    pub fn set(&self, word: &[u8]) -> bool {
        let found = self.words.iter().position(|known| known.as_bytes() == word);
        if let Some(number) = found {
            self.value.store(number, Relaxed);
        }
        found.is_some()
    }
}

/// A setting, whose value is a static of its own: so what doesn't change is in memory that can't be written to, and the pages with values
/// are not touched before somebody reads one.
macro_rules! setting {
    ($name:literal, $default:expr, $min:expr, $max:expr, $help:literal $(,)?) => {{
        static VALUE: AtomicUsize = AtomicUsize::new($default);
        Setting { name: $name, default: $default, min: $min, max: $max, help: $help, value: &VALUE }
    }};
}

/// Likewise.
macro_rules! choice {
    ($name:literal, $words:expr, $help:literal $(,)?) => {{
        static VALUE: AtomicUsize = AtomicUsize::new(0);
        Choice { name: $name, words: $words, help: $help, value: &VALUE }
    }};
}

/// The mode that the shared object enters at start, see [`mode`](crate::mode).
pub static MODE: Choice = choice!(
    "CAIRN_MODE",
    &[Mode::ALL[0].name(), Mode::ALL[1].name(), Mode::ALL[2].name(), Mode::ALL[3].name()],
    "hardened: heap bugs are hard to exploit; debug: overflow and use after free stop at the instruction; sampled: \
     the same for a few blocks, at a price that production can pay",
);

/// On which side of a guarded block the guard is, see `guarded`.
pub static GUARD: Choice = choice!(
    "CAIRN_GUARD",
    &["behind", "before"],
    "in the modes debug and sampled: where a block touches the page that stops it; before finds underflows",
);

/// After how many milliseconds without need a free page goes back to the kernel.
pub static DECAY_MS: Setting = setting!(
    "CAIRN_DECAY_MS",
    500,
    0,
    3_600_000,
    "milliseconds after which free pages that nobody needed go back to the kernel (0: at the next opportunity)",
);

/// Whether a thread gives pages back while the process is idle.
pub static PURGE_THREAD: Setting = setting!(
    "CAIRN_PURGE_THREAD",
    0,
    0,
    1,
    "1 starts a thread that gives free pages back even if the program calls nothing at all; 0 leaves it to its next calls",
);

/// Whether huge pages are used, see pages/huge.rs.
pub static HUGE_PAGES: Setting = setting!(
    "CAIRN_HUGE_PAGES",
    1,
    0,
    1,
    "1 lets a heap above 8 MiB grow by huge pages as long as the kernel gives them quickly; 0 never does",
);

/// Greatest number of KiB that the bins of one thread may hold.
pub static THREAD_KIB: Setting =
    setting!("CAIRN_THREAD_KIB", 2048, 0, 1 << 20, "KiB of free blocks that one thread may keep for itself",);

/// How often the heap is audited.
pub static AUDIT_MS: Setting = setting!(
    "CAIRN_AUDIT_MS",
    0,
    0,
    3_600_000,
    "milliseconds between two audits of the whole heap by a thread of its own, and one at exit; the program ends at the first damage found \
     (0: never)",
);

/// The signal that asks for an audit.
pub static AUDIT_SIGNAL: Setting = setting!(
    "CAIRN_AUDIT_SIGNAL",
    0,
    0,
    64,
    "number of a signal (or USR1, USR2, HUP, URG, WINCH) at which the heap is audited and the result told on stderr (0: none)",
);

/// Bytes of live blocks that debug mode guards.
pub static GUARD_MIB: Setting = setting!(
    "CAIRN_GUARD_MIB",
    0,
    0,
    1 << 24,
    "MiB of pages that debug mode may have open for live blocks, a page each at least (0: a quarter of memory)",
);

/// Freed blocks that debug mode keeps inaccessible.
pub static GUARD_QUARANTINE: Setting = setting!(
    "CAIRN_GUARD_QUARANTINE",
    256 << 10,
    0,
    16 << 20,
    "freed blocks that debug mode keeps, so that a use is found (some 320 bytes of records each)",
);

/// One block in so many is guarded in sampled mode.
pub static SAMPLE_RATE: Setting = setting!(
    "CAIRN_SAMPLE_RATE",
    5000,
    1,
    1 << 30,
    "sampled mode guards one block in so many of those that go through thread bins",
);

/// Runs of pages in sampled mode.
pub static SAMPLE_SLOTS: Setting = setting!(
    "CAIRN_SAMPLE_SLOTS",
    64,
    1,
    1 << 16,
    "blocks that sampled mode can guard at a time, the freed ones that it keeps included",
);

/// All numeric settings, in the order in which they are documented.
pub static SETTINGS: [&Setting; 10] = [
    &DECAY_MS,
    &PURGE_THREAD,
    &HUGE_PAGES,
    &THREAD_KIB,
    &GUARD_MIB,
    &GUARD_QUARANTINE,
    &SAMPLE_RATE,
    &SAMPLE_SLOTS,
    &AUDIT_MS,
    &AUDIT_SIGNAL,
];

/// All settings that are words, in the order in which they are documented.
pub static CHOICES: [&Choice; 2] = [&MODE, &GUARD];
