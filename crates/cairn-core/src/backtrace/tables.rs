//! The unwind tables that compilers leave in each object (`.eh_frame`), found by address and read in place.
//!
//! ```text
//!   pc ──► the object's .eh_frame_hdr ──► binary search ──► FDE of the function ──► its CIE
//!          (_dl_find_object, else dl_iterate_phdr)           rules by address       what many have in common
//! ```
//! The format is that of the Linux Standard Base (".eh_frame") and DWARF 4, section 6.4.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;

use crate::weak;

/// A place in the tables.
///
/// Invariant: it points into tables of a loaded object, which the linker made, and which end every list they have. Reading on
/// is as safe as these tables are right; whoever can write them can run code anyway.
#[derive(Clone, Copy)]
pub struct Cursor(*const u8);

/// Pointer encodings: the low half says how it is stored, the high half what it is relative to.
const ABSENT: u8 = 0xff;
const RELATIVE_TO_PLACE: u8 = 0x10;
const RELATIVE_TO_HEADER: u8 = 0x30;
const INDIRECT: u8 = 0x80;
/// Signed, four bytes, relative to the header: what every linker writes into the table for the search.
const TABLE_ENCODING: u8 = RELATIVE_TO_HEADER | 0x0b;

impl Cursor {
    /// A place in the tables.
    ///
    /// # Safety
    /// See the type.
    pub unsafe fn at(address: usize) -> Cursor {
        Cursor(core::ptr::with_exposed_provenance(address))
    }

    pub fn address(self) -> usize {
        self.0.addr()
    }

    /// Reads a plain value and steps over it.
    pub fn read<T: Copy>(&mut self) -> T {
        // SAFETY: the type's invariant.
        let value = unsafe { self.0.cast::<T>().read_unaligned() };
        self.skip(size_of::<T>());
        value
    }

    pub fn skip(&mut self, bytes: usize) {
        self.0 = self.0.wrapping_add(bytes);
    }

    /// A number in LEB128 without a sign.
    pub fn unsigned(&mut self) -> usize {
        self.leb128().0
    }

    /// A number in LEB128 with a sign.
    pub fn signed(&mut self) -> isize {
        let (value, bits, last) = self.leb128();
        let negative = last & 0x40 != 0 && bits < usize::BITS;
        (if negative { value | (usize::MAX << bits) } else { value }) as isize
    }

    fn leb128(&mut self) -> (usize, u32, u8) {
        let (mut value, mut bits) = (0, 0);
        loop {
            let byte: u8 = self.read();
            if bits < usize::BITS {
                value |= usize::from(byte & 0x7f) << bits;
            }
            bits += 7;
            if byte & 0x80 == 0 {
                return (value, bits, byte);
            }
        }
    }

    /// A pointer in one of the encodings; None if it is absent or of a kind that is not used here.
    fn pointer(&mut self, encoding: u8, header: usize) -> Option<usize> {
        if encoding == ABSENT {
            return None;
        }
        let place = self.address();
        let value = match encoding & 0x0f {
            0x00 => self.read::<usize>(),
            0x01 => self.unsigned(),
            0x02 => self.read::<u16>().into(),
            0x03 => self.read::<u32>() as usize,
            0x04 | 0x0c => self.read::<u64>() as usize,
            0x09 => self.signed() as usize,
            0x0a => self.read::<i16>() as usize,
            0x0b => self.read::<i32>() as usize,
            _ => return None,
        };
        let value = match encoding & 0x70 {
            0 => value,
            RELATIVE_TO_PLACE => place.wrapping_add(value),
            RELATIVE_TO_HEADER => header.wrapping_add(value),
            _ => return None,
        };
        if encoding & INDIRECT != 0 {
            // SAFETY: such a value is the address of a pointer that the loader fills.
            return Some(unsafe { Cursor::at(value) }.read());
        }
        Some(value)
    }
}

/// What the tables say about one function.
pub struct Function {
    /// Its first address.
    pub start: usize,
    /// Rules common to many functions, and where they end,
    pub common: (Cursor, usize),
    /// and its own.
    pub own: (Cursor, usize),
    /// Factors of the numbers in the rules.
    pub code_factor: usize,
    pub data_factor: isize,
    /// The register that holds the return address.
    pub return_register: usize,
    /// It is the frame that the kernel made for a signal handler.
    pub is_signal_frame: bool,
}

