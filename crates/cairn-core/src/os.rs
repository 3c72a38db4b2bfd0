//! Memory from the operating system, and the few facts about the machine that a heap needs.
//!
//! Each function is one system call (named in its comment, made as `call` says) or none. Each can fail, says so in its result, and leaves
//! errno as it was: a heap that runs behind `free` must not disturb the program's errno.

pub(crate) mod call;
mod files;
mod guard;
mod huge;
mod process;
mod signals;
mod threads;

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use crate::count::{self, Call};
use call::{by_name, call};

pub use files::{close, create, duplicate, read_begin, working_directory, write_all};
pub use guard::{Guard, decommit, forbid, install_guard, make_read_only, random, remove_guard};
pub use huge::{HUGE_PAGE, allow_huge, forbid_huge, huge_pages_allowed, populate};
pub use process::{mappings_max, parent_number, process_number, thread_number};
pub use signals::{
    Signals, alarm, default_action, give_signal_stack, refuse_only, refuse_signals, send_to_me, take_signals,
};
pub use threads::{barrier_everywhere, let_others_run, refuse_cancel, sleep_while, threads_of_process, wake};

/// Restores errno when dropped.
pub struct KeepErrno {
    /// The thread's errno. What keeps it never outlives the thread, nor leaves it.
    place: *mut libc::c_int,
    value: libc::c_int,
}

impl KeepErrno {
    /// Remembers errno of this thread.
    #[inline]
    pub fn new() -> Self {
        // SAFETY: the C library's errno location is valid for the calling thread at any time.
        unsafe {
            let place = libc::__errno_location();
            KeepErrno { place, value: *place }
        }
    }

    /// What errno is now.
    fn now(&self) -> libc::c_int {
        // SAFETY: as in `new`, in the same thread.
        unsafe { *self.place }
    }
}

impl Default for KeepErrno {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for KeepErrno {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `new`, in the same thread: a raw pointer is neither sent nor shared.
        unsafe { *self.place = self.value }
    }
}

/// The page size in bytes, read once from the auxiliary vector (4, 16 or 64 KiB).
#[inline]
pub fn page_size() -> usize {
    /// Its logarithm, so that the compiler knows a power of two where it divides by it.
    static PAGE_LOG2: AtomicU32 = AtomicU32::new(0);
    let mut log2 = PAGE_LOG2.load(Relaxed);
    if log2 == 0 {
        // SAFETY: getauxval reads a vector that the kernel left on the stack; it has no preconditions.
        let size = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
        log2 = if size.is_power_of_two() { size.trailing_zeros() } else { 12 };
        PAGE_LOG2.store(log2, Relaxed);
    }
    1 << log2
}

/// Two random words, the same at each call: those that the kernel gives each program at its start (`getauxval(AT_RANDOM)`, no
/// system call). Without them the clock and an address, which are hard to guess at best.
pub fn random_words() -> [usize; 2] {
    // SAFETY: getauxval has no preconditions; what it gives is null or 16 bytes that live as long as the process.
    unsafe {
        let words = libc::getauxval(libc::AT_RANDOM) as usize;
        if words != 0 {
            return core::ptr::with_exposed_provenance::<[usize; 2]>(words).read_unaligned();
        }
    }
    [now_us() as usize, (random_words as fn() -> [usize; 2] as usize)]
}

/// Bytes of physical memory (`sysinfo`); 4 GiB if the kernel doesn't say.
pub fn physical_memory() -> usize {
    let mut info = core::mem::MaybeUninit::<libc::sysinfo>::zeroed();
    // SAFETY: `info` is a writable sysinfo record, which zeroes are a valid value of.
    unsafe {
        if call(libc::SYS_sysinfo, [info.as_mut_ptr().expose_provenance()]).is_err() {
            return 4 << 30;
        }
        let info = info.assume_init();
        (info.totalram as usize).saturating_mul(info.mem_unit as usize)
    }
}

/// The limit on this process's address space in bytes (`prlimit64(RLIMIT_AS)`), if there is one.
pub fn address_space_limit() -> Option<usize> {
    /// The kernel's word for no limit, on processors of all widths.
    const NONE: u64 = u64::MAX;
    let mut limits = [NONE; 2];
    let [this_process, no_new_ones] = [0, 0];
    let to = (&raw mut limits).expose_provenance();
    // SAFETY: the kernel writes two numbers of 64 bits, the limit that holds first.
    unsafe { call(libc::SYS_prlimit64, [this_process, libc::RLIMIT_AS as usize, no_new_ones, to]) }.ok()?;
    (limits[0] != NONE).then(|| usize::try_from(limits[0]).unwrap_or(usize::MAX))
}

