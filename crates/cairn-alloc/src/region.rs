//! Regions: where all memory comes from, and how any address is judged.
//!
//! ```text
//!        descriptors, one per granule, growing down        granules, growing up
//!   ┌───────────────┬───────────────────────────────┬──────────────────────────────┬────────────────┐
//!   │ not committed │ ..  granule 2, granule 1, 0   │ granule 0, granule 1, 2 ..   │ not committed  │
//!   └───────────────┴───────────────────────────────┴──────────────────────────────┴────────────────┘
//!                                                   ^ base
//!   class map: one code per granule                 dirty bits: one bit per granule; both before the descriptors
//! ```
//! A region is one reservation of address space (region/space.rs). Both its halves grow away from `base`, so that the first use of
//! both is one system call and one or two pages. The first region is sized from physical memory and is as a rule the
//! only one; where address space is limited (`ulimit -v`), its reservation grows with the heap, and if that can't be, more are
//! added.
//!
//! Invariants:
//! - Granules below `committed` may be read and written, and so may their descriptors.
//! - The class map can be read for every granule of the region; it holds the granule's code (class.rs), 0 unless it belongs to a
//!   slab.
//! - A dirty bit is clear only if all bytes of the granule read as zero, or the granule belongs to a live span (then
//!   the bit tells what it was when the span was made).
//! - The first region is never unmapped, and its `base`, `granules`, `class_map` never change. A further one that is wholly free
//!   may be, where address space is limited: then its slot has no granules, and may later hold another region.
//! - All fields change under the page lock only. `locate` reads without it, see window.rs.

mod audit;
mod space;
mod window;

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use cairn_core::avl::Tree;
use cairn_core::os;

use crate::class::{self, Code, GRANULE, GRANULE_LOG2, UNMARKED};
use crate::descriptor::Descriptor;
use crate::mark;
use space::{Plan, Space};
use window::Window;

pub use audit::check;
#[cfg(test)]
pub use audit::damage;

/// The free spans of a region, by (length, address); see pages.rs, which owns them.
pub struct Spans {
    /// Those of which a granule may have pages.
    pub dirty: Tree<u32>,
    /// The others.
    pub clean: Tree<u32>,
}

impl Spans {
    const fn new() -> Self {
        Spans { dirty: Tree::new(), clean: Tree::new() }
    }
}

/// One reservation.
pub struct Region {
    window: Window,
    granules: AtomicUsize,
    space: Space,
    /// Bytes of descriptors that may be used, counted down from `base`; under the page lock.
    descriptor_bytes: AtomicUsize,
    /// The free spans; under the page lock.
    pub spans: core::cell::UnsafeCell<Spans>,
}

// SAFETY: the atomics may be shared; `spans` is used only under the page lock (see pages.rs).
unsafe impl Sync for Region {}

/// The first region has at least so many granules (64 GiB), unless address space is limited.
const ROOMY_GRANULES: usize = (64 << 30) >> GRANULE_LOG2;
/// A commitment is at least so many granules (1 MiB), so that a small process needs one system call.
pub const COMMIT_MIN: usize = 16;
/// Where address space is limited, this part of the limit is left to the program, for its threads' stacks first of all,
const SPARE_SHARE: usize = 64;
/// but not more than this.
const SPARE_MAX: usize = 16 << 20;
/// No machine needs more: each further region at least doubles what is reserved, unless space is limited.
const REGIONS_MAX: usize = 128;
static REGIONS: [Region; REGIONS_MAX] = [const { Region::none() }; REGIONS_MAX];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What `free` needs of the first region, on one cache line. Written once, before the first block is handed out.
#[repr(C, align(64))]
pub struct First {
    /// What granule 0 is if they are counted from address 0: where the region begins, [`Self::base`].
    begin: usize,
    granules: usize,
    class_map: *const AtomicU32,
    secret: usize,
}

struct FirstCell(core::cell::UnsafeCell<First>);

// SAFETY: written once, by the thread that adds the first region, under the page lock and before any block exists. Who
// holds a block learned of it after that, and a process in which no block exists yet has one thread: making a second one
// allocates.
unsafe impl Sync for FirstCell {}

static FIRST: FirstCell = FirstCell(core::cell::UnsafeCell::new(First {
    begin: 0,
    granules: 0,
    class_map: ptr::null(),
    secret: 0,
}));

