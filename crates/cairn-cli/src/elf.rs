//! What the header of a program says about whether a library can be preloaded into it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endian, Endianness, FileKind, ReadRef};

/// The facts of one ELF file.
#[derive(Debug, PartialEq, Eq)]
pub struct Elf {
    /// For which processor, how wide and in which byte order.
    pub machine: Machine,
    /// `e_type`: a program, a position-independent program or library, an object file, a core.
    pub kind: elf::FileType,
    /// The loader that the kernel starts it with; a static program names none.
    pub loader: Option<PathBuf>,
    /// Whether it has a dynamic section (a static-pie program has one too, a classic static program has none).
    pub dynamic: bool,
}

/// A processor as ELF tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine`.
    pub number: elf::Machine,
    /// Whether addresses have 64 bits.
    pub wide: bool,
    /// Whether the least byte comes first.
    pub little: bool,
}

impl Machine {
    /// The machine that this program, and so the library in it, was built for.
    pub const OURS: Machine = Machine {
        number: if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 },
        wide: cfg!(target_pointer_width = "64"),
        little: cfg!(target_endian = "little"),
    };
}

impl std::fmt::Display for Machine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.number {
            elf::EM_386 => "x86",
            elf::EM_X86_64 => "x86-64",
            elf::EM_ARM => "Arm",
            elf::EM_AARCH64 => "aarch64",
            elf::EM_RISCV => "RISC-V",
            elf::EM_PPC | elf::EM_PPC64 => "PowerPC",
            elf::EM_S390 => "s390",
            elf::EM_MIPS => "MIPS",
            elf::EM_LOONGARCH => "LoongArch",
            elf::EM_SPARC | elf::EM_SPARCV9 => "SPARC",
            elf::EM_68K => "68000",
            other => return write!(out, "machine number {} ({}-bit)", other.0, self.bits()),
        };
        write!(out, "{name} ({}-bit{})", self.bits(), if self.little { "" } else { ", big-endian" })
    }
}

impl Machine {
    fn bits(self) -> u8 {
        if self.wide { 64 } else { 32 }
    }
}

/// Reads the headers; the error says in a few words what is wrong with them.
pub fn read<'data>(data: impl ReadRef<'data>) -> Result<Elf, String> {
    match FileKind::parse(data).map_err(|error| error.to_string())? {
        FileKind::Elf32 => read_as::<elf::FileHeader32<Endianness>>(data),
        FileKind::Elf64 => read_as::<elf::FileHeader64<Endianness>>(data),
        _ => Err("it is no ELF file".into()),
    }
}

fn read_as<'data, H: FileHeader<Endian = Endianness>>(data: impl ReadRef<'data>) -> Result<Elf, String> {
    let text = |error: object::Error| error.to_string();
    let header = H::parse(data).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    let mut found = Elf {
        machine: Machine {
            number: header.e_machine(endian),
            wide: header.is_type_64(),
            little: endian.is_little_endian(),
        },
        kind: header.e_type(endian),
        loader: None,
        dynamic: false,
    };
    if found.machine != Machine::OURS {
        // Nothing else matters then, and the rest of the file may be laid out in ways we don't know.
        return Ok(found);
    }
    for segment in header.program_headers(endian, data).map_err(text)? {
        if let Some(loader) = segment.interpreter(endian, data).map_err(text)? {
            found.loader = Some(PathBuf::from(OsStr::from_bytes(loader)));
        }
        found.dynamic |= segment.p_type(endian) == elf::PT_DYNAMIC;
    }
    Ok(found)
}

/// Whether these bytes are a shared library that programs of this machine can load.
pub fn is_library_for_us(content: &[u8]) -> bool {
    read(content)
        .is_ok_and(|found| found.machine == Machine::OURS && found.kind == elf::ET_DYN && found.dynamic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_program() {
        let content = std::fs::read("/proc/self/exe").expect("the test program");
        let found = read(&content[..]).expect("an ELF file");
        assert_eq!(found.machine, Machine::OURS);
        assert!(found.dynamic && found.loader.is_some());
    }

    #[test]
    fn refuses_rubbish_in_words() {
        assert!(read(&b"\x7fELF"[..]).is_err());
        assert!(read(&b"#!/bin/sh\n"[..]).is_err());
    }
}
