//! What the integration tests of `libcairn.so` share: building it, running programs on it and without it, and
//! comparing what they did.
//!
//! ```text
//!   tests/programs  tests/abi  tests/life  tests/*.rs        one claim a file
//!          │            │          │           │
//!          ▼            ▼          ▼           ▼
//!       compare ──►  cprogram ──► compile   refusal ─► tracer  calls that fail; how many faults, calls, threads
//!          │            │          │           │
//!          └────────────┴────┬─────┴───────────┘
//!                            ▼
//!              library · programs · command · scratch        the .so, what is installed, run, where
//! ```
//!
//! The rules that every test keeps:
//! - a program that is missing is skipped by name; `CAIRN_REQUIRE_PROGRAMS=1` turns the skip into a failure;
//! - a hang is a failure: nothing runs without a time limit;
//! - a test first shows that the program really ran on the library (see [`compare`] and `c/check.h`), so that no
//!   test passes because the preload was lost on the way.

pub mod command;
pub mod compare;
pub mod compile;
pub mod cprogram;
pub mod disassemble;
pub mod elf;
pub mod ladder;
pub mod library;
pub mod mutants;
pub mod overcommit;
pub mod programs;
pub mod refusal;
pub mod scratch;
pub mod tracer;
pub mod unsafe_code;