/// Milliseconds of a clock that never goes back (`clock_gettime(CLOCK_MONOTONIC_COARSE)`, no kernel entry).
/// It is coarse: steps of 1 to 10 ms.
#[inline]
pub fn now_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable timespec. The clock exists since Linux 2.6.32; if not, time stands still, and
    // nothing but the decay of free pages depends on it.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Microseconds since some point in the past (`clock_gettime(CLOCK_MONOTONIC)`, answered without entering the kernel where it can
/// be), to time a system call with.
pub fn now_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable timespec; a failure leaves it as it is.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

fn map(wish: usize, bytes: usize, protection: libc::c_int) -> Option<NonNull<u8>> {
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let at = unsafe { map_as(wish, bytes, protection, 0) }.ok()?;
    NonNull::new(ptr::with_exposed_provenance_mut(at))
}

/// Maps memory of the process's own, that no file is behind (`mmap`): its address.
///
/// # Safety
/// What the further flags have the kernel replace is the caller's.
unsafe fn map_as(
    at: usize,
    bytes: usize,
    protection: libc::c_int,
    more: libc::c_int,
) -> Result<usize, libc::c_int> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | more;
    let at = ptr::with_exposed_provenance_mut(at);
    count::call(Call::Mmap);
    // SAFETY: the caller's contract.
    by_name(|| unsafe { libc::mmap(at, bytes, protection, flags, -1, 0) }.expose_provenance() as isize)
}

/// Changes what may be done with pages (`mprotect`); false if the kernel refuses.
///
/// # Safety
/// The range is page-aligned and the caller's, and nobody does meanwhile what is forbidden.
unsafe fn protect(at: *mut u8, bytes: usize, protection: libc::c_int) -> bool {
    count::call(Call::Mprotect);
    // SAFETY: the caller's contract.
    unsafe { call(libc::SYS_mprotect, [at.expose_provenance(), bytes, protection as usize]) }.is_ok()
}

/// Tells the kernel something about pages (`madvise`); false if it refuses.
///
/// # Safety
/// The range is the caller's, and the advice does what it wants.
unsafe fn advise(at: *mut u8, bytes: usize, advice: libc::c_int) -> bool {
    count::call(Call::Madvise);
    // SAFETY: the caller's contract.
    by_name(|| unsafe { libc::madvise(at.cast(), bytes, advice) as isize }).is_ok()
}

/// Reserves address space that can't be touched and isn't counted as memory (`mmap`, PROT_NONE).
pub fn reserve(bytes: usize) -> Option<NonNull<u8>> {
    map(0, bytes, libc::PROT_NONE)
}

/// The same at an address that the caller would like, or elsewhere if something is there. (The kernel takes the wish for what it is;
/// 0 is none.)
pub fn reserve_near(wish: usize, bytes: usize) -> Option<NonNull<u8>> {
    map(wish, bytes, libc::PROT_NONE)
}

/// Reserves the address space at a place (`mmap(MAP_FIXED_NOREPLACE)`); false if something is there, or if the kernel refuses.
pub fn reserve_vacant(at: *mut u8, bytes: usize) -> bool {
    map_vacant(at, bytes, libc::PROT_NONE) == Vacant::Mapped
}

/// Maps memory that reads as zero (`mmap`); pages come when they are touched.
pub fn map_zeroed(bytes: usize) -> Option<NonNull<u8>> {
    map(0, bytes, libc::PROT_READ | libc::PROT_WRITE)
}

/// Gives a mapping back, or a part of one (`munmap`). False if the kernel refuses, as it may if the range is a part of what it
/// sees as one mapping and there are too many already: then the range is as it was, and still the caller's.
///
/// # Safety
/// The range was mapped by this module and nobody uses it any more.
#[must_use = "what the kernel did not take back is still there"]
pub unsafe fn unmap(at: *mut u8, bytes: usize) -> bool {
    count::call(Call::Munmap);
    // SAFETY: the caller owns the range.
    by_name(|| unsafe { libc::munmap(at.cast(), bytes) as isize }).is_ok()
}

