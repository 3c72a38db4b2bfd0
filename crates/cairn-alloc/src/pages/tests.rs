//! What the policy is told.

use super::{Prefer, locked};
use crate::audit::tests::alone;
use crate::engine;

/// Pages that were given back and are wanted again make the decay slower; so it must learn of each granule that had none.
#[test]
fn the_decay_learns_of_fresh_memory() {
    alone(|| {
        // Other tests left free spans with pages, which are used where no clean one is left.
        engine::trim(0);
        locked(|state| {
            let before = state.decay.wanted_back();
            let place = state.find(7, 1, Prefer::Clean).expect("seven granules");
            assert_eq!(state.decay.wanted_back() - before, 7);
            state.release(place, 7, 7);
        });
    });
}
