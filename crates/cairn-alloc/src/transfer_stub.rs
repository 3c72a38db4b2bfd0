//! stub
pub const BATCH_MAX: usize = 64;
pub struct Batch;
pub type BatchId = u32;
pub struct BatchPool;
pub struct TransferStack;
impl Batch {
    pub unsafe fn fill(_: *mut Batch, _: &[*mut u8]) {}
    pub unsafe fn drain(_: *mut Batch, _: &mut [*mut u8]) -> (usize, usize) {
        (0, 0)
    }
    pub unsafe fn blocks<'a>(_: *mut Batch) -> &'a [*mut u8] {
        &[]
    }
}
impl BatchPool {
    pub const fn new() -> Self {
        BatchPool
    }
    pub fn take(&self, _: impl FnMut(usize) -> *mut u8) -> Option<BatchId> {
        None
    }
    pub fn give(&self, _: BatchId) {}
    pub fn get(&self, _: BatchId) -> *mut Batch {
        core::ptr::null_mut()
    }
}
impl TransferStack {
    pub const fn new() -> Self {
        TransferStack
    }
    pub fn push(&self, _: &BatchPool, id: BatchId, _: u8) -> Result<(), BatchId> {
        Err(id)
    }
    pub fn pop(&self, _: &BatchPool) -> Option<BatchId> {
        None
    }
    pub fn depth(&self) -> u8 {
        0
    }
}
