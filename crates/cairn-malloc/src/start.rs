//! The start of the process: settings from the environment.
//!
//! Runs as a constructor, long after the first malloc (the dynamic loader's own). So settings begin with
//! their defaults and change here, while there is one thread. Without a `CAIRN_` variable this costs one
//! comparison for each variable; no memory is allocated, nothing is looked up, nothing is asked of the
//! kernel, and no page is touched that the loader did not touch: a process that allocates nothing starts nearly
//! as quickly as on an empty library (build.rs, and `start_up` in cairn-tests).
//!
//! | variable | |
//! |---|---|
//! | those of `cairn_alloc::settings` | whole numbers in a range, or one of some words |
//! | CAIRN_MODE | one of those words: the mode is entered when all variables were read |
//! | CAIRN_STATS | `1`: a readable report on stderr at exit; a path: the machine's report in that file |
//! | CAIRN_STATS_PARENT | a process number: only its children write the report |
//! | CAIRN_LIBRARY | for the program `cairn`; ignored here |
//!
//! A program with more rights than its user (set-user-ID, file capabilities) ignores them all.

use crate::text::{Sink, Text};
use crate::{audit, helper, report};
use cairn_alloc::engine;
use cairn_alloc::mode::{self, Mode};
use cairn_alloc::settings::{AUDIT_SIGNAL, CHOICES, Choice, MODE, PURGE_THREAD, SETTINGS, Setting};
use cairn_core::os;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::AtomicU32;

const PREFIX: &[u8] = b"CAIRN_";
/// Variables that are no settings of the engine.
const OTHERS: [&str; 3] = ["CAIRN_STATS", "CAIRN_STATS_PARENT", "CAIRN_LIBRARY"];

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = start;

// Each process calls this and `report::end`, and most of them nothing else that is cold. They stand before all other code, by the
// names and tables that the loader has just read: the kernel maps the pages around together. (GNU ld has what is unlikely first, lld what
// it meets first: assembly comes before what is compiled.)
core::arch::global_asm!(".pushsection .text.unlikely.cairn_start,\"ax\",@progbits", ".popsection");

#[cfg(target_env = "gnu")]
#[unsafe(link_section = ".text.unlikely.cairn_start")]
extern "C" fn start(_argc: c_int, _argv: *const *const c_char, environment: *const *const c_char) {
    // SAFETY: glibc passes the environment to the constructors of programs and shared objects alike: an
    // array of C strings that ends with null.
    unsafe { read(environment) }
}

#[cfg(not(target_env = "gnu"))]
extern "C" fn start(_: c_int, _: *const *const c_char, _: *const *const c_char) {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: other C libraries pass nothing, but have set `environ` by now. One thread runs.
    unsafe { read(environ) }
}

// What the handlers of fork are registered for: who unloads a library has them removed by this word. The shared object is linked without the
// C compiler's own, and stays loaded. Weak, because a program that links libcairn.a has one.
core::arch::global_asm!(
    ".pushsection .rodata",
    ".p2align 3",
    ".weak __dso_handle",
    ".hidden __dso_handle",
    "__dso_handle:",
    ".quad 0",
    ".popsection"
);

/// # Safety
/// `environment` is null or an array of C strings that ends with null.
unsafe fn read(mut environment: *const *const c_char) {
    #[cfg(cairn_count)]
    report::counts_at_exit();
    let mut mine = Mine { stats: b"", parent: 0 };
    let mut is_default = true;
    if environment.is_null() {
        return;
    }
    // SAFETY: the caller's array: its end is null, and each entry before it is a C string.
    unsafe {
        while !(*environment).is_null() {
            if has_prefix(*environment) {
                mine.take(CStr::from_ptr(*environment).to_bytes());
                is_default = false;
            }
            environment = environment.add(1);
        }
    }
    // All that may follow has to be asked for: most processes have read no setting.
    if !is_default {
        mine.apply();
    }
}

/// # Safety
/// `entry` is a C string.
unsafe fn has_prefix(entry: *const c_char) -> bool {
    // SAFETY: a byte is read only if those before it are the prefix's, none of which is the string's end.
    PREFIX.iter().enumerate().all(|(at, &byte)| unsafe { *entry.add(at) } as u8 == byte)
}