/// The function around `pc`, if its object has tables.
pub fn function_at(pc: usize) -> Option<Function> {
    let header = header_for(pc)?;
    // SAFETY: the loader says that this is the object's `.eh_frame_hdr`.
    let mut at = unsafe { Cursor::at(header) };
    let [version, frame_encoding, count_encoding, table_encoding]: [u8; 4] = at.read();
    if version != 1 || table_encoding != TABLE_ENCODING {
        return None;
    }
    at.pointer(frame_encoding, header)?;
    let count = at.pointer(count_encoding, header)?;
    let entry = |index: usize| {
        let mut at = at;
        at.skip(8 * index);
        let [start, fde]: [i32; 2] = at.read();
        (header.wrapping_add(start as usize), header.wrapping_add(fde as usize))
    };
    // The last entry that begins at or below `pc`.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if entry(middle).0 <= pc { low = middle + 1 } else { high = middle }
    }
    // SAFETY: the table leads to descriptions in the same object.
    let fde = unsafe { Cursor::at(entry(low.checked_sub(1)?).1) };
    read_function(fde, header)
        .filter(|&(ref function, bytes)| pc.wrapping_sub(function.start) < bytes)
        .map(|f| f.0)
}

/// The length of an entry, and the cursor behind it; None for the end mark and for the 64-bit form, which nobody writes.
fn entry_end(at: &mut Cursor) -> Option<usize> {
    match at.read::<u32>() {
        0 | u32::MAX => None,
        length => Some(at.address() + length as usize),
    }
}

/// A function's description, and its length in bytes.
fn read_function(mut at: Cursor, header: usize) -> Option<(Function, usize)> {
    let own_end = entry_end(&mut at)?;
    let place = at.address();
    let back = at.read::<u32>() as usize;
    // SAFETY: the field says how far behind its own place the common entry begins.
    let mut common = unsafe { Cursor::at(place - back) };
    let common_end = entry_end(&mut common)?;
    common.skip(4);
    let version: u8 = common.read();
    let mut letters = common;
    while common.read::<u8>() != 0 {}
    if version == 4 {
        // Sizes of addresses and segments.
        common.skip(2);
    }
    let code_factor = common.unsigned();
    let data_factor = common.signed();
    let return_register = if version == 1 { common.read::<u8>().into() } else { common.unsigned() };
    let (mut encoding, mut is_signal_frame, mut is_sized) = (0, false, false);
    let mut rules = common;
    loop {
        match letters.read::<u8>() {
            0 => break,
            b'z' => {
                let bytes = common.unsigned();
                rules = common;
                rules.skip(bytes);
                is_sized = true;
            }
            b'R' => encoding = common.read(),
            b'L' => common.skip(1),
            b'P' => {
                let of_routine: u8 = common.read();
                common.pointer(of_routine & !INDIRECT, header)?;
            }
            b'S' => is_signal_frame = true,
            // The key that signs return addresses.
            b'B' => {}
            _ => return None,
        }
    }
    if !is_sized {
        rules = common;
    }
    let start = at.pointer(encoding, header)?;
    // The length has the same form and is relative to nothing.
    let bytes = at.pointer(encoding & 0x0f, header)?;
    if is_sized {
        let more = at.unsigned();
        at.skip(more);
    }
    let function = Function {
        start,
        common: (rules, common_end),
        own: (at, own_end),
        code_factor,
        data_factor,
        return_register,
        is_signal_frame,
    };
    Some((function, bytes))
}

/// glibc's `struct dl_find_object`.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: usize,
    eh_frame: usize,
    reserved: [u64; 7],
}

/// The object's `.eh_frame_hdr`.
fn header_for(pc: usize) -> Option<usize> {
    // glibc 2.35 and later: takes no lock.
    type Find = unsafe extern "C" fn(usize, *mut Found) -> c_int;
    // SAFETY: the type of the function of that name; null is None.
    let find: Option<Find> = unsafe { core::mem::transmute(weak!("_dl_find_object")) };
    if let Some(find) = find {
        let mut found = MaybeUninit::<Found>::zeroed();
        // SAFETY: the record is writable and has the room that the function's documentation asks for.
        return unsafe {
            if find(pc, found.as_mut_ptr()) != 0 {
                return None;
            }
            Some(found.assume_init().eh_frame).filter(|&header| header != 0)
        };
    }
    let mut search = Search { pc, header: 0 };
    // SAFETY: `look` uses the record only during the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    Some(search.header).filter(|&header| header != 0)
}

struct Search {
    pc: usize,
    header: usize,
}

/// Looks whether an object holds the address; 1 ends the search.
unsafe extern "C" fn look(object: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: the record of `header_for`, and what the loader says about an object.
    let (search, object) = unsafe { (&mut *search.cast::<Search>(), &*object) };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: that many program headers are there.
    let parts = unsafe { core::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    let base = object.dlpi_addr as usize;
    let begin = |part: &libc::Elf64_Phdr| base.wrapping_add(part.p_vaddr as usize);
    let holds = |part: &libc::Elf64_Phdr| {
        part.p_type == libc::PT_LOAD && search.pc.wrapping_sub(begin(part)) < part.p_memsz as usize
    };
    if !parts.iter().any(holds) {
        return 0;
    }
    search.header = parts.iter().find(|part| part.p_type == libc::PT_GNU_EH_FRAME).map_or(0, begin);
    1
}
