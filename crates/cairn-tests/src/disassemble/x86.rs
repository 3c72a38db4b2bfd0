//! One x86-64 instruction: decoded by `iced-x86`, reduced to an [`Instruction`].
//!
//! Addresses relative to the instruction pointer differ in every build, so they are printed by name: the symbol
//! that holds the address, or else its section (`[rip+.got]`).

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, InstructionInfoFactory, IntelFormatter, Mnemonic,
    OpAccess, OpKind,
};

use super::{Code, Flow, Instruction, Place};

/// Decodes the first instruction of `bytes`, which lie at `address`; `code` names addresses of data.
pub fn decode(bytes: &[u8], address: u64, code: &dyn Code) -> Result<Instruction, String> {
    let raw = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    if raw.is_invalid() {
        let head = &bytes[..bytes.len().min(8)];
        return Err(format!("the bytes {head:02x?} at {address:#x} are no x86-64 instruction"));
    }
    let flow = flow(&raw);
    let (loads, stores) = memory(&raw, &flow);
    let touches_memory = loads + stores > 0;
    let (mnemonic, operands) = text(&raw, &flow, code);
    Ok(Instruction {
        address,
        length: raw.len() as u64,
        mnemonic,
        operands,
        flow,
        loads,
        stores,
        // `xchg` with memory is indivisible even without the prefix.
        atomic: raw.has_lock_prefix() || (raw.mnemonic() == Mnemonic::Xchg && touches_memory),
    })
}

fn flow(raw: &iced_x86::Instruction) -> Flow {
    match raw.flow_control() {
        FlowControl::Next => Flow::Next,
        FlowControl::ConditionalBranch => Flow::Branch(raw.near_branch_target()),
        FlowControl::UnconditionalBranch => Flow::Jump(raw.near_branch_target()),
        FlowControl::IndirectBranch => Flow::JumpIndirect(place(raw)),
        FlowControl::Call => Flow::Call(Place::Known(raw.near_branch_target())),
        FlowControl::IndirectCall => Flow::Call(place(raw)),
        FlowControl::Return => Flow::Return,
        // A system call is no part of a fast path, and what it does is known to nobody here: like a call.
        FlowControl::XbeginXabortXend => Flow::Call(Place::Computed),
        FlowControl::Interrupt if raw.mnemonic() == Mnemonic::Int => Flow::Call(Place::Computed),
        FlowControl::Interrupt | FlowControl::Exception => Flow::Trap,
    }
}

fn place(raw: &iced_x86::Instruction) -> Place {
    if raw.op0_kind() == OpKind::Memory && raw.is_ip_rel_memory_operand() {
        Place::Slot(raw.ip_rel_memory_address())
    } else {
        Place::Computed
    }
}

/// Counts the reads and writes of memory.
fn memory(raw: &iced_x86::Instruction, flow: &Flow) -> (u32, u32) {
    if *flow == Flow::Return {
        return (0, 0);
    }
    let mut factory = InstructionInfoFactory::new();
    let mut loads = 0;
    let mut stores = 0;
    for used in factory.info(raw).used_memory() {
        match used.access() {
            OpAccess::Read | OpAccess::CondRead => loads += 1,
            OpAccess::Write | OpAccess::CondWrite => stores += 1,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                loads += 1;
                stores += 1;
            }
            OpAccess::None | OpAccess::NoMemAccess => {}
        }
    }
    if let Flow::Call(_) = flow {
        stores = 0;
    }
    (loads, stores)
}

/// Verb and operands; no operands where the listing tells the target in words.
fn text(raw: &iced_x86::Instruction, flow: &Flow, code: &dyn Code) -> (String, String) {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_uppercase_hex(false);
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut mnemonic = String::new();
    formatter.format_mnemonic(raw, &mut mnemonic);
    let told_in_words = matches!(flow, Flow::Branch(_) | Flow::Jump(_) | Flow::Call(Place::Known(_)));
    let mut operands = String::new();
    if !told_in_words {
        formatter.format_all_operands(raw, &mut operands);
    }
    if !told_in_words && raw.is_ip_rel_memory_operand() {
        let data = raw.ip_rel_memory_address();
        let name = if raw.mnemonic() == Mnemonic::Lea { code.name_of(data) } else { code.meaning_of(data) };
        operands = name_rip_operand(&operands, &name);
    }
    (mnemonic, operands)
}

/// `mov rax, [rip+0x2f31]` → `mov rax, [rip+.got]`.
fn name_rip_operand(operands: &str, name: &str) -> String {
    let Some(from) = operands.find("[rip") else { return operands.to_string() };
    let Some(length) = operands[from..].find(']') else { return operands.to_string() };
    format!("{}[rip+{name}{}", &operands[..from], &operands[from + length..])
}