/// The first region, as those need it who go through many blocks: its base and its class map never change, so these are plain words, which the
/// compiler keeps in registers. A [`Region`]'s are atomic, and each use reads them again.
#[inline(always)]
pub fn first() -> &'static First {
    // SAFETY: see FirstCell.
    unsafe { &*FIRST.0.get() }
}

impl First {
    /// The address of granule 0, a multiple of [`GRANULE`].
    #[inline(always)]
    pub fn base(&self) -> usize {
        self.begin << GRANULE_LOG2
    }

    /// The granule that holds `address` and its code; None if it is not in this region.
    ///
    /// A wrong address gets some answer and is never followed.
    #[inline(always)]
    pub fn code(&self, address: usize) -> Option<(Code, usize)> {
        let granule = (address >> GRANULE_LOG2).wrapping_sub(self.begin);
        if granule >= self.granules {
            return None;
        }
        // SAFETY: the class map has an entry for each granule of the region. Relaxed: whoever holds a block learned of it
        // after its code was stored, by whatever handed the block over.
        Some((unsafe { (*self.class_map.add(granule)).load(Relaxed) }, granule))
    }

    /// The descriptor of a committed granule.
    #[inline(always)]
    pub fn descriptor(&self, granule: usize) -> *mut Descriptor {
        ptr::with_exposed_provenance_mut(self.base() - (granule + 1) * size_of::<Descriptor>())
    }

    /// The address of a granule's first byte.
    #[inline(always)]
    pub fn address_of(&self, granule: usize) -> usize {
        self.base() + granule * GRANULE
    }

    /// The region itself.
    #[inline(always)]
    pub fn region(&self) -> &'static Region {
        &REGIONS[0]
    }
}

/// The code of the granule that holds `address`, and where in the granule it lies; None if it is not in the first region.
#[inline(always)]
pub fn code_in_first(address: usize) -> Option<(Code, u16)> {
    const {
        assert!(
            GRANULE_LOG2 == u16::BITS,
            "the lower half of an address's lower half is the place in a granule"
        )
    };
    // Granules begin at multiples of their size.
    first().code(address).map(|(code, _)| (code, address as u16))
}

/// The secret of this process, which the marks of free blocks are made with (mark.rs).
#[inline(always)]
pub fn secret() -> usize {
    first().secret
}

/// A granule: the region it lies in and its index there.
#[derive(Clone, Copy)]
pub struct Place {
    /// The region.
    pub region: &'static Region,
    /// The index of the granule.
    pub granule: usize,
}

/// Finds the granule that holds `address`, if it is part of a slab of `class`.
#[inline]
pub fn locate_in_slab(address: usize, class: usize) -> Option<Place> {
    match first().code(address) {
        Some((code, granule)) if class::of_code(code) == class => {
            Some(Place { region: &REGIONS[0], granule })
        }
        _ => locate_in_further_slab(address, class),
    }
}

#[cold]
fn locate_in_further_slab(address: usize, class: usize) -> Option<Place> {
    let place = locate(address)?;
    (place.class() == class).then_some(place)
}

impl Place {
    /// The class of the slab that the granule belongs to; 0 if it is none's.
    #[inline]
    pub fn class(self) -> usize {
        class::of_code(self.region.code_of(self.granule).load(Relaxed))
    }

    /// Whether free blocks here may have lost their marks.
    pub fn is_unmarked(self) -> bool {
        self.region.code_of(self.granule).load(Relaxed) & UNMARKED != 0
    }
}

/// Finds the committed granule that holds `address`, if any region of ours does.
pub fn locate(address: usize) -> Option<Place> {
    regions()
        .iter()
        .find_map(|region| region.window.find(address, GRANULE_LOG2).map(|granule| Place { region, granule }))
}

/// All regions, the first one first.
pub fn regions() -> &'static [Region] {
    // Relaxed: the slots are there from the start, and each is judged by its window. Whoever holds a block learned of it after its
    // region was counted.
    &REGIONS[..COUNT.load(Relaxed)]
}

impl Region {
    const fn none() -> Self {
        Region {
            window: Window::shut(),
            granules: AtomicUsize::new(0),
            space: Space::none(),
            descriptor_bytes: AtomicUsize::new(0),
            spans: core::cell::UnsafeCell::new(Spans::new()),
        }
    }