/// Makes reserved address space usable (`mprotect`, read and write); false if the kernel refuses (out of memory
/// under strict accounting, or too many mappings).
///
/// # Safety
/// The range is page-aligned and lies in a reservation of the caller.
pub unsafe fn commit(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller owns the range; more rights harm nobody.
    unsafe { protect(at, bytes, libc::PROT_READ | libc::PROT_WRITE) }
}

/// Gives the pages back; they read as zero afterwards (`madvise(MADV_DONTNEED)`). False if the kernel refuses
/// (locked pages): then contents are as they were.
///
/// QEMU's user mode (to 7.2 at least) takes this advice as a hint, answers "done", and leaves the contents. So the first
/// call looks whether it helped; if not, this and all later ones map fresh pages over the old (`mmap(MAP_FIXED)`).
///
/// # Safety
/// The range is page-aligned, committed, and holds nothing that anybody needs.
pub unsafe fn purge(at: *mut u8, bytes: usize) -> bool {
    const UNKNOWN: usize = 0;
    const ADVICE: usize = 1;
    const MAPPING: usize = 2;
    static WAY: AtomicUsize = AtomicUsize::new(UNKNOWN);
    // SAFETY: the caller owns the range and its contents, for all three calls; it is page-aligned, so it holds a word.
    unsafe {
        match WAY.load(Relaxed) {
            ADVICE => advise(at, bytes, libc::MADV_DONTNEED),
            MAPPING => map_over(at, bytes),
            _ => {
                let witness = at.cast::<usize>();
                let was = witness.read_volatile();
                witness.write_volatile(1);
                if !advise(at, bytes, libc::MADV_DONTNEED) {
                    witness.write_volatile(was);
                    return false;
                }
                let helps = witness.read_volatile() == 0;
                WAY.store(if helps { ADVICE } else { MAPPING }, Relaxed);
                helps || map_over(at, bytes)
            }
        }
    }
}

/// Gives pages back that nobody will ever look at again, accessible or not (`madvise(MADV_DONTNEED)`); a refusal changes nothing.
///
/// # Safety
/// The range is page-aligned, the caller's, and never read again.
pub unsafe fn drop_pages(at: *mut u8, bytes: usize) {
    // SAFETY: the caller's contract.
    unsafe { advise(at, bytes, libc::MADV_DONTNEED) };
}

/// # Safety
/// As for [`purge`].
unsafe fn map_over(at: *mut u8, bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller's contract: what is replaced is its own.
    unsafe { map_as(at.expose_provenance(), bytes, protection, libc::MAP_FIXED) }.is_ok()
}

/// Where the program break is (`sbrk(0)`): the address behind the classic heap.
pub fn program_break() -> usize {
    let _errno = KeepErrno::new();
    // SAFETY: asking moves nothing.
    unsafe { libc::sbrk(0) }.addr()
}

/// Moves the program break up and gives where it was (`sbrk`): there the new memory begins, and it reads as zero. None if
/// the kernel refuses.
pub fn raise_break(bytes: usize) -> Option<NonNull<u8>> {
    let _errno = KeepErrno::new();
    let by = libc::intptr_t::try_from(bytes).ok()?;
    // SAFETY: raising the break touches no memory that exists.
    let was = unsafe { libc::sbrk(by) };
    if was.addr() == usize::MAX { None } else { NonNull::new(was.cast()) }
}

/// Moves the program break down (`sbrk`); false if the kernel refuses.
///
/// # Safety
/// The last `bytes` bytes below the break are the caller's and hold nothing that anybody needs.
pub unsafe fn lower_break(bytes: usize) -> bool {
    let _errno = KeepErrno::new();
    let Ok(by) = libc::intptr_t::try_from(bytes) else { return false };
    // SAFETY: the caller's contract.
    unsafe { libc::sbrk(-by) }.addr() != usize::MAX
}

/// Tells for each page of a range whether it is in memory (`mincore`): the lowest bit of its byte. A page that is not may
/// still have contents, in swap. False if the kernel refuses, as it does where a page is not mapped.
///
/// # Safety
/// The range is page-aligned.
pub unsafe fn resident(at: *const u8, pages: &mut [u8]) -> bool {
    let (bytes, to) = (pages.len() * page_size(), pages.as_mut_ptr().expose_provenance());
    count::call(Call::Mincore);
    // SAFETY: the kernel writes one byte a page.
    unsafe { call(libc::SYS_mincore, [at.expose_provenance(), bytes, to]) }.is_ok()
}

