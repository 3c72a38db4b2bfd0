//! The stubs for aarch64. What they do is drawn in `cxx`; `portable.rs` says it in Rust.

use super::{runtime, try_new};

// Declared "C", not "C-unwind", although the first two throw: every call of them is the last thing its
// caller does and compiles to a jump (a test disassembles the library to see it), so there is no Rust frame
// to unwind. With "C-unwind" the compiler would guard the call against unwinding, and a guarded call is no
// jump.
unsafe extern "C" {
    /// A new that missed the fast path: memory, or `bad_alloc`, or what the handler throws.
    pub fn cairn_new_slow(size: usize) -> *mut u8;
    /// The same with an alignment.
    pub fn cairn_new_aligned_slow(size: usize, align: usize) -> *mut u8;
    /// A nothrow new that missed the fast path: memory or null.
    pub fn cairn_new_nothrow_slow(size: usize) -> *mut u8;
    /// The same with an alignment.
    pub fn cairn_new_nothrow_aligned_slow(size: usize, align: usize) -> *mut u8;
}

// Stack: the frame record (x29, x30), x19 and x20, the three arguments of the function that throws, and 8
// bytes for the alignment.
core::arch::global_asm!(
    ".pushsection .text.cairn_new,\"ax\",@progbits",
    ".p2align 4",
    ".globl cairn_new_slow",
    ".hidden cairn_new_slow",
    ".type cairn_new_slow,@function",
    ".globl cairn_new_aligned_slow",
    ".hidden cairn_new_aligned_slow",
    ".type cairn_new_aligned_slow,@function",
    "cairn_new_slow:",
    ".cfi_startproc",
    "mov x1, #0",
    "cairn_new_aligned_slow:",
    "stp x29, x30, [sp, #-64]!",
    ".cfi_def_cfa_offset 64",
    ".cfi_offset x29, -64",
    ".cfi_offset x30, -56",
    "mov x29, sp",
    "stp x19, x20, [sp, #16]",
    ".cfi_offset x19, -48",
    ".cfi_offset x20, -40",
    "mov x19, x0",
    "mov x20, x1",
    "2:",
    "mov x0, x19",
    "mov x1, x20",
    "bl {try_new}",
    "cbnz x0, 3f",
    "bl {handler}",
    "cbz x0, 4f",
    "blr x0",
    "b 2b",
    "3:",
    ".cfi_remember_state",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #64",
    ".cfi_restore x19",
    ".cfi_restore x20",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_def_cfa_offset 0",
    "ret",
    "4:",
    ".cfi_restore_state",
    "add x0, sp, #32",
    "bl {thrower}",
    "mov x16, x0",
    "ldp x0, x1, [sp, #32]",
    "ldr x2, [sp, #48]",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #64",
    ".cfi_restore x19",
    ".cfi_restore x20",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_def_cfa_offset 0",
    "br x16",
    ".cfi_endproc",
    ".size cairn_new_slow, . - cairn_new_slow",
    ".size cairn_new_aligned_slow, . - cairn_new_aligned_slow",
    ".popsection",
    try_new = sym try_new,
    handler = sym runtime::handler,
    thrower = sym runtime::thrower,
);

// Stack: the frame record, x19 and x20.
core::arch::global_asm!(
    ".pushsection .text.cairn_new,\"ax\",@progbits",
    ".p2align 4",
    ".globl cairn_new_nothrow_slow",
    ".hidden cairn_new_nothrow_slow",
    ".type cairn_new_nothrow_slow,@function",
    ".globl cairn_new_nothrow_aligned_slow",
    ".hidden cairn_new_nothrow_aligned_slow",
    ".type cairn_new_nothrow_aligned_slow,@function",
    "cairn_new_nothrow_slow:",
    ".cfi_startproc",
    // 0x9b: relative to here, 4 bytes, through a pointer. 0x1b: the same without the pointer.
    ".cfi_personality 0x9b, {personality}",
    ".cfi_lsda 0x1b, .Lcairn_new_catch",
    "mov x1, #0",
    "cairn_new_nothrow_aligned_slow:",
    "stp x29, x30, [sp, #-32]!",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset x29, -32",
    ".cfi_offset x30, -24",
    "mov x29, sp",
    "stp x19, x20, [sp, #16]",
    ".cfi_offset x19, -16",
    ".cfi_offset x20, -8",
    "mov x19, x0",
    "mov x20, x1",
    "2:",
    "mov x0, x19",
    "mov x1, x20",
    "bl {try_new}",
    "cbnz x0, 3f",
    "bl {handler}",
    "cbz x0, 3f",
    ".Lcairn_new_call:",
    "blr x0",
    ".Lcairn_new_called:",
    "b 2b",
    // The unwinder comes here with the exception in x0.
    ".Lcairn_new_caught:",
    "bl {swallow}",
    "mov x0, #0",
    "3:",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    ".cfi_restore x19",
    ".cfi_restore x20",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size cairn_new_nothrow_slow, . - cairn_new_nothrow_slow",
    ".size cairn_new_nothrow_aligned_slow, . - cairn_new_nothrow_aligned_slow",
    ".popsection",
    super::catch_all_table!(),
    try_new = sym try_new,
    handler = sym runtime::handler_nothrow,
    swallow = sym runtime::swallow,
    personality = sym runtime::PERSONALITY,
);
