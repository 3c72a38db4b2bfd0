//! Claim: signals that arrive inside malloc disturb nothing, as long as their handlers don't allocate.

use cairn_tests::cprogram::{Counts, passes_in_every_mode};

#[test]
fn handlers_of_signals_inside_malloc() {
    passes_in_every_mode("life/signals.c", &["N"], Counts { full: 100_000, usual: 1000, brief: 300 });
}