/// What is known when all variables were read.
struct Mine<'a> {
    stats: &'a [u8],
    parent: c_int,
}

impl<'a> Mine<'a> {
    /// Does what was asked for.
    #[cold]
    #[inline(never)]
    fn apply(&self) {
        report::look_at_end();
        if MODE.get() != 0 {
            enter_mode();
        }
        if !self.stats.is_empty() {
            report::at_exit(self.stats, self.parent);
        }
        if PURGE_THREAD.get() == 1 {
            // If that can't be, which is said, pages are given back only while the program allocates.
            helper::start("CAIRN_PURGE_THREAD", purge_for_ever);
        }
        audit::begin();
    }

    /// Takes `CAIRN_NAME=value`.
    #[cold]
    fn take(&mut self, entry: &'a [u8]) {
        // SAFETY: getauxval has no preconditions.
        if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
            return;
        }
        let Some(middle) = entry.iter().position(|&byte| byte == b'=') else { return };
        let (name, value) = (&entry[..middle], &entry[middle + 1..]);
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.name.as_bytes() == name) {
            let value_of = if ptr::eq(*setting, &AUDIT_SIGNAL) { audit::signal } else { number };
            if !value_of(value).is_some_and(|value| setting.set(value)) {
                warn_of_value(setting, value);
            }
        } else if let Some(choice) = CHOICES.iter().find(|choice| choice.name.as_bytes() == name) {
            if !choice.set(value) {
                warn_of_word(choice, value);
            }
        } else if name == b"CAIRN_STATS" {
            self.stats = value;
        } else if name == b"CAIRN_STATS_PARENT" {
            self.parent = number(value).and_then(|parent| c_int::try_from(parent).ok()).unwrap_or(0);
        } else if !OTHERS.iter().any(|other| other.as_bytes() == name) {
            warn_of_name(name);
        }
    }
}

/// A whole number in decimal digits, and nothing else.
pub fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0usize, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(digit.into()) }
    })
}

fn warn_of_name(name: &[u8]) {
    let text = &mut Text::to(Sink::Descriptor(libc::STDERR_FILENO));
    text.words("cairn: unknown setting ").shown(name).words(" ignored (known:");
    let words = CHOICES.iter().map(|choice| choice.name);
    for known in SETTINGS.iter().map(|setting| setting.name).chain(words).chain(OTHERS) {
        text.words(" ").words(known);
    }
    text.words(")\n");
}

fn warn_of_value(setting: &Setting, value: &[u8]) {
    let text = &mut Text::to(Sink::Descriptor(libc::STDERR_FILENO));
    text.words("cairn: ")
        .words(setting.name)
        .words("=")
        .shown(value)
        .words(" ignored: it takes a whole number from ");
    text.number(setting.min).words(" to ").number(setting.max).words("\n");
}

fn warn_of_word(choice: &Choice, value: &[u8]) {
    let text = &mut Text::to(Sink::Descriptor(libc::STDERR_FILENO));
    text.words("cairn: ").words(choice.name).words("=").shown(value).words(" ignored: it takes one of");
    for word in choice.words {
        text.words(" ").words(word);
    }
    text.words("\n");
}

/// Enters the mode that was chosen. The program runs in any case.
#[cold]
fn enter_mode() {
    let mode = Mode::ALL[MODE.get()];
    if let Err(refused) = mode::enter(mode) {
        let text = &mut Text::to(Sink::Descriptor(libc::STDERR_FILENO));
        text.words("cairn: CAIRN_MODE=")
            .words(mode.name())
            .words(" ignored: ")
            .words(refused.reason())
            .words("\n");
    }
}

extern "C" fn purge_for_ever(_: *mut c_void) -> *mut c_void {
    const PAUSE_MS: usize = 100;
    let nobody_wakes = AtomicU32::new(0);
    loop {
        os::sleep_while(&nobody_wakes, 0, PAUSE_MS);
        engine::purge_step();
    }
}
