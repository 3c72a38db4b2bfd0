//! Claim: threads that come and go leave nothing behind, and their last destructors may still allocate.

use cairn_tests::cprogram::passes;

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
