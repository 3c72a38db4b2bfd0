//! Claim: the fuzz target's programs (`fuzz/`) hold on the engine: its corpus, and byte strings that nobody steers. They come from a
//! seed, so a failure repeats. `play_hardened.rs` and the others play the same in the other modes: a mode holds for a process.

mod shadow;

use shadow::{alone, play, steps};

#[test]
fn random_programs() {
    let _alone = alone();
    play::random_programs(steps(400));
}

#[test]
fn the_corpus() {
    let _alone = alone();
    play::corpus();
}
