//! Reads from a shared object what the dynamic loader reads: which names it exports and needs, and how it uses
//! thread-local storage.

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, SymbolSection};
use std::collections::BTreeSet;
use std::path::Path;

/// What the loader sees.
#[derive(Debug)]
pub struct Face {
    /// Names that other objects can bind to.
    pub exported: BTreeSet<String>,
    /// Names that other objects must provide.
    pub needed: BTreeSet<String>,
    /// Bytes of thread-local storage.
    pub tls_bytes: u64,
    /// Relocations that find thread-local storage by a call (the slow, allocating way).
    pub dynamic_tls_relocations: usize,
}

/// Reads a 64-bit little-endian shared object.
pub fn face(path: &Path) -> Face {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    let file: ElfFile64<Endianness> =
        ElfFile64::parse(&*bytes).unwrap_or_else(|e| panic!("{} is no ELF file: {e}", path.display()));
    let endian = file.endian();
    let names = |wanted: fn(&SymbolSection) -> bool| {
        file.dynamic_symbols()
            .filter(|symbol| wanted(&symbol.section()))
            .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
            .filter(|name| !name.is_empty())
            .collect::<BTreeSet<String>>()
    };
    let headers = file.elf_header().program_headers(endian, &*bytes).expect("program headers");
    let tls = headers.iter().filter(|header| header.p_type(endian) == elf::PT_TLS);
    Face {
        exported: names(|section| !matches!(section, SymbolSection::Undefined)),
        needed: names(|section| matches!(section, SymbolSection::Undefined)),
        tls_bytes: tls.map(|header| header.p_memsz(endian)).sum(),
        dynamic_tls_relocations: dynamic_tls(&file),
    }
}

fn dynamic_tls(file: &ElfFile64<Endianness>) -> usize {
    const SLOW: &[u32] = &[
        elf::R_X86_64_DTPMOD64,
        elf::R_X86_64_DTPOFF64,
        elf::R_X86_64_TLSDESC,
        elf::R_AARCH64_TLS_DTPMOD,
        elf::R_AARCH64_TLS_DTPREL,
        elf::R_AARCH64_TLSDESC,
    ];
    let relocations = file.dynamic_relocations().into_iter().flatten();
    relocations
        .filter(|(_, relocation)| matches!(relocation.flags(), RelocationFlags::Elf { r_type } if SLOW.contains(&r_type)))
        .count()
}

/// Names of the sections, for messages.
pub fn sections(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let Ok(file) = ElfFile64::<Endianness>::parse(&*bytes) else { return Vec::new() };
    file.sections().filter_map(|section| section.name().ok().map(str::to_owned)).collect()
}
