//! A linked ELF file, seen as code at addresses and names for addresses.
//!
//! Invariant: no name that this module gives contains an address. A symbol loses its hash, an entry of the global
//! offset table is called by what the dynamic linker will write into it, and everything else is called by its
//! section, so that two builds of the same source read the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use object::{
    Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget, SectionKind,
    SymbolKind,
};

use super::{Code, Instruction, Processor, aarch64, x86};

/// How many bytes past an address are shown to the decoder; the longest instruction of x86-64 has 15.
const INSTRUCTION_BYTES_MAX: usize = 16;

/// The code, symbols and sections of one ELF file.
pub struct Image {
    processor: Processor,
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    /// What the dynamic linker writes at an address, in words.
    slots: BTreeMap<u64, String>,
    compiler: String,
}

struct Section {
    name: String,
    range: Range<u64>,
    /// The bytes of a section of code; empty for others.
    code: Vec<u8>,
}

struct Symbol {
    name: String,
    range: Range<u64>,
    is_function: bool,
}

impl Image {
    /// Reads a shared object or a program.
    pub fn open(path: &Path) -> Result<Image, String> {
        let bytes = std::fs::read(path).map_err(|why| format!("{} can't be read: {why}", path.display()))?;
        Image::from_elf(&bytes).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn from_elf(bytes: &[u8]) -> Result<Image, String> {
        let file = object::File::parse(bytes).map_err(|why| why.to_string())?;
        let processor = match file.architecture() {
            object::Architecture::X86_64 => Processor::X86_64,
            object::Architecture::Aarch64 => Processor::Aarch64,
            other => return Err(format!("no decoder here reads code for {other:?}")),
        };
        let sections: Vec<Section> = file.sections().filter_map(|section| read_section(&section)).collect();
        let mut image = Image {
            processor,
            sections,
            symbols: read_symbols(&file),
            slots: BTreeMap::new(),
            compiler: read_compiler(&file),
        };
        image.bound_unsized_symbols();
        image.slots = read_slots(&file, &image);
        Ok(image)
    }

    /// An image made by hand: `code` begins at address `start` and holds the functions named.
    pub fn from_code(
        processor: Processor,
        start: u64,
        code: &[u8],
        functions: &[(&str, Range<u64>)],
    ) -> Image {
        let range = start..start + code.len() as u64;
        let symbols = functions
            .iter()
            .map(|(name, range)| Symbol { name: name.to_string(), range: range.clone(), is_function: true })
            .collect();
        Image {
            processor,
            sections: vec![Section { name: ".text".to_string(), range, code: code.to_vec() }],
            symbols,
            slots: BTreeMap::new(),
            compiler: String::new(),
        }
    }

    /// The processor that the code is for.
    pub fn processor(&self) -> Processor {
        self.processor
    }

    /// The compiler that made it, in its own words; empty if it left no trace.
    pub fn compiler(&self) -> &str {
        &self.compiler
    }

    /// Where the function with this name begins.
    pub fn find(&self, name: &str) -> Option<u64> {
        self.symbols
            .iter()
            .find(|symbol| symbol.is_function && symbol.name == name)
            .map(|symbol| symbol.range.start)
    }

    fn section_at(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| section.range.contains(&address))
    }

    /// Assembly often states no size: such a symbol reaches to the next one, or to the end of its section.
    fn bound_unsized_symbols(&mut self) {
        let starts: Vec<u64> = self.symbols.iter().map(|symbol| symbol.range.start).collect();
        let ends: Vec<u64> = starts
            .iter()
            .map(|start| {
                let section_end = self.section_at(*start).map_or(*start, |section| section.range.end);
                starts
                    .iter()
                    .copied()
                    .filter(|other| other > start)
                    .min()
                    .unwrap_or(section_end)
                    .min(section_end)
            })
            .collect();
        for (symbol, end) in self.symbols.iter_mut().zip(ends) {
            if symbol.range.is_empty() {
                symbol.range.end = end;
            }
        }
    }
}

