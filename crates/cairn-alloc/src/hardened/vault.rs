//! What every operation of the mode reads and nobody may change: the secrets, where the first region lies, the shapes of slabs.
//!
//! One page, written once by [`fill`] and then made read-only, so that no stray write of the program can change what faults
//! are found by. (Not where pages are larger than 4 KiB: it is a static variable, and would need as much room there.)

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::AtomicU8;

use cairn_core::os;

use crate::class::{GRANULE, SHAPES, SMALL_COUNT};
use crate::hardened::bytes::{self, Wide};
use crate::hardened::random;
use crate::region;

/// Bytes of the vault.
const BYTES: usize = 4096;

/// A slab guard is not worth more than this: pages larger than it are not spent.
const GUARD_MAX: usize = 16 << 10;

/// See the module.
#[repr(C, align(4096))]
pub struct Vault {
    /// Address of the first region's granule 0.
    pub base: usize,
    /// Granules that the first region can ever have.
    pub granules: usize,
    /// For each of them the class of the hardened slab that it belongs to, or 0. See slab.rs, which writes it.
    pub map: *const AtomicU8,
    /// Seals are made with these, see seal.rs.
    pub key: u64,
    /// Odd.
    pub factor: u64,
    /// What stands behind the bytes that were asked for; no byte of it is 0.
    pub pattern: u64,
    /// Bytes of the guard at the end of a slab.
    pub guard: usize,
    /// The processor's wide registers.
    pub wide: Wide,
    /// What a free looks for behind a block.
    pub rests: Rests,
    /// By class.
    pub forms: [Form; SMALL_COUNT],
}

/// By the bytes between what was asked for and the seal, as far as they are less than two words: what stands there, so that a free needs no
/// branch that depends on them.
#[derive(Clone, Copy)]
pub struct Rests {
    /// Bits of the word behind what was asked for that are the pattern's, and not the seal's.
    pub behind: [u64; RESTS],
    /// Bits of the word before the seal that are not the program's, if the whole pattern is there (else that was looked at),
    pub known: [u64; RESTS],
    /// and what they are.
    pub last: [u64; RESTS],
}

/// See [`Rests`].
pub const RESTS: usize = 16;

impl Rests {
    const NONE: Rests = Rests { behind: [0; RESTS], known: [0; RESTS], last: [0; RESTS] };

    fn of(pattern: u64) -> Rests {
        let mut rests = Rests::NONE;
        for rest in 0..RESTS {
            if rest < 8 {
                rests.behind[rest] = (1 << (8 * rest)) - 1;
            } else {
                rests.behind[rest] = u64::MAX;
                rests.known[rest] = u64::MAX;
                rests.last[rest] = pattern >> (8 * (rest - 8));
            }
        }
        rests
    }
}

/// What a hardened slab of one class looks like.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Form {
    /// `ceil(2^64 / size)`: an offset is a multiple of the size iff the low half of its product with this is below this (Lemire, Kaser,
    /// Kurz, "Faster remainder by direct computation", 2019).
    pub multiplier: u64,
    /// Bytes of a block.
    pub size: u32,
    /// Bytes of all blocks.
    pub limit: u32,
    /// Bytes of a slab, less 1: slabs stand at multiples of their size, so this masks the offset in the slab out of an address.
    pub mask: u32,
    /// Blocks of a slab.
    pub blocks: u32,
    /// Bytes of a block before its seal, if it is as short as the mode's fast paths want them ([`SHORT_MAX`], a multiple of 16); else 0.
    pub short: u32,
    /// Of such a block: where the second and the second last 16 bytes begin.
    pub inner: [u8; 2],
    _pad: u16,
}

/// Bytes of the largest block that the mode's fast paths serve.
pub const SHORT_MAX: usize = bytes::LONG;

impl Form {
    const NONE: Form =
        Form { multiplier: 0, size: 0, limit: 0, mask: 0, blocks: 0, short: 0, inner: [0; 2], _pad: 0 };

