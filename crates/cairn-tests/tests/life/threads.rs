//! Claim: threads that come and go leave nothing behind, and their last destructors may still allocate.

use cairn_tests::cprogram::{Counts, passes, passes_in_every_mode};

#[test]
fn two_thousand_threads_fifty_at_a_time() {
    let _ = passes("life/thread_churn.c", &[]);
}

#[test]
fn destructors_of_thread_specific_data() {
    let _ = passes("life/tls_destructors.c", &[]);
}

#[test]
fn cxx_thread_local_objects() {
    let _ = passes("life/thread_local.cpp", &[]);
}

#[test]
fn a_relay_of_many_threads() {
    let counts = Counts { full: 100_000, usual: 10_000, brief: 2000 };
    passes_in_every_mode("life/thread_relay.c", &["N"], counts);
}

#[test]
fn born_in_the_last_round_of_destructors() {
    let counts = Counts { full: 20_000, usual: 1000, brief: 250 };
    passes_in_every_mode("life/thread_last_round.c", &["N"], counts);
}

#[test]
fn cancelled_threads() {
    passes_in_every_mode("life/cancel.c", &["N"], Counts { full: 5000, usual: 100, brief: 25 });
}
