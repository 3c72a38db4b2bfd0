//! Bytes as operations on a heap of any policy, configuration and source, held against a shadow, with an audit after each step. The same entry
//! as the test `play`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/shadow/mod.rs"]
mod shadow;

fuzz_target!(|bytes: &[u8]| shadow::play::play(bytes));
