//! Claim: a process may end, or become another program, in every way while its threads allocate.

use cairn_tests::cprogram::{Counts, passes_in_every_mode};

#[test]
fn every_end_while_threads_allocate() {
    passes_in_every_mode("life/endings.c", &["N"], Counts { full: 500, usual: 3, brief: 1 });
}
