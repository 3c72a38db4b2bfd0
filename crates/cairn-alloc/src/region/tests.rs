//! Addresses right before and right behind what is ours.

use super::{GRANULE, code_in_first, locate, regions};
use crate::audit::tests::alone;
use crate::descriptor::Kind;
use crate::pages::{self, Prefer};

#[test]
fn a_region_ends_where_it_ends() {
    alone(|| {
        let place = pages::allocate(1, 1, Kind::Records, Prefer::Dirty).expect("one granule");
        let first = &regions()[0];
        assert!(core::ptr::eq(place.region, first));
        let (begin, end) = (first.base(), first.base() + first.granules() * GRANULE);
        assert!(code_in_first(begin).is_some() && code_in_first(end - 1).is_some());
        assert!(code_in_first(begin - 1).is_none() && code_in_first(end).is_none());
        // Another test may let the region grow meanwhile.
        loop {
            let committed = first.committed();
            let found = [begin - 1, begin, begin + committed * GRANULE - 1, begin + committed * GRANULE]
                .map(|address| locate(address).map(|place| place.granule));
            if first.committed() == committed {
                assert_eq!(found, [None, Some(0), Some(committed - 1), None]);
                break;
            }
        }
        pages::free(place, 0);
    });
}
