//! The thread's slot: two words of static thread-local storage. (There is little of it for libraries that `dlopen` loads.)
//!
//! Word 0 is the distance in bytes from [`NOBODY`](crate::thread::NOBODY), the set of bins that is empty and full
//! at once, to the bins of this thread. The loader makes it zero, so a thread that was never heard of has bins from its
//! first instruction on, and the fast path needs no test for it. Word 1 has two parts:
//! ```text
//!   bits  0..48    the thread's State; in hardened mode, where word 0 stays 0, the address of its heap (hardened/heap.rs)
//!   bits 48..64    whether the thread is inside the engine (inside.rs)
//! ```
//!
//! Stable Rust's `thread_local!` calls `__tls_get_addr` in a shared object, which is slow and may allocate. So the slot is
//! declared and read in assembly, in the initial-exec model ("ELF Handling For Thread-Local Storage", Drepper).
//! The symbol's name carries the crate's version, so that two versions in one program don't share it.
//! The portable twin keeps the words in pthread keys; Miri uses it, and any build with `--cfg cairn_portable`.

/// Where a thread stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not allocated yet.
    Unborn,
    /// It is being born (then what it allocates goes directly to the centers), or has bins.
    Known,
    /// Its bins are gone for good: the last destructors run.
    Gone,
    /// It has bins, at this distance, but word 0 is zero, so that each call comes to the slow path (rest.rs).
    Resting(usize),
}

/// Bits of the second word that are the state's.
const STATE_BITS: u32 = 48;
const STATE_MASK: usize = (1 << STATE_BITS) - 1;

impl State {
    // Addresses of heaps are even, and less than 2^48. A distance, which may be negative, is a multiple of 8 and never 0.
    fn from_word(word: usize) -> State {
        match word & STATE_MASK {
            0 => State::Unborn,
            1 => State::Known,
            2 => State::Gone,
            // The address of a heap, see `heap_word`.
            even if even.is_multiple_of(2) => State::Known,
            odd => {
                let signed = (odd << (usize::BITS - STATE_BITS)) as isize >> (usize::BITS - STATE_BITS);
                State::Resting(((signed >> 1) << 3) as usize)
            }
        }
    }

    fn to_word(self) -> usize {
        match self {
            State::Unborn => 0,
            State::Known => 1,
            State::Gone => 2,
            State::Resting(distance) => ((((distance as isize) >> 3) << 1) as usize | 1) & STATE_MASK,
        }
    }
}

/// The distance to this thread's bins.
#[inline(always)]
pub fn distance() -> usize {
    imp::add_distance(0)
}

/// `nobody`, the address of [`NOBODY`](crate::thread::NOBODY), plus the distance: the address of this thread's bins.
#[inline(always)]
pub fn bins_from(nobody: usize) -> usize {
    imp::add_distance(nobody)
}

/// This thread's state.
pub fn state() -> State {
    State::from_word(imp::read::<8>())
}

/// The address of this thread's heap in hardened mode; 0 if it has none. It stands in the second word, in place of
/// [`State::Known`].
#[inline(always)]
pub fn heap_word() -> usize {
    let word = imp::read::<8>() & STATE_MASK;
    if word > 2 && word.is_multiple_of(2) { word } else { 0 }
}

/// [`heap_word`] in fewer instructions; None also if the thread is inside the engine. In hardened mode, in which no thread rests.
#[inline(always)]
pub fn heap_word_outside() -> Option<usize> {
    let word = imp::read::<8>();
    is_heap_outside(word).then_some(word)
}

/// Whether the second word is the address of a heap and nothing else: below 3 are states, and above 48 bits is who is inside.
#[inline(always)]
const fn is_heap_outside(word: usize) -> bool {
    // Not by a shift of the difference: a thread that is inside without a heap would borrow from the number.
    word.wrapping_sub(3) < STATE_MASK - 2
}

/// Sets the address of this thread's heap in hardened mode. The first word, the distance, stays 0.
pub fn set_heap(address: usize) {
    debug_assert!(address <= STATE_MASK && address.is_multiple_of(2));
    set_state_bits(address);
}

fn set_state_bits(bits: usize) {
    imp::write::<8>(imp::read::<8>() & !STATE_MASK | bits);
}

/// The number of inside.rs.
#[inline]
pub fn inside() -> usize {
    imp::read::<8>() >> STATE_BITS
}

/// Adds to the number of inside.rs, or takes away (what is added wraps around); returns what it was.
#[inline]
pub fn add_inside(number: usize) -> usize {
    let word = imp::read::<8>();
    imp::write::<8>(word.wrapping_add(number << STATE_BITS));
    word >> STATE_BITS
}

/// Changes the distance and the state.
pub fn set(distance: usize, state: State) {
    set_state_bits(state.to_word());
    imp::write::<0>(distance);
}

// The slot itself; the loader gives each thread its own.
#[cfg(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_os = "linux",
    not(any(miri, cairn_portable))
))]
core::arch::global_asm!(
    ".pushsection .tbss.cairn_slot, \"awT\", @nobits",
    concat!(".globl cairn_slot_", env!("CARGO_PKG_VERSION")),
    concat!(".hidden cairn_slot_", env!("CARGO_PKG_VERSION")),
    concat!(".type cairn_slot_", env!("CARGO_PKG_VERSION"), ", @tls_object"),
    concat!(".size cairn_slot_", env!("CARGO_PKG_VERSION"), ", 16"),
    ".p2align 3",
    concat!("cairn_slot_", env!("CARGO_PKG_VERSION"), ":"),
    ".zero 16",
    ".popsection",
);

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(any(miri, cairn_portable))))]
mod imp {
    use core::arch::asm;