    fn of(class: usize, guard: usize) -> Form {
        let shape = &SHAPES[class];
        let bytes = usize::from(shape.granules) * GRANULE;
        let size = shape.size as usize;
        let blocks = (bytes - guard) / size;
        let is_short = size <= SHORT_MAX && size.is_multiple_of(16);
        Form {
            multiplier: u64::MAX / size as u64 + 1,
            size: shape.size,
            limit: (blocks * size) as u32,
            mask: bytes as u32 - 1,
            blocks: blocks as u32,
            short: if is_short { size as u32 - 8 } else { 0 },
            inner: if is_short { bytes::inner_of(size) } else { [0; 2] },
            _pad: 0,
        }
    }

    /// Whether a block begins at this offset in a slab.
    #[inline(always)]
    pub fn is_begin(&self, offset: usize) -> bool {
        // The slab's other end is checked too: behind the last block is the guard.
        (offset as u64).wrapping_mul(self.multiplier) < self.multiplier && offset < self.limit as usize
    }
}

const _: () = assert!(size_of::<Vault>() == BYTES);

struct Cell(UnsafeCell<Vault>);

// SAFETY: written by `fill` only, under the lock of modes and before the mode begins; nobody else reads it before he has found, by
// `Acquire`, that the mode began (mode.rs). Other threads may run meanwhile.
unsafe impl Sync for Cell {}

static VAULT: Cell = Cell(UnsafeCell::new(Vault {
    base: 0,
    granules: 0,
    map: ptr::null(),
    key: 0,
    factor: 0,
    pattern: 0,
    guard: 0,
    wide: Wide::No,
    rests: Rests::NONE,
    forms: [Form::NONE; SMALL_COUNT],
}));

/// The vault.
#[inline(always)]
pub fn vault() -> &'static Vault {
    // SAFETY: see Cell.
    unsafe { &*VAULT.0.get() }
}

/// The form of a class.
#[inline(always)]
pub fn form(class: usize) -> &'static Form {
    debug_assert!(class > 0 && class < SMALL_COUNT);
    // SAFETY: classes come from the class tables and the map, which hold nothing else.
    unsafe { vault().forms.get_unchecked(class) }
}

/// Fills the vault and closes it; false if memory is short. Once, before the mode begins, under the lock of modes. There must be a region.
pub fn fill() -> bool {
    if vault().factor != 0 {
        // An earlier attempt to enter the mode was refused after this.
        return true;
    }
    let Some(first) = region::regions().first() else { return false };
    let Some(map) = os::map_zeroed(first.granules()) else { return false };
    let page = os::page_size();
    let guard = if page <= GUARD_MAX { page } else { 0 };
    let [key, factor, pattern] = random::words();
    // SAFETY: nobody else reads or writes it yet, see Cell.
    let vault = unsafe { &mut *VAULT.0.get() };
    vault.base = first.base();
    vault.granules = first.granules();
    vault.map = map.as_ptr().cast();
    vault.key = key;
    vault.factor = factor | 1;
    vault.pattern = pattern | 0x0101_0101_0101_0101;
    vault.guard = guard;
    vault.wide = Wide::of_this_processor();
    vault.rests = Rests::of(vault.pattern);
    for class in 1..SMALL_COUNT {
        vault.forms[class] = Form::of(class, guard);
    }
    if page == BYTES {
        // SAFETY: the vault is a page of its own, and nobody writes to it any more. If the kernel refuses, it stays writable.
        unsafe { os::make_read_only(VAULT.0.get().cast(), BYTES) };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_where_they_begin_and_end_before_the_guard() {
        for guard in [0, 4096, 16384] {
            for class in 1..SMALL_COUNT {
                let form = Form::of(class, guard);
                assert!(form.blocks >= 2 && form.limit as usize + guard <= form.mask as usize + 1);
                for offset in 0..=form.mask as usize {
                    let begins = offset.is_multiple_of(form.size as usize) && offset < form.limit as usize;
                    assert_eq!(form.is_begin(offset), begins, "class {class}, offset {offset}");
                }
            }
        }
    }
}
