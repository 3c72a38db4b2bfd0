//! Claim: under strict overcommit (`vm.overcommit_memory=2`) the library starts and serves: its reservation is not
//! counted as memory.
//!
//! The setting is the whole machine's, so this test is a binary of its own, runs nothing beside it, and is skipped
//! by name unless root runs it.

use cairn_tests::cprogram::preloaded;
use cairn_tests::overcommit::Strict;
use cairn_tests::{command, compile, library, programs};
use std::time::Duration;

#[test]
fn strict_overcommit() {
    // Everything is built before the machine is switched over.
    library::shared_object();
    let rules = ["abi/no_overlap.c", "abi/every_alignment.c", "abi/calloc_zero.c", "life/small_stacks.c"];
    let compiled: Option<Vec<_>> = rules.iter().map(|rule| compile::program(rule, &[])).collect();
    let Some(compiled) = compiled else { return };
    let strict = match Strict::begin() {
        Ok(strict) => strict,
        // Whether the machine has room is not the test's to demand.
        Err(reason) if reason.contains("would leave") => {
            eprintln!("SKIPPED: {reason}");
            return;
        }
        Err(reason) => return programs::skip(&reason),
    };
    let finished: Vec<_> = compiled
        .iter()
        .map(|program| command::run(&mut preloaded(program, &[]), Duration::from_secs(60)))
        .collect();
    drop(strict);
    for one in finished {
        one.expect_success();
    }
}
