//! The registers that unwinding follows, by their numbers in DWARF, and how to get them.

use core::arch::asm;

/// The numbers 0 to 15 are the general registers, 16 the return address.
#[cfg(target_arch = "x86_64")]
pub const COUNT: usize = 17;
/// The numbers 0 to 30 are the general registers, 31 the stack pointer.
#[cfg(target_arch = "aarch64")]
pub const COUNT: usize = 32;

#[cfg(target_arch = "x86_64")]
const STACK: usize = 7;
#[cfg(target_arch = "aarch64")]
const STACK: usize = 31;

/// The state of a thread in one function.
#[derive(Clone, Copy)]
pub struct Registers {
    values: [usize; COUNT],
    /// Where it is.
    pub pc: usize,
}

impl Registers {
    pub fn get(&self, register: usize) -> Option<usize> {
        self.values.get(register).copied()
    }

    pub fn set(&mut self, register: usize, value: usize) {
        self.values[register] = value;
    }

    pub fn set_stack(&mut self, value: usize) {
        self.values[STACK] = value;
    }

    pub fn stack(&self) -> usize {
        self.values[STACK]
    }

    /// Makes the value of the return register the place.
    pub fn return_to(&mut self, register: usize) -> Option<()> {
        self.pc = unsigned_address(self.get(register)?);
        Some(())
    }

    /// Those of the calling function, as they are at this point of it.
    #[inline(always)]
    pub fn here() -> Registers {
        let mut values = [0; COUNT];
        let pc;
        // What a callee must keep, and the stack pointer. The rest is not needed to unwind.
        #[cfg(target_arch = "x86_64")]
        // SAFETY: writes into the array only.
        unsafe {
            asm!(
                "mov [{v} + 24], rbx",
                "mov [{v} + 48], rbp",
                "mov [{v} + 56], rsp",
                "mov [{v} + 96], r12",
                "mov [{v} + 104], r13",
                "mov [{v} + 112], r14",
                "mov [{v} + 120], r15",
                "lea {pc}, [rip]",
                v = in(reg) &raw mut values,
                pc = out(reg) pc,
                options(nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            asm!(
                "stp x19, x20, [{v}, 152]",
                "stp x21, x22, [{v}, 168]",
                "stp x23, x24, [{v}, 184]",
                "stp x25, x26, [{v}, 200]",
                "stp x27, x28, [{v}, 216]",
                "stp x29, x30, [{v}, 232]",
                "mov {pc}, sp",
                "str {pc}, [{v}, 248]",
                "adr {pc}, .",
                v = in(reg) &raw mut values,
                pc = out(reg) pc,
                options(nostack, preserves_flags),
            );
        }
        Registers { values, pc }
    }

    /// Those that a signal interrupted.
    ///
    /// # Safety
    /// `context` is what the kernel gave to a handler.
    pub unsafe fn interrupted(context: *const libc::ucontext_t) -> Registers {
        // SAFETY: the caller's contract.
        let machine = unsafe { &(*context).uc_mcontext };
        let mut values = [0; COUNT];
        #[cfg(target_arch = "x86_64")]
        {
            use libc::*;
            let order = [
                REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
                REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
            ];
            for (value, &place) in values.iter_mut().zip(&order) {
                *value = machine.gregs[place as usize] as usize;
            }
            Registers { values, pc: values[16] }
        }
        #[cfg(target_arch = "aarch64")]
        {
            for (value, &register) in values.iter_mut().zip(&machine.regs) {
                *value = register as usize;
            }
            values[STACK] = machine.sp as usize;
            Registers { values, pc: machine.pc as usize }
        }
    }
}

/// A return address without the signature that aarch64 may give it.
fn unsigned_address(address: usize) -> usize {
    #[cfg(target_arch = "aarch64")]
    {
        let mut address = address;
        // SAFETY: `xpaclri` changes one register; processors without signatures do nothing here.
        unsafe { asm!("hint 7", inout("x30") address, options(pure, nomem, nostack, preserves_flags)) };
        return address;
    }
    #[cfg(target_arch = "x86_64")]
    address
}
