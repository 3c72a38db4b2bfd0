//! Giving pages of free spans back to the kernel. Under the page lock, see pages.rs.

use cairn_core::os;

use crate::bits;
use crate::class::GRANULE;
use crate::pages::spans::{Table, free_before, spans};
use crate::pages::state::State;
use crate::region::{self, Region};
use crate::settings;

impl State {
    /// A step of the decay.
    pub fn tick(&mut self) {
        self.give_back(0);
    }

    /// A step of the decay, of at least so many granules if so many are due; returns how many it was.
    pub fn give_back(&mut self, least: usize) -> usize {
        let base_ms = settings::DECAY_MS.get() as u64;
        let step = self.decay.step(os::now_ms(), base_ms, self.dirty_total, least);
        if step > 0 {
            self.purge(step);
        }
        step
    }

    /// Gives back the pages of `granules` dirty granules: from the largest spans, highest addresses first, because
    /// small spans at low addresses are used again first.
    pub fn purge(&mut self, granules: usize) {
        let mut left = granules.min(self.dirty_total);
        for region in region::regions() {
            while left > 0 {
                let Some(start) = spans(region).dirty.last(&Table(region)) else { break };
                let done = self.purge_span(region, start as usize, left);
                if done == 0 {
                    return;
                }
                left -= done;
            }
        }
        self.decay.dirty_changed(self.dirty_total);
        if !region::is_roomy() {
            region::regions().iter().for_each(|region| self.retreat(region));
        }
    }

    /// Where address space is short: what is free and without pages at a region's end goes back, if it is much.
    fn retreat(&mut self, region: &Region) {
        let committed = region.committed();
        let Some(start) = free_before(region, committed).filter(|start| *start > 0) else { return };
        let free = committed - start;
        if free <= region::COMMIT_MIN.max(committed / 16) {
            return;
        }
        let dirty = self.unlink(region, start);
        if dirty > 0 {
            self.link(region, start, free, dirty);
        } else {
            region.retreat(start);
        }
    }

    /// Gives back at most `most` dirty granules of one free span; 0 if the kernel refuses.
    fn purge_span(&mut self, region: &Region, start: usize, most: usize) -> usize {
        let len = region.len(start);
        let dirty = self.unlink(region, start);
        let words = region.dirty_words();
        let mut done = 0;
        // SAFETY: a free span's bits and pages are ours under the page lock, and nobody needs its contents.
        unsafe {
            while done < most {
                let Some((first, last)) = bits::last_run(words, start, start + len) else { break };
                let first = first.max(last - (most - done).min(last));
                if !os::purge(region.address_of(first), (last - first) * GRANULE) {
                    break;
                }
                bits::clear(words, first, last);
                done += last - first;
            }
        }
        self.purged_total += done;
        self.link(region, start, len, dirty - done);
        done
    }
}
