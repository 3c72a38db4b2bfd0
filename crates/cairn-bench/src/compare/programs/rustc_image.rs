//! Takes malloc out of what an executable offers to its libraries.
//!
//! A symbol of the executable comes before one of a preloaded library. An entry of the dynamic symbol table whose section is
//! "undefined" and whose value is zero is passed over by the dynamic loader, which then finds the next library that has it:
//!
//! ```text
//!   Elf64_Sym   name u32 | info u8 | other u8 | section u16 | value u64 | size u64        24 bytes
//!                                               └──── 0 ────┴──── 0 ───┘
//! ```
//!
//! Only x86-64 and other 64-bit little-endian images are understood. One without such symbols stays as it is.

use anyhow::{Context, ensure};

/// The functions that an allocator exports.
const FUNCTIONS: &[&[u8]] = &[
    b"malloc",
    b"free",
    b"calloc",
    b"realloc",
    b"memalign",
    b"aligned_alloc",
    b"posix_memalign",
    b"valloc",
    b"pvalloc",
    b"malloc_usable_size",
];

const SECTION_TABLE: usize = 0x28;
const SECTION_SIZE_AND_COUNT: usize = 0x3a;
const DYNAMIC_SYMBOLS: u32 = 11;
const SYMBOL: usize = 24;

/// Makes each of the allocator's functions undefined, and says how many there were.
pub fn withdraw_malloc(image: &mut [u8]) -> anyhow::Result<usize> {
    ensure!(image.starts_with(b"\x7fELF\x02\x01"), "it is not a 64-bit little-endian ELF file");
    let sections = long(image, SECTION_TABLE)?;
    let size = half(image, SECTION_SIZE_AND_COUNT)?;
    let count = half(image, SECTION_SIZE_AND_COUNT + 2)?;
    let mut withdrawn = 0;
    for section in (0..count).map(|index| sections + index * size) {
        if word(image, section + 4)? != DYNAMIC_SYMBOLS {
            continue;
        }
        let (table, length) = (long(image, section + 24)?, long(image, section + 32)?);
        let strings = long(image, sections + word(image, section + 40)? as usize * size + 24)?;
        for symbol in (table..table + length).step_by(SYMBOL) {
            let name = image.get(strings + word(image, symbol)? as usize..).context("a name is outside")?;
            let end = name.iter().position(|&byte| byte == 0).context("a name has no end")?;
            if FUNCTIONS.contains(&&name[..end]) && half(image, symbol + 6)? != 0 {
                image.get_mut(symbol + 6..symbol + 16).context("a symbol is outside")?.fill(0);
                withdrawn += 1;
            }
        }
    }
    Ok(withdrawn)
}

fn bytes<const N: usize>(image: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    let field = image.get(at..).and_then(|rest| rest.first_chunk()).context("it ends too early")?;
    Ok(*field)
}

fn half(image: &[u8], at: usize) -> anyhow::Result<usize> {
    Ok(usize::from(u16::from_le_bytes(bytes(image, at)?)))
}

fn word(image: &[u8], at: usize) -> anyhow::Result<u32> {
    Ok(u32::from_le_bytes(bytes(image, at)?))
}

fn long(image: &[u8], at: usize) -> anyhow::Result<usize> {
    Ok(u64::from_le_bytes(bytes(image, at)?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of two sections: symbols (malloc, printf; both defined) and their names.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 400];
        image[..6].copy_from_slice(b"\x7fELF\x02\x01");
        image[0x28] = 64;
        image[0x3a] = 64;
        image[0x3c] = 2;
        (image[64 + 4], image[64 + 24], image[64 + 32], image[64 + 40]) = (11, 200, 48, 1);
        image[128 + 24] = 250;
        image[250..265].copy_from_slice(b"\0malloc\0printf\0");
        (image[200], image[206], image[208]) = (1, 12, 99);
        (image[224], image[230], image[232]) = (8, 12, 99);
        image
    }

    #[test]
    fn only_the_allocator_s_functions_become_undefined() {
        let mut image = image();
        assert_eq!(withdraw_malloc(&mut image).unwrap(), 1);
        assert_eq!((image[206], image[208]), (0, 0), "malloc");
        assert_eq!((image[230], image[232]), (12, 99), "printf");
        assert_eq!(withdraw_malloc(&mut image).unwrap(), 0, "a second time there is none");
    }

    #[test]
    fn what_is_no_whole_image_is_refused() {
        assert!(withdraw_malloc(&mut []).is_err());
        assert!(withdraw_malloc(&mut vec![0; 400]).is_err());
        let whole = image();
        assert!(withdraw_malloc(&mut whole[..210].to_vec()).is_err());
    }
}
