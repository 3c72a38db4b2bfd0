//! Claim: the fuzz target's programs hold in debug mode too.

mod shadow;

use cairn_alloc::mode::{Mode, enter};
use shadow::{play, steps};

#[test]
fn random_programs_and_the_corpus() {
    assert_eq!(enter(Mode::Debug), Ok(()));
    play::random_programs(steps(50));
    play::corpus();
}