    /// Address of granule 0.
    #[inline]
    pub fn base(&self) -> usize {
        self.window.base()
    }

    /// Granules that may be used so far.
    #[inline]
    pub fn committed(&self) -> usize {
        self.window.committed()
    }

    /// Granules that it can ever have.
    pub fn granules(&self) -> usize {
        self.granules.load(Relaxed)
    }

    /// Bytes of address space.
    pub fn reserved_bytes(&self) -> usize {
        self.space.bytes()
    }

    /// Bytes of descriptors in use.
    pub fn descriptor_bytes(&self) -> usize {
        self.descriptor_bytes.load(Relaxed)
    }

    /// First byte of a granule.
    #[inline]
    pub fn address_of(&self, granule: usize) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.base() + granule * GRANULE)
    }

    /// The descriptor of a committed granule.
    #[inline]
    pub fn descriptor(&self, granule: usize) -> *mut Descriptor {
        debug_assert!(granule < self.committed());
        let address = self.base() - (granule + 1) * size_of::<Descriptor>();
        ptr::with_exposed_provenance_mut(address)
    }

    /// The granule that a descriptor of this region is about.
    #[inline]
    pub fn granule_of(&self, descriptor: *mut Descriptor) -> usize {
        (self.base() - descriptor.addr()) / size_of::<Descriptor>() - 1
    }

    /// The class map's entry.
    #[inline]
    pub fn code_of(&self, granule: usize) -> &AtomicU32 {
        debug_assert!(granule < self.granules());
        // SAFETY: the map has an entry for each granule of the region.
        unsafe { &*self.space.class_map().add(granule) }
    }

    /// The dirty bits, behind the class map; one word for 64 granules.
    pub fn dirty_words(&self) -> *mut u64 {
        self.space.dirty_words(self.granules())
    }

    /// Makes granules up to `target` usable (or fewer, but at least `least`); false if the kernel refuses.
    /// Under the page lock.
    pub fn commit(&self, least: usize, target: usize) -> bool {
        debug_assert!(least <= target && target <= self.granules());
        self.commit_to(target) || (least < target && self.commit_to(least))
    }

    fn commit_to(&self, target: usize) -> bool {
        let page = os::page_size();
        let old = self.committed();
        let old_below = self.descriptor_bytes();
        let below = (target * size_of::<Descriptor>()).next_multiple_of(page).max(old_below);
        let top = self.base() + target * GRANULE;
        if !self.space.reach(top, (self.granules() * GRANULE / SPARE_SHARE).min(SPARE_MAX)) {
            return false;
        }
        let at = |address| ptr::with_exposed_provenance_mut::<u8>(address);
        // SAFETY: both ranges lie in the region's own reservation, which has room for all descriptors and reaches to `top`.
        let ok = unsafe {
            if old == 0 {
                os::commit(at(self.base() - below), top - (self.base() - below))
            } else {
                (below == old_below || os::commit(at(self.base() - below), below - old_below))
                    && os::commit(self.address_of(old), top - (self.base() + old * GRANULE))
            }
        };
        if ok {
            self.descriptor_bytes.store(below, Relaxed);
            self.window.commit(target);
        }
        ok
    }

    /// Makes this slot, which has none, a region with `least` usable granules.
    fn set_up(&self, plan: Plan, least: usize) -> SetUp {
        let Some(base) = self.space.reserve(&plan) else { return SetUp::NoSpace };
        self.granules.store(plan.granules, Relaxed);
        self.window.open(base);
        if self.commit(least, least.max(COMMIT_MIN).min(plan.granules)) {
            return SetUp::Done;
        }
        if self.unmap() { SetUp::NoMemory } else { SetUp::Stuck }
    }

    /// Takes usable granules at the region's end out of use, `kept` are left, and gives their address space back. Under the page
    /// lock; they are free and without pages, and in no span.
    pub fn retreat(&self, kept: usize) {
        debug_assert!(kept > 0 && kept <= self.committed());
        self.window.commit(kept);
        self.space.retreat(self.base() + kept * GRANULE);
    }

    /// Gives the region's address space back; its slot is free afterwards. False, and the region as it was, if the kernel refuses.
    /// Under the page lock; nothing of the region is in use.
    pub fn unmap(&self) -> bool {
        let (base, granules, committed) = (self.base(), self.granules(), self.committed());
        self.window.shut_again();
        self.granules.store(0, Relaxed);
        let done = self.space.give_back();
        if done {
            self.descriptor_bytes.store(0, Relaxed);
        } else {
            self.granules.store(granules, Relaxed);
            self.window.open(base);
            self.window.commit(committed);
        }
        done
    }
}

