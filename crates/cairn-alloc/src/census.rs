//! Counts what the heap holds, for [`Statistics`]. Nothing is counted on the fast path: what is live is what was
//! carved less what is free somewhere.

use crate::class::{GRANULE, SHAPES, block_size};
use crate::statistics::{ClassStatistics, Statistics};
use crate::{center, guarded, hardened, large, pages, records, region, thread};

/// Fills in the statistics. Exact if no other thread allocates meanwhile; otherwise each number is right for some
/// moment during the call.
pub fn take(into: &mut Statistics) {
    for (class, shape) in SHAPES.iter().enumerate().skip(1) {
        let totals = center::of(class).totals(class);
        let in_bins = thread::blocks_in_bins(class);
        let blocks = totals.slabs * shape.blocks as usize;
        into.classes[class] = ClassStatistics {
            block_size: block_size(class),
            live_blocks: totals.carved.saturating_sub(totals.free + totals.stacked + in_bins),
            bin_blocks: in_bins,
            stack_blocks: totals.stacked,
            slab_free_blocks: totals.free,
            uncarved_blocks: blocks - totals.carved,
            slab_bytes: totals.slab_bytes,
        };
    }
    (into.large_blocks, into.large_bytes) = large::totals();
    // Guarded blocks are spans of their own too.
    let (guarded_blocks, guarded_bytes) = guarded::totals();
    into.large_blocks += guarded_blocks;
    into.large_bytes += guarded_bytes;
    let spans = pages::totals();
    into.free_dirty_bytes = spans.dirty;
    into.free_clean_bytes = spans.clean;
    into.purged_bytes = spans.purged;
    let regions = region::regions();
    into.reserved_bytes = regions.iter().map(region::Region::reserved_bytes).sum();
    into.committed_bytes = regions.iter().map(|r| r.committed() * GRANULE).sum();
    into.metadata_bytes =
        records::total() + regions.iter().map(region::Region::descriptor_bytes).sum::<usize>();
    into.threads = thread::count();
    hardened::census(into);
}
