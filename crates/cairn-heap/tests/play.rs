//! Claim: the fuzz target's entry (`fuzz/`) holds on byte strings that nobody steers. They come from a seed, so a failure repeats.

mod shadow;

#[test]
fn random_programs() {
    let count = if cfg!(miri) { 20 } else { 2000 };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..count {
        let bytes: Vec<u8> = (0..random() % 600).map(|_| (random() >> 20) as u8).collect();
        shadow::play::play(&bytes);
    }
}
