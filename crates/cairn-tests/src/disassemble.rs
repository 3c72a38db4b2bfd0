//! The disassembler behind the fast-path test: it reads machine code and says what the fast path of a function is.
//!
//! ```text
//!   golden   the file that a reviewer reads: counts and listing of each function, parsed, written, compared
//!     │
//!   path     the control-flow graph of one function → its fast path, its exits, its faults
//!     │
//!   image    an ELF file: which bytes lie at an address, and which name an address has
//!     │
//!   x86, aarch64    one instruction: text, where it may go, which memory it touches
//! ```
//! Arrows point down only. What this file holds is the vocabulary that all four share: an [`Instruction`] without
//! a processor. Nothing above `x86` and `aarch64` knows which processor it looks at.

pub mod aarch64;
pub mod golden;
pub mod image;
pub mod path;
#[cfg(test)]
mod tests;
pub mod x86;

pub use golden::{Golden, Record};
pub use image::Image;
pub use path::{Counts, Exit, FastPath, Fault};

/// The processor that an image was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Processor {
    /// The name that Rust has for it, used in the names of golden files.
    pub fn name(self) -> &'static str {
        match self {
            Processor::X86_64 => "x86_64",
            Processor::Aarch64 => "aarch64",
        }
    }
}

/// Where control goes after an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction, always.
    Next,
    /// To the next instruction or to this address.
    Branch(u64),
    /// To this address, always.
    Jump(u64),
    /// To an address that is not written in the instruction.
    JumpIndirect(Place),
    /// Into another function, which may come back.
    Call(Place),
    /// Back to the caller.
    Return,
    /// Nowhere: the instruction ends the process.
    Trap,
}

/// The aim of a call or of an indirect jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This address.
    Known(u64),
    /// The address that lies in the memory word at this address (an entry of the global offset table).
    Slot(u64),
    /// Whatever a register or computed memory word holds.
    Computed,
}

/// One instruction of either processor, reduced to what the fast-path test asks.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Its address in the image.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The verb, for instance `cmp`.
    pub mnemonic: String,
    /// What follows the verb, without addresses that change from build to build. Empty for jumps and branches to
    /// known addresses: the listing says in words where they go.
    pub operands: String,
    /// Where control goes next.
    pub flow: Flow,
    /// How many reads of memory it makes; the return address, which every `ret` of x86 pops, is not counted.
    pub loads: u32,
    /// How many writes of memory it makes; the return address that a call pushes is not counted.
    pub stores: u32,
    /// Whether it reads and writes memory in one indivisible step (`lock`, `xchg` with memory, `ldxr`, `cas`, …).
    pub atomic: bool,
}

impl Instruction {
    /// The address of the instruction behind this one.
    pub fn end(&self) -> u64 {
        self.address + self.length
    }
}

/// Who decodes instructions and knows names: an [`Image`], as [`path`] sees it.
pub trait Code {
    /// The instruction at an address, or a sentence that says why there is none.
    fn decode(&self, address: u64) -> Result<Instruction, String>;
    /// The function around an address, from its first byte to behind its last.
    fn function_at(&self, address: u64) -> Option<std::ops::Range<u64>>;
    /// A name for an address that reads the same in the next build.
    fn name_of(&self, address: u64) -> String;
    /// What the word at an address will hold, if the dynamic linker writes it; otherwise the name of the address.
    fn meaning_of(&self, address: u64) -> String;
}
