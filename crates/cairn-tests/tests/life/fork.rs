//! Claim: fork, vfork and spawn leave both sides with a heap that works.

use cairn_tests::cprogram::passes;

#[test]
fn fork_of_a_process_with_many_busy_threads() {
    let _ = passes("life/fork_stress.c", &[]);
}

#[test]
fn thousands_of_forks_while_threads_are_born_and_die() {
    let _ = passes("life/fork_births.c", &["4"]);
}

#[test]
fn vfork_and_spawn_while_threads_allocate() {
    let _ = passes("life/vfork_spawn.c", &[]);
}