    #[inline(always)]
    pub fn add_distance(mut to: usize) -> usize {
        // SAFETY: reads a word of this thread's own static storage, which exists as long as the thread.
        unsafe {
            asm!(
                concat!("mov {at}, qword ptr [rip + cairn_slot_", env!("CARGO_PKG_VERSION"), "@GOTTPOFF]"),
                "add {to}, qword ptr fs:[{at}]",
                at = out(reg) _,
                to = inout(reg) to,
                options(pure, readonly, nostack),
            );
        }
        to
    }

    #[inline(always)]
    pub fn read<const OFFSET: usize>() -> usize {
        let value;
        // SAFETY: as in `add_distance`.
        unsafe {
            asm!(
                concat!("mov {at}, qword ptr [rip + cairn_slot_", env!("CARGO_PKG_VERSION"), "@GOTTPOFF]"),
                "mov {value}, qword ptr fs:[{at} + {offset}]",
                at = out(reg) _,
                value = lateout(reg) value,
                offset = const OFFSET,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        value
    }

    pub fn write<const OFFSET: usize>(value: usize) {
        // SAFETY: as in `add_distance`; each thread writes its own.
        unsafe {
            asm!(
                concat!("mov {at}, qword ptr [rip + cairn_slot_", env!("CARGO_PKG_VERSION"), "@GOTTPOFF]"),
                "mov qword ptr fs:[{at} + {offset}], {value}",
                at = out(reg) _,
                value = in(reg) value,
                offset = const OFFSET,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_os = "linux", not(any(miri, cairn_portable))))]
mod imp {
    use core::arch::asm;

    #[inline(always)]
    pub fn add_distance(to: usize) -> usize {
        to.wrapping_add(read::<0>())
    }

    #[inline(always)]
    pub fn read<const OFFSET: usize>() -> usize {
        let value;
        // SAFETY: reads a word of this thread's own static storage, which exists as long as the thread.
        unsafe {
            asm!(
                concat!("adrp {at}, :gottprel:cairn_slot_", env!("CARGO_PKG_VERSION")),
                concat!("ldr {at}, [{at}, :gottprel_lo12:cairn_slot_", env!("CARGO_PKG_VERSION"), "]"),
                "mrs {value}, tpidr_el0",
                "add {value}, {value}, {at}",
                "ldr {value}, [{value}, {offset}]",
                at = out(reg) _,
                value = out(reg) value,
                offset = const OFFSET,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        value
    }

    pub fn write<const OFFSET: usize>(value: usize) {
        // SAFETY: as in `add_distance`; each thread writes its own.
        unsafe {
            asm!(
                concat!("adrp {at}, :gottprel:cairn_slot_", env!("CARGO_PKG_VERSION")),
                concat!("ldr {at}, [{at}, :gottprel_lo12:cairn_slot_", env!("CARGO_PKG_VERSION"), "]"),
                "mrs {base}, tpidr_el0",
                "add {base}, {base}, {at}",
                "str {value}, [{base}, {offset}]",
                at = out(reg) _,
                base = out(reg) _,
                value = in(reg) value,
                offset = const OFFSET,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_os = "linux",
    not(any(miri, cairn_portable))
)))]
mod imp {
    use core::ptr;

    use crate::thread_value::ThreadValue;

    static WORDS: [ThreadValue; 2] = [const { ThreadValue::new() }; 2];

    #[inline]
    pub fn add_distance(to: usize) -> usize {
        to.wrapping_add(read::<0>())
    }

    pub fn read<const OFFSET: usize>() -> usize {
        WORDS[OFFSET / 8].get().addr()
    }

    pub fn write<const OFFSET: usize>(value: usize) {
        let word = &WORDS[OFFSET / 8];
        if !word.is_possible() {
            cairn_core::fault::Line::new().text("no thread-local key left for the portable slot").abort();
        }
        // If the C library has no memory for the value the thread stays as it was.
        _ = word.set(ptr::without_provenance(value), None);
    }
}

#[cfg(test)]
mod tests {
    use super::{STATE_BITS, STATE_MASK, State, is_heap_outside};

    #[test]
    fn a_state_survives_its_word() {
        let far = (1usize << 46) + 64;
        for state in [
            State::Unborn,
            State::Known,
            State::Gone,
            State::Resting(64),
            State::Resting(far),
            State::Resting(far.wrapping_neg()),
            State::Resting(8usize.wrapping_neg()),
        ] {
            // The upper bits are somebody else's.
            assert_eq!(State::from_word(state.to_word() | 0x5a5a << 48), state);
        }
        assert_eq!(State::from_word(0x7f12_3456_7840), State::Known);
    }

    #[test]
    fn a_heap_is_used_by_a_thread_that_has_one_and_is_outside() {
        let (heap, highest) = (0x7f12_3456_7840, STATE_MASK & !63);
        assert!([64, heap, highest].into_iter().all(is_heap_outside));
        let states = [State::Unborn, State::Known, State::Gone].map(State::to_word);
        for word in states.into_iter().chain([heap, highest]) {
            // Once inside, the number's greatest, and both bits of a fork.
            for inside in [1, 2, 255, 1 << 8, 1 << 9, 0xffff] {
                assert!(!is_heap_outside(inside << STATE_BITS | word), "{inside} {word:x}");
            }
        }
        assert!(!states.into_iter().any(is_heap_outside));
    }
}
