//! Claim: the fuzz target's programs (`fuzz/`) hold on the engine: its corpus, and byte strings that nobody steers. They come from a
//! seed, so a failure repeats.

mod shadow;

use shadow::door::ENGINE;
use shadow::{Random, alone, play, steps};

#[test]
fn random_programs() {
    let _alone = alone();
    let mut random = Random::from_seed(1);
    for _ in 0..steps(400) {
        let bytes: Vec<u8> = (0..random.below(2000)).map(|_| random.below(256) as u8).collect();
        play::play(&bytes, &ENGINE);
    }
}

#[test]
fn the_corpus() {
    let _alone = alone();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/doors");
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("the corpus can be listed").path();
        play::play(&std::fs::read(&path).expect("an input can be read"), &ENGINE);
        count += 1;
    }
    assert!(count > 0, "no input in {}", dir.display());
}
