//! The C functions of the process under measurement, and a block that was got from them.
//!
//! The functions are called through pointers that the compiler can't see through. Called by name, LLVM knows
//! `malloc` and `free` and removes a pair whose block is not used; this way the machine code is what a C program
//! has, an indirect call through a register, and nothing has to be stored and loaded just to hide it.
//!
//! A [`Block`] is moved and never copied, so it can be freed only once and not used afterwards. It has no
//! destructor: what a workload doesn't free stays allocated until the process ends.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::NonNull;

/// The size of a page here; only the density of touching depends on it.
pub const PAGE: usize = 4096;

/// The allocator of this process.
#[derive(Clone, Copy)]
pub struct Heap {
    malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

/// A block of memory of at least one byte.
#[derive(Debug)]
#[repr(transparent)]
pub struct Block(NonNull<u8>);

// SAFETY: a block is owned by whoever holds it, and C allows any thread to use and free it.
unsafe impl Send for Block {}

impl Heap {
    /// The functions that the dynamic loader bound for this process.
    pub fn of_this_process() -> Heap {
        black_box(Heap {
            malloc: libc::malloc,
            calloc: libc::calloc,
            realloc: libc::realloc,
            free: libc::free,
        })
    }

    /// A block of `size` bytes (one at least), whose first byte is written as every program would do.
    #[inline(always)]
    pub fn alloc(self, size: usize) -> Block {
        // SAFETY: malloc may be called with any size.
        let mut block = Block::from_c(unsafe { (self.malloc)(size.max(1)) });
        block.mark(size as u8);
        block
    }

    /// A block of `size` bytes of which nothing is touched.
    pub fn alloc_sized(self, size: usize) -> Area {
        // SAFETY: malloc may be called with any size.
        Area { block: Block::from_c(unsafe { (self.malloc)(size.max(1)) }), size }
    }

    /// A block of `size` bytes that read as zero.
    pub fn alloc_zeroed(self, size: usize) -> Area {
        // SAFETY: calloc may be called with any numbers.
        Area { block: Block::from_c(unsafe { (self.calloc)(1, size.max(1)) }), size }
    }

    /// The block with a new size and its old contents.
    pub fn resize(self, old: Area, size: usize) -> Area {
        // SAFETY: a block is live and is given up here; the new size is never zero.
        let block = Block::from_c(unsafe { (self.realloc)(old.block.0.as_ptr().cast(), size.max(1)) });
        Area { block, size }
    }

    /// Gives the block back.
    #[inline(always)]
    pub fn free(self, block: Block) {
        // SAFETY: a `Block` came from this allocator, is live, and is given up here.
        unsafe { (self.free)(block.0.as_ptr().cast()) }
    }

    /// Frees the block in the slot first, and puts a new one of `size` bytes into it then: the order in which
    /// programs replace things, and the one that lets an allocator use the freed block again.
    #[inline(always)]
    pub fn replace(self, slot: &mut Block, size: usize) {
        let block = Block(slot.0);
        self.free(block);
        // The slot holds a dead block only until the next line, and nobody can see it there.
        *slot = self.alloc(size);
    }

    /// Frees all of them, in order.
    pub fn free_all(self, blocks: Vec<Block>) {
        for block in blocks {
            self.free(block);
        }
    }
}

impl Block {
    #[inline(always)]
    fn from_c(address: *mut c_void) -> Block {
        match NonNull::new(address.cast()) {
            Some(address) => Block(address),
            None => out_of_memory(),
        }
    }

    /// Writes the first byte.
    #[inline(always)]
    pub fn mark(&mut self, byte: u8) {
        // SAFETY: every block has one byte at least; volatile, so that the store is not left out.
        unsafe { self.0.as_ptr().write_volatile(byte) }
    }

    /// Reads the first byte, which `alloc` wrote.
    #[inline(always)]
    pub fn read(&self) -> u8 {
        // SAFETY: every block has one byte at least, and `Heap::alloc` wrote it.
        unsafe { self.0.as_ptr().read_volatile() }
    }

    /// The address as a pointer to anything, for structures that live inside the block.
    pub fn address(&self) -> NonNull<u8> {
        self.0
    }

    /// The block at an address that [`Block::address`] gave.
    ///
    /// # Safety
    /// The block must be live, and no other `Block` for it may be used afterwards.
    pub unsafe fn at(address: NonNull<u8>) -> Block {
        Block(address)
    }
}

/// A block that knows its size, for the workloads that touch more than the first byte.
#[derive(Debug)]
pub struct Area {
    block: Block,
    size: usize,
}

impl Area {
    /// Writes one byte in each page from `from` to the end.
    pub fn touch_pages(&mut self, from: usize) {
        for at in (from..self.size).step_by(PAGE) {
            self.put(at, at as u8);
        }
    }

    /// Writes one byte.
    #[inline]
    pub fn put(&mut self, at: usize, byte: u8) {
        assert!(at < self.size, "byte {at} is outside of a block of {} bytes", self.size);
        // SAFETY: the block is live and has `size` bytes, of which this is one.
        unsafe { self.block.0.as_ptr().add(at).write_volatile(byte) }
    }

    /// Reads one byte. Of a block from malloc only those that were written have a meaning.
    #[inline]
    pub fn get(&self, at: usize) -> u8 {
        assert!(at < self.size, "byte {at} is outside of a block of {} bytes", self.size);
        // SAFETY: as for `put`; a volatile read of memory that the allocator mapped.
        unsafe { self.block.0.as_ptr().add(at).read_volatile() }
    }

    /// Writes all of its bytes.
    #[inline]
    pub fn fill(&mut self, byte: u8) {
        // SAFETY: the block is live and has `size` bytes (one more than that where `size` is zero). The allocator behind
        // the pointer in `Heap` may look at them, so the compiler can't leave the stores out.
        unsafe { self.block.0.as_ptr().write_bytes(byte, self.size) }
    }

    /// How many bytes were asked for.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The block without its size.
    pub fn into_block(self) -> Block {
        self.block
    }
}

/// Ends the process with a clear message: a workload that gets no memory has nothing to report.
#[cold]
#[inline(never)]
fn out_of_memory() -> ! {
    eprintln!("cairn-workload: the allocator gave no memory; the machine may be too small for this workload");
    std::process::exit(1)
}

/// What the kernel counts as resident for this process, in KiB. Allocates nothing.
pub fn resident_kib() -> u64 {
    let mut buffer = [0u8; 128];
    // SAFETY: the path is a C string, the buffer is as long as stated, and the descriptor is closed once.
    let length = unsafe {
        let file = libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY);
        let length = libc::read(file, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(file);
        length
    };
    let text = std::str::from_utf8(&buffer[..length.max(0) as usize]).unwrap_or("");
    let pages: u64 = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    // SAFETY: sysconf has no conditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    pages * page / 1024
}
