//! The rules by which a caller's registers are found again: a small program for each function (DWARF 4, section 6.4.2).

use super::registers::{COUNT, Registers};
use super::tables::{Cursor, Function};

/// How a register of the caller is found. The frame address (CFA) is what the caller's stack pointer was.
#[derive(Clone, Copy)]
enum Rule {
    /// It was not changed.
    Same,
    /// It is lost.
    Lost,
    /// In memory, so far from the frame address.
    At(isize),
    /// It is the frame address plus this.
    Is(isize),
    /// In another register.
    In(usize),
    /// In memory, at the address that an expression gives.
    AtExpression(Cursor),
    /// It is what an expression gives.
    IsExpression(Cursor),
}

/// How the frame address is found.
#[derive(Clone, Copy)]
enum Frame {
    /// A register plus this.
    Register(usize, isize),
    Expression(Cursor),
}

/// All rules at one address.
#[derive(Clone, Copy)]
struct Row {
    frame: Frame,
    rules: [Rule; COUNT],
}

/// Rows that a program can put aside. Compilers use one.
const ASIDE_MAX: usize = 2;

struct Machine<'a> {
    function: &'a Function,
    /// The address whose rules are wanted, and the one that the rules read so far hold up to.
    pc: usize,
    at: usize,
    row: Row,
    /// The row that the common rules made.
    initial: Row,
    aside: [Row; ASIDE_MAX],
    aside_count: usize,
}

/// The registers of the caller, with its `pc`; None at the end of the stack, or where the tables don't lead on.
pub fn caller(function: &Function, pc: usize, registers: &Registers) -> Option<Registers> {
    let empty = Row { frame: Frame::Register(0, 0), rules: [Rule::Same; COUNT] };
    let mut machine = Machine {
        function,
        pc,
        at: function.start,
        row: empty,
        initial: empty,
        aside: [empty; ASIDE_MAX],
        aside_count: 0,
    };
    machine.run(function.common)?;
    machine.initial = machine.row;
    machine.run(function.own)?;
    let row = &machine.row;
    let frame = match row.frame {
        Frame::Register(register, offset) => registers.get(register)?.wrapping_add_signed(offset),
        Frame::Expression(at) => evaluate(at, registers, None)?,
    };
    let mut caller = *registers;
    caller.set_stack(frame);
    for (register, &rule) in row.rules.iter().enumerate() {
        let value = match rule {
            Rule::Same => continue,
            Rule::Lost if register == function.return_register => return None,
            Rule::Lost => 0,
            Rule::At(offset) => load(frame.wrapping_add_signed(offset))?,
            Rule::Is(offset) => frame.wrapping_add_signed(offset),
            Rule::In(other) => registers.get(other)?,
            Rule::AtExpression(at) => load(evaluate(at, registers, Some(frame))?)?,
            Rule::IsExpression(at) => evaluate(at, registers, Some(frame))?,
        };
        caller.set(register, value);
    }
    caller.return_to(function.return_register)?;
    Some(caller)
}

/// A word of the stack. None for what can't be one.
fn load(address: usize) -> Option<usize> {
    if address < 4096 {
        return None;
    }
    // SAFETY: the tables say that the function saved a register here, on a stack that is in use.
    Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_unaligned() })
}

