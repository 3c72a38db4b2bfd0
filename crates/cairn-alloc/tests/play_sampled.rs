//! Claim: the fuzz target's programs hold in sampled mode too.

mod shadow;

use cairn_alloc::mode::{Mode, enter};
use shadow::{play, steps};

#[test]
fn random_programs_and_the_corpus() {
    assert_eq!(enter(Mode::Sampled), Ok(()));
    play::random_programs(steps(200));
    play::corpus();
}
