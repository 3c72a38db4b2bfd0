//! Faults on demand, for the tests of the tests: `CAIRN_MUTANT=name` weakens the one ordering of that name, or plants the one fault.
//!
//! `Acquire` and `Release` become `Relaxed`, and a fence is left out. `AcqRel` makes two mutants, `name/acquire`
//! and `name/release`, each without that half.
//!
//! And threads that stop for ever between two steps, as those do that a fork leaves behind: [`stop_at`].

extern crate std;

use crate::sync::Ordering;
use std::cell::Cell;
use std::string::String;
use std::sync::OnceLock;

/// The mutant of this process, if it is one.
fn asked_for() -> Option<&'static str> {
    // The standard library's cell, not the model's: this is no part of what is modelled.
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    NAME.get_or_init(|| std::env::var("CAIRN_MUTANT").ok()).as_deref()
}

/// Whether `name` is the mutant of this process.
pub fn is_asked_for(name: &str) -> bool {
    asked_for() == Some(name)
}

/// `order`, unless the mutant of this process is the one of that name.
pub fn weakened(name: &str, order: Ordering) -> Ordering {
    match (asked_for().and_then(|asked| asked.strip_prefix(name)), order) {
        (Some("/acquire"), Ordering::AcqRel) => Ordering::Release,
        (Some("/release"), Ordering::AcqRel) => Ordering::Acquire,
        (Some(""), Ordering::Acquire | Ordering::Release | Ordering::SeqCst) => Ordering::Relaxed,
        _ => order,
    }
}

/// What a thread panics with that is stopped by [`stop_at`].
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

std::thread_local! {
    /// Fences that this thread may still pass.
    static PASSES: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Runs `run`, and stops it for ever at the compiler's fence after `passes` of them; tells whether it came to the end.
pub fn stop_at(passes: usize, run: impl FnOnce()) -> bool {
    PASSES.set(Some(passes));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    PASSES.set(None);
    match outcome {
        Ok(()) => true,
        Err(payload) if payload.is::<Stopped>() => false,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// A thread comes to a compiler's fence.
pub(super) fn pass() {
    if let Some(left) = PASSES.get() {
        match left.checked_sub(1) {
            Some(left) => PASSES.set(Some(left)),
            None => {
                PASSES.set(None);
                // Without the message of a panic.
                std::panic::resume_unwind(std::boxed::Box::new(Stopped));
            }
        }
    }
}
