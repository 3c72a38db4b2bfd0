//! Claim: fork, vfork and spawn leave both sides with a heap that works.

use cairn_tests::cprogram::{Counts, passes, passes_in_every_mode};

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

#[test]
fn a_storm_of_forks_from_sixteen_threads() {
    passes_in_every_mode("life/fork_storm.c", &["N"], Counts { full: 100_000, usual: 500, brief: 150 });
}

#[test]
fn a_chain_of_forks_loses_no_more_than_the_program_itself() {
    // Small blocks, whose batches are long, and large ones, of which a few make a batch. Of sixteen threads each may hold one
    // block that it has just made or is about to free: of the large ones sixteen blocks of their largest class, 4,096 bytes.
    for (size, lost) in [("100", "8000"), ("4000", "65536")] {
        let args = ["N", "16", size, lost];
        passes_in_every_mode("life/fork_generations.c", &args, Counts { full: 1000, usual: 50, brief: 30 });
    }
}

#[test]
fn a_handler_forks_inside_malloc() {
    let counts = Counts { full: 5000, usual: 100, brief: 40 };
    passes_in_every_mode("life/fork_in_handler.c", &["alone", "N"], counts);
    passes_in_every_mode("life/fork_in_handler.c", &["crowd", "N"], counts);
}

#[test]
fn handlers_of_fork_allocate() {
    let counts = Counts { full: 5000, usual: 100, brief: 40 };
    passes_in_every_mode("life/fork_handlers.c", &["N"], counts);
}

#[test]
fn handlers_of_fork_resize_blocks_of_every_kind() {
    let counts = Counts { full: 2000, usual: 50, brief: 15 };
    passes_in_every_mode("life/fork_handlers_resize.c", &["N"], counts);
}
