//! Cairn's lock-free parts under model checkers, on the source that ships.
//!
//! The files of `cairn-alloc` that speak to other threads without a lock, and those that say which locks are held together, are taken in
//! here by their paths ([`shipped`]); stand-ins (`rooms`) surround them, since a model of the whole engine would never end. What they share memory with is [`cairn_core::sync`], which this build
//! turns into the model's. Each test is written once, against [`tool`], and runs with
//!
//! | tool | command, after `cargo test -p cairn-model --release` with | what it sees |
//! |---|---|---|
//! | loom | `RUSTFLAGS="--cfg loom"` | every order of events of two or three threads, memory reordered as the language allows |
//! | shuttle | `RUSTFLAGS="--cfg shuttle"` | thousands of random orders of many threads, memory in order |
//! | Miri | `cargo +nightly miri test -p cairn-model` | undefined behaviour, data races, some reordering |
//! | the machine | nothing | real threads |
//!
//! [`mutants`] has the table of all orderings and planted faults. `CAIRN_MODEL_LONG=1` allows loom more preemptions and shuttle more rounds.
//!
//! A test that never fails is no test: `cargo test` with loom also runs itself once for each row of the table, with that ordering
//! weakened, and expects the named test to fail.

pub mod mutants;
pub mod records;
#[cfg(any(loom, shuttle))]
pub mod rooms;
pub mod shipped;
pub mod tool;

// Where the files that are taken in look for each other, and for the stand-ins.
#[cfg(any(loom, shuttle))]
use {
    rooms::{audit, center, class, cpu, guarded, hardened, modes, pages, slot, thread},
    shipped::{fork, inside, mode, shelf, transfer},
};