/// Whether a range lies in one mapping, as [`move_mapping`] needs it. Asked by an `mremap` that wants the range to grow where it
/// is: that fails with EFAULT if the range crosses mappings, and with something else because the space behind it is taken. (If that should
/// be free, it grows by a page, and shrinks again.)
///
/// # Safety
/// The range is page-aligned and the caller's.
pub unsafe fn is_one_mapping(at: *mut u8, bytes: usize) -> bool {
    let resize = |from, to| {
        count::call(Call::Mremap);
        let in_place = 0;
        // SAFETY: without MREMAP_MAYMOVE nothing moves, and what grew was nobody's.
        by_name(|| unsafe { libc::mremap(at.cast(), from, to, in_place) }.addr() as isize)
    };
    let longer = bytes + page_size();
    match resize(bytes, longer) {
        Err(error) => error != libc::EFAULT,
        Ok(_) => {
            // What can't be given back stays, unused.
            _ = resize(longer, bytes);
            true
        }
    }
}

/// What became of a [`move_mapping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The contents are at the new place; the old one is mapped and reads as zero.
    Done,
    /// The contents are at the new place; the old one is no longer ours and must never be touched.
    DoneOldLost,
    /// Nothing moved; the new place is mapped and reads as zero.
    Failed,
    /// Nothing moved; the new place is no longer ours and must never be touched.
    FailedNewLost,
}

/// Moves a range's page-table entries instead of its bytes (`mremap`, then `mmap` to fill the hole): afterwards `to` holds
/// the contents and, behind them, zeroes.
///
/// The kernel unmaps `to` before it knows whether the move will succeed, and leaves a hole where the pages were. In either hole a
/// mapping of another thread may have come to stand before this fills it, so a hole is filled only if it still is one
/// (`MAP_FIXED_NOREPLACE`); otherwise it is lost, which is said in the result. (What is lost are addresses: nothing of the
/// caller's is mapped there any more.)
///
/// # Safety
/// Both ranges are page-aligned, committed, disjoint, owned by the caller, and what `to` held is not needed.
/// `to_bytes >= from_bytes`.
pub unsafe fn move_mapping(from: *mut u8, from_bytes: usize, to: *mut u8, to_bytes: usize) -> Move {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let target = to.cast::<libc::c_void>();
    count::call(Call::Mremap);
    // SAFETY: the caller owns both ranges; MREMAP_FIXED replaces only `to`.
    let moved =
        by_name(|| unsafe { libc::mremap(from.cast(), from_bytes, to_bytes, flags, target) }.addr() as isize);
    if moved.is_err() {
        return if fill_hole(to, to_bytes) { Move::Failed } else { Move::FailedNewLost };
    }
    if fill_hole(from, from_bytes) { Move::Done } else { Move::DoneOldLost }
}

/// Maps memory into a hole that a move has left; false if another mapping has come to stand there, or the kernel refuses twice.
fn fill_hole(at: *mut u8, bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    match map_vacant(at, bytes, protection) {
        Vacant::Refused => map_vacant(at, bytes, protection) == Vacant::Mapped,
        other => other == Vacant::Mapped,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Vacant {
    Mapped,
    /// Something is there.
    Taken,
    Refused,
}

/// Maps memory at a place, unless something is there.
fn map_vacant(at: *mut u8, bytes: usize, protection: libc::c_int) -> Vacant {
    let wish = at.expose_provenance();
    // SAFETY: with this flag the kernel replaces nothing. Before Linux 4.17 it takes the address as a wish only.
    match unsafe { map_as(wish, bytes, protection, libc::MAP_FIXED_NOREPLACE) } {
        Ok(got) if got == wish => Vacant::Mapped,
        Ok(elsewhere) => {
            // SAFETY: the mapping was just made, elsewhere.
            _ = unsafe { unmap(ptr::with_exposed_provenance_mut(elsewhere), bytes) };
            Vacant::Taken
        }
        Err(libc::EEXIST) => Vacant::Taken,
        Err(_) => Vacant::Refused,
    }
}
