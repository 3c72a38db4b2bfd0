//! The memory that the heaps under test live in: one mapping that reads as zero.
//!
//! Page faults are not what is compared, so the part that a replay will use is written beforehand ([`Arena::touch`]); between
//! two replays it is set to zero again ([`Arena::clear`]), which leaves every heap the same memory in the same state.

use std::io;
use std::ptr::null_mut;

use anyhow::{Context, ensure};

/// Everything above this is aligned to this only.
const ALIGN_MAX: usize = 1 << 30;

/// A mapping of our own.
pub struct Arena {
    base: *mut u8,
    len: usize,
    mapping: *mut u8,
    mapping_len: usize,
}

/// A part of the arena, as a heap gets it.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Its first byte, aligned to a power of two of at least the arena's size (up to 1 GiB).
    pub start: *mut u8,
    /// Its bytes.
    pub len: usize,
}

impl Room {
    /// The address behind the last byte.
    pub fn end(self) -> usize {
        self.start as usize + self.len
    }
}

impl Arena {
    /// Reserves an arena of at least this many bytes. It is aligned as a buddy system likes best.
    ///
    /// # Errors
    /// If the kernel doesn't give it.
    pub fn new(len: usize) -> anyhow::Result<Arena> {
        let len = len.next_multiple_of(1 << 21);
        let align = len.next_power_of_two().min(ALIGN_MAX);
        let mapping_len = len + align;
        // SAFETY: a new private mapping at an address of the kernel's choice; nothing of ours is replaced.
        let mapping = unsafe {
            libc::mmap(
                null_mut(),
                mapping_len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        ensure!(
            mapping != libc::MAP_FAILED,
            "can't map {mapping_len} bytes for the arena: {}",
            io::Error::last_os_error()
        );
        let mapping = mapping.cast::<u8>();
        // SAFETY: the mapping has `align` bytes more than `len`, so the next multiple of `align` is inside it.
        let base = unsafe { mapping.add(mapping.align_offset(align)) };
        Ok(Arena { base, len, mapping, mapping_len })
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no byte; never so.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `len` bytes of it.
    pub fn room(&self, len: usize) -> Room {
        assert!(len <= self.len, "the arena has {} bytes, not {len}", self.len);
        Room { start: self.base, len }
    }

    /// Gives the pages back, so that all of it reads as zero again and nothing is resident.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn forget(&mut self) -> anyhow::Result<()> {
        // SAFETY: the range is the mapping of this arena, and no heap in it is alive: `&mut self`.
        let done = unsafe { libc::madvise(self.mapping.cast(), self.mapping_len, libc::MADV_DONTNEED) };
        ensure!(done == 0, "madvise failed on the arena");
        Ok(())
    }

    /// Writes the first `used` bytes and the last page, so that they are resident.
    pub fn touch(&mut self, used: usize) {
        self.clear(used);
    }

    /// Sets the first `used` bytes and the last page to zero. Some heaps keep a word at the arena's end.
    pub fn clear(&mut self, used: usize) {
        let used = used.next_multiple_of(4096).min(self.len);
        // SAFETY: both ranges are inside the mapping, and no heap in it is alive: `&mut self`.
        unsafe {
            self.base.write_bytes(0, used);
            self.base.add(self.len - 4096).write_bytes(0, 4096);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` and nothing in it is used any more.
        let done = unsafe { libc::munmap(self.mapping.cast(), self.mapping_len) };
        debug_assert_eq!(done, 0);
    }
}

/// A file's bytes in memory without a heap, for a process whose heap is what is measured.
///
/// # Errors
/// If the file can't be opened or mapped.
pub fn map_file(path: &std::path::Path) -> anyhow::Result<&'static [u8]> {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let len = usize::try_from(file.metadata()?.len())?;
    let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
    // SAFETY: a new private mapping; it outlives the descriptor.
    let base = unsafe { libc::mmap(null_mut(), len, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
    ensure!(base != libc::MAP_FAILED, "can't map {}: {}", path.display(), io::Error::last_os_error());
    // SAFETY: the mapping has `len` readable bytes, is private, and is never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(base.cast(), len) })
}
