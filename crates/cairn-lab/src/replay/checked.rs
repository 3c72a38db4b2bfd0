//! One request carried out on a heap with everything checked that can be seen from outside, and the run with the heap's own audit.

use std::ops::Range;
use std::ptr::NonNull;

use cairn_heap::Error;

use super::shadow::{Live, Shadow};
use super::stop::{Complaint, Stop};
use super::timed::layout;
use crate::policies::{AnyHeap, HEADER, Memory};
use crate::trace::{Op, Trace};

/// A heap under observation.
pub(super) struct Checked<'a> {
    pub(super) heap: &'a mut dyn AnyHeap,
    shadow: Shadow,
    /// Where blocks may be.
    range: Range<usize>,
    align: usize,
    /// Bytes of all live payload.
    pub(super) live: usize,
    /// Bytes of all live blocks as a whole.
    pub(super) used: usize,
}

impl<'a> Checked<'a> {
    pub(super) fn new(trace: &Trace, heap: &'a mut dyn AnyHeap, range: Range<usize>, align: usize) -> Self {
        Checked { heap, shadow: Shadow::new(trace.ids), range, align, live: 0, used: 0 }
    }

    /// Carries out a request.
    pub(super) fn step(&mut self, op: Op) -> Result<(), Complaint> {
        match op {
            Op::Free { id } => self.free(id),
            Op::Reallocate { id, size } if self.shadow.get(id).is_some() => self.reallocate(id, size),
            Op::Allocate { id, size } | Op::Reallocate { id, size } => {
                let layout = layout(size).ok_or(Complaint::Refused(Error::TooLarge))?;
                let block = self.heap.allocate(layout).map_err(Complaint::Refused)?;
                self.admit(id, block, size, None)?;
                // SAFETY: the block was just given, is within the memory and overlaps no other.
                unsafe { self.shadow.fill(id, 0) };
                Ok(())
            }
        }
    }

    fn free(&mut self, id: u32) -> Result<(), Complaint> {
        let Some(live) = self.shadow.get(id) else { return Ok(()) };
        // SAFETY: the block is live and was filled.
        unsafe { self.shadow.verify(id, live.size) }?;
        self.dismiss(id);
        // SAFETY: nobody uses it any more.
        unsafe { self.heap.free(live.block) }.map_err(Complaint::Denied)
    }

    fn reallocate(&mut self, id: u32, size: usize) -> Result<(), Complaint> {
        let Some(old) = self.shadow.get(id) else { return Ok(()) };
        let layout = layout(old.size).ok_or(Complaint::Refused(Error::TooLarge))?;
        // SAFETY: only the shadow knows the old block, and forgets it now.
        let block = unsafe { self.heap.reallocate(old.block, layout, size) }.map_err(Complaint::Refused)?;
        self.dismiss(id);
        self.admit(id, block, size, Some(old))?;
        let kept = old.size.min(size);
        // SAFETY: the block was just given, is within the memory and overlaps no other; as far as it was kept, it was written.
        unsafe {
            self.shadow.verify(id, kept)?;
            self.shadow.fill(id, kept);
        }
        Ok(())
    }

    /// Checks a block that was given, and puts it on the map.
    fn admit(
        &mut self,
        id: u32,
        block: NonNull<u8>,
        size: usize,
        before: Option<Live>,
    ) -> Result<(), Complaint> {
        let address = block.as_ptr().addr();
        if !address.is_multiple_of(self.align) {
            return Err(Complaint::Misaligned { address, align: self.align });
        }
        let end = self.range.start + self.heap.extent();
        let fits = address.checked_add(size).is_some_and(|behind| behind <= end.min(self.range.end));
        if address < self.range.start || !fits {
            return Err(Complaint::Outside { address, size });
        }
        self.shadow.has_room(address, size)?;
        let usable = self.heap.usable_size(block).map_err(Complaint::Denied)?;
        if usable < size {
            return Err(Complaint::Short { address, size, usable });
        }
        self.shadow.insert(id, block, size, usable + HEADER, before);
        self.live += size;
        self.used += usable + HEADER;
        Ok(())
    }

    fn dismiss(&mut self, id: u32) {
        if let Some(live) = self.shadow.remove(id) {
            self.live -= live.size;
            self.used -= live.whole;
        }
    }

    /// Checks the contents of all blocks that are left.
    pub(super) fn finish(&self) -> Result<(), Complaint> {
        for id in self.shadow.ids() {
            let size = self.shadow.get(id).map_or(0, |live| live.size);
            // SAFETY: the block is live and was filled.
            unsafe { self.shadow.verify(id, size) }?;
        }
        Ok(())
    }
}

/// Runs a trace with everything checked from outside, and the heap's own audit after each request. Returns how many audits there were.
///
/// # Errors
/// The first request after which something is wrong.
pub fn audit(
    trace: &Trace,
    heap: &mut dyn AnyHeap,
    memory: &Memory,
    align: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<usize, Stop> {
    let mut run = Checked::new(trace, heap, memory.range(), align);
    for (number, op) in trace.ops.iter().enumerate() {
        let done = run.step(*op);
        // What the audit says comes first: it names the cause, not what follows from it.
        let sound = run.heap.check().map(drop).map_err(Complaint::Unsound);
        sound.and(done).map_err(|complaint| Stop::at(trace, number, complaint))?;
        progress(1);
    }
    run.finish().map_err(|complaint| Stop::after(trace, complaint))?;
    Ok(trace.ops.len())
}
