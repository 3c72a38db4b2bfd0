//! One aarch64 instruction: printed by `yaxpeax-arm`, reduced to an [`Instruction`].
//!
//! Where control goes is read from the instruction word itself, a handful of fixed bit patterns; which memory is
//! touched, from the verb: all loads of this processor begin with `ld`, all stores with `st`, and the few
//! exceptions are atomic. A pair (`ldp`, `stp`) is one access, as it is one for the processor.

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

use super::{Flow, Instruction, Place};

/// Decodes the first instruction of `bytes`, which lie at `address`.
pub fn decode(bytes: &[u8], address: u64) -> Result<Instruction, String> {
    let Some(Ok(word)) = bytes.get(..4).map(<[u8; 4]>::try_from) else {
        return Err(format!("the code ends in the middle of an instruction at {address:#x}"));
    };
    let bits = u32::from_le_bytes(word);
    let flow = flow(bits, address);
    let text = match InstDecoder::default().decode(&mut U8Reader::new(&word)) {
        Ok(instruction) => instruction.to_string(),
        // The hints (`bti`, `paciasp`, …) are `nop` to processors that don't know them, and to us.
        Err(_) if bits & 0xffff_f01f == 0xd503_201f => "hint".to_string(),
        Err(why) => {
            return Err(format!("the word {bits:#010x} at {address:#x} is no aarch64 instruction: {why}"));
        }
    };
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
    let (loads, stores, atomic) = memory(mnemonic);
    let told_in_words = matches!(flow, Flow::Branch(_) | Flow::Jump(_) | Flow::Call(Place::Known(_)));
    let operands = match &flow {
        // What is compared stays in the text: `cbz x1`, `tbnz w0, #0x3`.
        Flow::Branch(_) => operands.rsplit_once(',').map_or("", |(tested, _)| tested).to_string(),
        _ if told_in_words => String::new(),
        _ => without_page(bits, operands),
    };
    Ok(Instruction {
        address,
        length: 4,
        mnemonic: mnemonic.to_string(),
        operands,
        flow,
        loads,
        stores,
        atomic,
    })
}

/// The signed number in `width` bits of `bits` from bit `from` on, counted in instructions, as an address.
fn target(bits: u32, from: u32, width: u32, address: u64) -> u64 {
    let at_the_top = bits << (32 - from - width);
    let signed = at_the_top as i32 >> (32 - width);
    address.wrapping_add_signed(i64::from(signed) * 4)
}

fn flow(bits: u32, address: u64) -> Flow {
    if bits & 0xfc00_0000 == 0x1400_0000 {
        return Flow::Jump(target(bits, 0, 26, address));
    }
    if bits & 0xfc00_0000 == 0x9400_0000 {
        return Flow::Call(Place::Known(target(bits, 0, 26, address)));
    }
    let branch_on_condition = bits & 0xff00_0000 == 0x5400_0000;
    let compare_and_branch = bits & 0x7e00_0000 == 0x3400_0000;
    if branch_on_condition || compare_and_branch {
        return Flow::Branch(target(bits, 5, 19, address));
    }
    let test_and_branch = bits & 0x7e00_0000 == 0x3600_0000;
    if test_and_branch {
        return Flow::Branch(target(bits, 5, 14, address));
    }
    let by_register = bits & 0xfe00_0000 == 0xd600_0000;
    if by_register {
        return match (bits >> 21) & 0b11 {
            0b00 => Flow::JumpIndirect(Place::Computed),
            0b01 => Flow::Call(Place::Computed),
            _ => Flow::Return,
        };
    }
    let system_call = bits & 0xffe0_001f == 0xd400_0001;
    if system_call {
        return Flow::Call(Place::Computed);
    }
    let undefined = bits & 0xffff_0000 == 0;
    let breakpoint = bits & 0xffe0_0000 == 0xd420_0000;
    if undefined || breakpoint { Flow::Trap } else { Flow::Next }
}

/// Loads, stores, and whether the access is indivisible, by the verb.
fn memory(mnemonic: &str) -> (u32, u32, bool) {
    let starts = |heads: &[&str]| heads.iter().any(|head| mnemonic.starts_with(head));
    let arithmetic = ["add", "clr", "eor", "set", "smax", "smin", "umax", "umin"];
    let reads_and_writes = starts(&["cas", "swp"])
        || arithmetic.iter().any(|verb| starts(&[&format!("ld{verb}"), &format!("st{verb}")]));
    if reads_and_writes {
        return (1, 1, true);
    }
    let exclusive = starts(&["ldxr", "ldxp", "ldaxr", "ldaxp", "stxr", "stxp", "stlxr", "stlxp"]);
    if starts(&["ld"]) {
        (1, 0, exclusive)
    } else if starts(&["st"]) {
        (0, 1, exclusive)
    } else {
        (0, 0, false)
    }
}

/// An address of a page differs in every build: `adrp` is printed without it.
fn without_page(bits: u32, operands: &str) -> String {
    let makes_page_address = bits & 0x9f00_0000 == 0x9000_0000;
    match operands.split_once(',') {
        Some((register, _)) if makes_page_address => format!("{register}, page"),
        _ => operands.to_string(),
    }
}
