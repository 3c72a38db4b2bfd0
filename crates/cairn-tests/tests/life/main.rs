//! Claim: the library works in every hour of a process's life and in every straits: before constructors, in
//! destructors, across fork, with little memory, few mappings and small stacks.
//!
//! Where the number of forks, threads or rounds is the point, CI runs some seconds' worth. All of them, with the figures on
//! stderr, some minutes:
//!
//! ```text
//! CAIRN_TEST_FULL=1 cargo test --release -p cairn-tests --test life -- --test-threads 1 storm chain relay handler cancel end crowd
//! ```

mod endings;
mod fork;
mod loading;
mod moves;
mod refusals;
mod signals;
mod straits;
mod threads;