/// How a region came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SetUp {
    /// It did.
    Done,
    /// There is no such space; a smaller one may be had.
    NoSpace,
    /// The kernel refuses the memory, however large the space.
    NoMemory,
    /// The same, and it does not take the space back: it stays a region, without memory so far.
    Stuck,
}

/// Adds a region in which at least `least` granules can be used; None if the kernel has no such space. Under the page lock.
pub fn add(least: usize) -> Option<&'static Region> {
    let count = COUNT.load(Relaxed);
    let slot = regions().iter().position(|region| region.granules() == 0).unwrap_or(count);
    let region = REGIONS.get(slot)?;
    let set_up = set_up(region, least);
    if !matches!(set_up, SetUp::Done | SetUp::Stuck) {
        return None;
    }
    if slot == 0 {
        let class_map = region.space.class_map();
        // SAFETY: the only write, see FirstCell.
        unsafe {
            *FIRST.0.get() = First {
                begin: region.base() >> GRANULE_LOG2,
                granules: region.granules(),
                class_map,
                secret: mark::secret(),
            }
        };
    }
    // Relaxed: see `regions`.
    COUNT.store(count.max(slot + 1), Relaxed);
    (set_up == SetUp::Done).then_some(region)
}

/// Makes a slot a region of the best size that can be had.
fn set_up(region: &Region, least: usize) -> SetUp {
    let whole = |granules: usize| {
        let granules = granules.max(least).next_multiple_of(64);
        Plan { granules, now: granules, wish: 0 }
    };
    let is_first = regions().is_empty();
    let mut granules = if is_first { first_granules() } else { further_granules() };
    if is_first || os::address_space_limit().is_none() {
        let set_up = region.set_up(whole(granules), least);
        if set_up != SetUp::NoSpace {
            return set_up;
        }
    }
    let set_up = region.set_up(growing(least), least);
    if set_up != SetUp::NoSpace {
        return set_up;
    }
    // A small part of what there is: the rest is for the program's own mappings.
    granules = granules.min(limited_bytes() / 16 / GRANULE);
    loop {
        let set_up = region.set_up(whole(granules), least);
        if set_up != SetUp::NoSpace || granules <= least {
            return set_up;
        }
        granules /= 4;
    }
}

/// A space that grows up to the limit on address space: below everything else, with room before and behind it for all that may be
/// mapped under that limit. (The kernel maps from high addresses down.)
fn growing(least: usize) -> Plan {
    let granules = (limited_bytes() / GRANULE).max(least).next_multiple_of(64);
    let here = (&raw const REGIONS).addr();
    let lowest = regions().iter().map(Region::base).filter(|base| *base > 0).fold(here, usize::min);
    let wish = lowest.saturating_sub(2 * granules * GRANULE) / GRANULE * GRANULE;
    Plan { granules, now: least.max(COMMIT_MIN).min(granules), wish }
}

/// Whether address space is plenty, so that a block may have room to grow that it perhaps never uses.
pub fn is_roomy() -> bool {
    regions().first().is_some_and(|first| first.reserved_bytes() >= ROOMY_GRANULES * GRANULE)
}

/// How large we should like the first region to be, in granules.
fn first_granules() -> usize {
    // Address space is free: large blocks want room to grow, and fragmentation of space costs no memory.
    let bytes = os::physical_memory().next_power_of_two().saturating_mul(16);
    bytes.clamp(ROOMY_GRANULES << GRANULE_LOG2, 16 << 40) >> GRANULE_LOG2
}

/// And a further one: as much as there is.
fn further_granules() -> usize {
    let reserved: usize = regions().iter().map(Region::reserved_bytes).sum();
    (reserved.min(512 << 30) >> GRANULE_LOG2).max(COMMIT_MIN)
}

/// What address space there is, if it is limited.
fn limited_bytes() -> usize {
    os::address_space_limit().unwrap_or(4 << 30).clamp(64 << 20, 16 << 40)
}

#[cfg(test)]
mod tests;