impl Code for Image {
    fn decode(&self, address: u64) -> Result<Instruction, String> {
        let outside = || format!("{address:#x} lies in no section of code");
        let section =
            self.section_at(address).filter(|section| !section.code.is_empty()).ok_or_else(outside)?;
        let from = (address - section.range.start) as usize;
        let to = section.code.len().min(from + INSTRUCTION_BYTES_MAX);
        let bytes = section.code.get(from..to).ok_or_else(outside)?;
        match self.processor {
            Processor::X86_64 => x86::decode(bytes, address, self),
            Processor::Aarch64 => aarch64::decode(bytes, address),
        }
    }

    fn function_at(&self, address: u64) -> Option<Range<u64>> {
        self.symbols
            .iter()
            .find(|symbol| symbol.is_function && symbol.range.contains(&address))
            .map(|symbol| symbol.range.clone())
    }

    fn name_of(&self, address: u64) -> String {
        // Several names for one address are usual in a C library: the first in the alphabet is as good as any.
        let symbol =
            self.symbols.iter().filter(|symbol| symbol.range.contains(&address)).min_by_key(|s| &s.name);
        match (symbol, self.section_at(address)) {
            (Some(symbol), _) if symbol.range.start == address => symbol.name.clone(),
            (Some(symbol), _) => format!("{}+{:#x}", symbol.name, address - symbol.range.start),
            (None, Some(section)) if section.code.is_empty() => section.name.clone(),
            (None, Some(section)) => format!("unnamed code in {}", section.name),
            (None, None) => "nowhere".to_string(),
        }
    }
    fn meaning_of(&self, address: u64) -> String {
        self.slots.get(&address).cloned().unwrap_or_else(|| self.name_of(address))
    }
}

fn read_section(section: &object::Section<'_, '_>) -> Option<Section> {
    let range = section.address()..section.address() + section.size();
    let name = section.name().ok()?.to_string();
    let is_loaded = section.address() != 0;
    let code = if section.kind() == SectionKind::Text { section.data().ok()?.to_vec() } else { Vec::new() };
    // Thread-local sections have addresses of their own that overlap with others.
    let is_thread_local = matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls);
    (is_loaded && !is_thread_local).then_some(Section { name, range, code })
}

fn read_symbols(file: &object::File<'_>) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = file
        .symbols()
        .chain(file.dynamic_symbols())
        .filter(|symbol| symbol.is_definition())
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
        .filter_map(|symbol| {
            let name = readable_name(symbol.name().ok()?);
            let range = symbol.address()..symbol.address() + symbol.size();
            Some(Symbol { name, range, is_function: symbol.kind() == SymbolKind::Text })
        })
        .collect();
    symbols.sort_by(|a, b| (a.range.start, &a.name).cmp(&(b.range.start, &b.name)));
    symbols.dedup_by(|a, b| a.range == b.range && a.name == b.name);
    symbols
}

/// A Rust name without its mangling and hash; any other name as it is.
fn readable_name(name: &str) -> String {
    match rustc_demangle::try_demangle(name) {
        Ok(rust) => format!("{rust:#}"),
        Err(_) => name.to_string(),
    }
}

fn read_compiler(file: &object::File<'_>) -> String {
    let comment =
        file.section_by_name(".comment").and_then(|section| section.data().ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(comment);
    text.split('\0').find(|part| part.contains("rustc")).unwrap_or_default().trim().to_string()
}

fn read_slots(file: &object::File<'_>, image: &Image) -> BTreeMap<u64, String> {
    let mut slots = BTreeMap::new();
    for (address, relocation) in file.dynamic_relocations().into_iter().flatten() {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
        let is_thread_offset = match image.processor {
            Processor::X86_64 => r_type == object::elf::R_X86_64_TPOFF64,
            Processor::Aarch64 => r_type == object::elf::R_AARCH64_TLS_TPREL,
        };
        let meaning = match relocation.target() {
            _ if is_thread_offset => "offset of a thread-local".to_string(),
            RelocationTarget::Symbol(index) => {
                match file.dynamic_symbol_table().map(|t| t.symbol_by_index(index)) {
                    Some(Ok(symbol)) => format!("address of {}", readable_name(symbol.name().unwrap_or("?"))),
                    _ => continue,
                }
            }
            _ => format!("address of {}", image.name_of(relocation.addend() as u64)),
        };
        slots.insert(address, meaning);
    }
    slots
}
