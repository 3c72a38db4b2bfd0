//! Makes the kernel refuse system calls of one thread, for tests: a filter (`seccomp`), which lasts until the thread ends.

use core::ffi::{c_long, c_uint, c_ushort};

/// A system call that shall fail by ENOMEM: its number, one of its arguments (0 is the first), and the value that this one has.
#[derive(Clone, Copy)]
pub struct Refused(pub c_long, pub u32, pub u32);

/// Offset of the call's number, and of its first argument, in what a filter looks at.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

fn step(code: u32, if_so: u8, if_not: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as c_ushort, jt: if_so, jf: if_not, k }
}

fn load(at: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at)
}

fn skip_unless(value: u32, steps: u8) -> libc::sock_filter {
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, steps, value)
}

fn answer(what: u32) -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, 0, 0, what)
}

/// Refuses these calls of the calling thread, and of threads that it begins, from now on; false if that can't be (an emulator).
pub fn refuse<const N: usize>(calls: [Refused; N]) -> bool {
    let mut filter = std::vec::Vec::new();
    for Refused(number, argument, value) in calls {
        filter.extend([
            load(NUMBER),
            skip_unless(number as u32, 3),
            // The lower half of it: the machines that this runs on are little-endian.
            load(ARGUMENTS + 8 * argument),
            skip_unless(value, 1),
            answer(libc::SECCOMP_RET_ERRNO | libc::ENOMEM as u32),
        ]);
    }
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as c_ushort, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program. All arguments are as wide as the call takes them.
    unsafe {
        let (zero, one): (libc::c_ulong, libc::c_ulong) = (0, 1);
        let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER as c_uint);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, zero, zero) == 0
    }
}
