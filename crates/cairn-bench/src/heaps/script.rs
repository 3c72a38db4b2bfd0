//! A trace made ready for the replay: ids became slots, and each step knows the size of the block it is about.

use cairn_lab::trace::{Op, Trace};

/// `slots[slot] = allocate(size)`
pub const ALLOCATE: u32 = 0;
/// `slots[slot] = reallocate(slots[slot], old, size)`
pub const REALLOCATE: u32 = 1;
/// `free(slots[slot], old)`; so is every other number
pub const FREE: u32 = 2;

/// One step. Every bit pattern is one, so that an array of them can be read from a file as it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub kind: u32,
    /// Where the block's address is kept.
    pub slot: u32,
    /// The bytes asked for.
    pub size: usize,
    /// The bytes that were asked for last, for a block that exists: a Rust program knows its `Layout`.
    pub old: usize,
}

/// The steps of a trace.
pub struct Script {
    /// The trace's name.
    pub name: String,
    /// In order.
    pub steps: Vec<Step>,
    /// How many slots there are: the greatest number of live blocks.
    pub slots: usize,
    /// The greatest sum of live payload.
    pub payload: usize,
    /// The greatest sum of live blocks, if each has a header of 8 bytes, is a multiple of `align` and at least 32 (with alignment 8: 24): what a
    /// perfect placement of such blocks needs.
    pub bound: usize,
}

impl Script {
    /// Prepares a trace. Requests for zero bytes become requests for one: not every heap under test allows them.
    ///
    /// Slots are used again in the order last freed, first used, as the fields of a living program are: the table of
    /// addresses stays as small as can be, and its cache misses don't blur the picture.
    pub fn of(trace: &Trace, align: usize) -> Script {
        let mut steps = Vec::with_capacity(trace.ops.len());
        let mut live: Vec<Option<(u32, usize)>> = vec![None; trace.ids as usize];
        let mut free_slots = Vec::new();
        let mut slots = 0;
        let block = |size: usize| (size + 8).next_multiple_of(align).max(16 + align);
        let (mut sum, mut bound) = (0, 0);
        for op in &trace.ops {
            let old = &mut live[op.id() as usize];
            let size = op.size().map(|size| size.max(1));
            match (*old, size) {
                (None, Some(size)) => {
                    let slot = free_slots.pop().unwrap_or_else(|| {
                        slots += 1;
                        slots - 1
                    });
                    steps.push(Step { kind: ALLOCATE, slot, size, old: 0 });
                    *old = Some((slot, size));
                    sum += block(size);
                }
                (Some((slot, before)), Some(size)) => {
                    debug_assert!(matches!(op, Op::Reallocate { .. }));
                    steps.push(Step { kind: REALLOCATE, slot, size, old: before });
                    *old = Some((slot, size));
                    sum = sum - block(before) + block(size);
                }
                (Some((slot, before)), None) => {
                    steps.push(Step { kind: FREE, slot, size: 0, old: before });
                    free_slots.push(slot);
                    *old = None;
                    sum -= block(before);
                }
                (None, None) => {}
            }
            bound = bound.max(sum);
        }
        let payload = trace.peak_payload();
        Script { name: trace.name.clone(), steps, slots: slots as usize, payload, bound }
    }

    /// Bytes of arena in which any heap under test gets through: a buddy system doubles each block at worst, and some scatter.
    pub fn ample(&self) -> usize {
        8 * self.bound + (64 << 20)
    }

    /// The steps as bytes, for another process.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `Step` has no padding (two u32, two usize) and any byte may be read as u8.
        unsafe { std::slice::from_raw_parts(self.steps.as_ptr().cast(), size_of_val(self.steps.as_slice())) }
    }
}

/// The steps in the bytes of [`Script::bytes`]. The bytes must be aligned as a `Step`, as a mapping is.
pub fn steps_of(bytes: &[u8]) -> &[Step] {
    // SAFETY: each bit pattern is a `Step`.
    let (before, steps, after) = unsafe { bytes.align_to::<Step>() };
    assert!(before.is_empty() && after.is_empty(), "this is no file of steps");
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_sizes_are_known() {
        let a = |id, size| Op::Allocate { id, size };
        let r = |id, size| Op::Reallocate { id, size };
        let f = |id| Op::Free { id };
        let trace = Trace::new("t", vec![a(0, 100), a(1, 0), f(0), r(2, 40), r(2, 50), f(1), f(2)]);
        let script = Script::of(&trace, 16);
        let step = |kind, slot, size, old| Step { kind, slot, size, old };
        assert_eq!(
            script.steps,
            [
                step(ALLOCATE, 0, 100, 0),
                step(ALLOCATE, 1, 1, 0),
                step(FREE, 0, 0, 100),
                step(ALLOCATE, 0, 40, 0),
                step(REALLOCATE, 0, 50, 40),
                step(FREE, 1, 0, 1),
                step(FREE, 0, 0, 50),
            ]
        );
        assert_eq!((script.slots, script.payload, script.bound), (2, 100, 112 + 32));
        assert_eq!(steps_of(script.bytes()), script.steps);
    }
}