impl Machine<'_> {
    /// Runs rules until they are over or hold for addresses behind `pc` only. None if one is unknown.
    fn run(&mut self, (mut at, end): (Cursor, usize)) -> Option<()> {
        while at.address() < end {
            let code: u8 = at.read();
            let low = usize::from(code & 0x3f);
            match code >> 6 {
                1 => {
                    if !self.advance(low) {
                        return Some(());
                    }
                    continue;
                }
                2 => {
                    let offset = self.scaled(at.unsigned() as isize);
                    self.set(low, Rule::At(offset));
                    continue;
                }
                3 => {
                    self.restore(low);
                    continue;
                }
                _ => {}
            }
            match code {
                // Nothing; and GNU's size of arguments.
                0x00 => {}
                0x2e => _ = at.unsigned(),
                0x02..=0x04 => {
                    let by = match code {
                        0x02 => at.read::<u8>().into(),
                        0x03 => at.read::<u16>().into(),
                        _ => at.read::<u32>() as usize,
                    };
                    if !self.advance(by) {
                        return Some(());
                    }
                }
                0x05 => self.with(&mut at, |m, at| Rule::At(m.scaled(at.unsigned() as isize))),
                0x11 => self.with(&mut at, |m, at| Rule::At(m.scaled(at.signed()))),
                0x14 => self.with(&mut at, |m, at| Rule::Is(m.scaled(at.unsigned() as isize))),
                0x15 => self.with(&mut at, |m, at| Rule::Is(m.scaled(at.signed()))),
                0x2f => self.with(&mut at, |m, at| Rule::At(m.scaled(-(at.unsigned() as isize)))),
                0x06 => {
                    let register = at.unsigned();
                    self.restore(register);
                }
                0x07 => self.with(&mut at, |_, _| Rule::Lost),
                0x08 => self.with(&mut at, |_, _| Rule::Same),
                0x09 => self.with(&mut at, |_, at| Rule::In(at.unsigned())),
                0x0a => {
                    *self.aside.get_mut(self.aside_count)? = self.row;
                    self.aside_count += 1;
                }
                0x0b => {
                    self.aside_count = self.aside_count.checked_sub(1)?;
                    self.row = self.aside[self.aside_count];
                }
                0x0c => self.row.frame = Frame::Register(at.unsigned(), at.unsigned() as isize),
                0x12 => {
                    let register = at.unsigned();
                    self.row.frame = Frame::Register(register, self.scaled(at.signed()));
                }
                0x0d => {
                    let Frame::Register(_, offset) = self.row.frame else { return None };
                    self.row.frame = Frame::Register(at.unsigned(), offset);
                }
                0x0e | 0x13 => {
                    let Frame::Register(register, _) = self.row.frame else { return None };
                    let offset = if code == 0x0e { at.unsigned() as isize } else { self.scaled(at.signed()) };
                    self.row.frame = Frame::Register(register, offset);
                }
                0x0f => {
                    self.row.frame = Frame::Expression(at);
                    skip_block(&mut at);
                }
                0x10 => self.with(&mut at, |_, at| {
                    let block = *at;
                    skip_block(at);
                    Rule::AtExpression(block)
                }),
                0x16 => self.with(&mut at, |_, at| {
                    let block = *at;
                    skip_block(at);
                    Rule::IsExpression(block)
                }),
                // aarch64: whether the return address is signed; `return_to` takes the signature off in any case.
                0x2d => {}
                _ => return None,
            }
        }
        Some(())
    }

    /// Steps to a later address; false if that is behind the wanted one.
    fn advance(&mut self, by: usize) -> bool {
        self.at = self.at.wrapping_add(by * self.function.code_factor);
        self.at <= self.pc
    }

    fn scaled(&self, offset: isize) -> isize {
        offset.wrapping_mul(self.function.data_factor)
    }

    /// Reads a register's number and makes its rule.
    fn with(&mut self, at: &mut Cursor, rule: impl FnOnce(&Self, &mut Cursor) -> Rule) {
        let register = at.unsigned();
        let rule = rule(self, at);
        self.set(register, rule);
    }

    /// Registers that we don't follow (of vectors, flags) need no rules.
    fn set(&mut self, register: usize, rule: Rule) {
        if let Some(place) = self.row.rules.get_mut(register) {
            *place = rule;
        }
    }

    fn restore(&mut self, register: usize) {
        if let Some(&rule) = self.initial.rules.get(register) {
            self.set(register, rule);
        }
    }
}

fn skip_block(at: &mut Cursor) {
    let bytes = at.unsigned();
    at.skip(bytes);
}

/// Values that an expression can have on its stack.
const DEPTH_MAX: usize = 8;

/// Evaluates an expression; None for operations that no unwind table uses.
fn evaluate(mut at: Cursor, registers: &Registers, first: Option<usize>) -> Option<usize> {
    let mut stack = Values { values: [0; DEPTH_MAX], count: 0 };
    if let Some(first) = first {
        stack.push(first)?;
    }
    let bytes = at.unsigned();
    let end = at.address() + bytes;
    while at.address() < end {
        let code: u8 = at.read();
        let value = match code {
            0x03 => at.read::<usize>(),
            0x06 => load(stack.pop()?)?,
            0x08 => at.read::<u8>().into(),
            0x09 => at.read::<i8>() as usize,
            0x0a => at.read::<u16>().into(),
            0x0b => at.read::<i16>() as usize,
            0x0c => at.read::<u32>() as usize,
            0x0d => at.read::<i32>() as usize,
            0x0e | 0x0f => at.read::<u64>() as usize,
            0x10 => at.unsigned(),
            0x11 => at.signed() as usize,
            0x12 => {
                let top = stack.pop()?;
                stack.push(top)?;
                top
            }
            0x13 => {
                stack.pop()?;
                continue;
            }
            0x1a | 0x1c | 0x21 | 0x22 | 0x24 | 0x25 | 0x29..=0x2e => {
                let right = stack.pop()?;
                let left = stack.pop()?;
                let (l, r) = (left as isize, right as isize);
                match code {
                    0x1a => left & right,
                    0x1c => left.wrapping_sub(right),
                    0x21 => left | right,
                    0x22 => left.wrapping_add(right),
                    0x24 => left.checked_shl(right as u32).unwrap_or(0),
                    0x25 => left.checked_shr(right as u32).unwrap_or(0),
                    0x29 => (l == r).into(),
                    0x2a => (l >= r).into(),
                    0x2b => (l > r).into(),
                    0x2c => (l <= r).into(),
                    0x2d => (l < r).into(),
                    _ => (l != r).into(),
                }
            }
            0x23 => stack.pop()?.wrapping_add(at.unsigned()),
            0x30..=0x4f => usize::from(code - 0x30),
            0x70..=0x8f => registers.get(usize::from(code - 0x70))?.wrapping_add_signed(at.signed()),
            _ => return None,
        };
        stack.push(value)?;
    }
    stack.pop()
}

struct Values {
    values: [usize; DEPTH_MAX],
    count: usize,
}

impl Values {
    fn push(&mut self, value: usize) -> Option<()> {
        *self.values.get_mut(self.count)? = value;
        self.count += 1;
        Some(())
    }

    fn pop(&mut self) -> Option<usize> {
        self.count = self.count.checked_sub(1)?;
        Some(self.values[self.count])
    }
}
