//! A natural number of any length: one block of the C heap, freed when the number is dropped.
//!
//! ```text
//! the block:  | length: u32 | capacity: u32 | limb 0 (lowest) | limb 1 | ... |     limbs are u32
//! ```
//!
//! `length <= capacity`, and the highest limb that counts is not zero (so zero has no limb). Nothing is changed in
//! place: each operation gives a new number, and so a new block, as in the library of the original cfrac.

use std::cmp::Ordering;
use std::ptr::NonNull;

use crate::heap::{Block, Heap};

#[repr(C)]
struct Header {
    length: u32,
    capacity: u32,
}

/// A number; see the module.
pub struct Number<'h> {
    heap: &'h Heap,
    at: NonNull<Header>,
}

impl Drop for Number<'_> {
    fn drop(&mut self) {
        // SAFETY: `zeroed` got this block and a number is the only holder of it, until now.
        self.heap.free(unsafe { Block::at(self.at.cast()) });
    }
}

impl<'h> Number<'h> {
    /// `capacity` limbs, all of them zero and all of them counted: for an operation to fill in, and to `trim`.
    fn zeroed(heap: &'h Heap, capacity: usize) -> Number<'h> {
        let block = heap.alloc(size_of::<Header>() + capacity * size_of::<u32>());
        let at: NonNull<Header> = block.address().cast();
        let length = u32::try_from(capacity).expect("numbers are far shorter than that");
        // SAFETY: the block has room for the header and the limbs, and malloc aligns to 16.
        unsafe {
            at.write(Header { length, capacity: length });
            at.add(1).cast::<u32>().write_bytes(0, capacity);
        }
        Number { heap, at }
    }

    fn limbs(&self) -> &[u32] {
        // SAFETY: the header is initialised, `length` limbs behind it are too, and nobody writes while it is borrowed.
        unsafe {
            let length = self.at.as_ref().length as usize;
            std::slice::from_raw_parts(self.at.add(1).cast().as_ptr(), length)
        }
    }

    fn limbs_mut(&mut self) -> &mut [u32] {
        // SAFETY: as for `limbs`; the number is borrowed for writing.
        unsafe {
            let length = self.at.as_ref().length as usize;
            std::slice::from_raw_parts_mut(self.at.add(1).cast().as_ptr(), length)
        }
    }

    /// Forgets the zeros at the top.
    fn trim(mut self) -> Number<'h> {
        let length = self.limbs().iter().rposition(|&limb| limb != 0).map_or(0, |top| top + 1);
        // SAFETY: the header is initialised and this is its only holder; the length only shrinks.
        let header = unsafe { self.at.as_mut() };
        debug_assert!(length as u32 <= header.capacity);
        header.length = length as u32;
        self
    }

    pub fn new(heap: &'h Heap, value: u64) -> Number<'h> {
        let mut new = Number::zeroed(heap, 2);
        new.limbs_mut().copy_from_slice(&[value as u32, (value >> 32) as u32]);
        new.trim()
    }

    /// The number that the decimal digits say; nothing if one of them is none.
    pub fn parse(heap: &'h Heap, digits: &str) -> Option<Number<'h>> {
        let ten = Number::new(heap, 10);
        digits.chars().try_fold(Number::new(heap, 0), |sum, digit| {
            let digit = Number::new(heap, u64::from(digit.to_digit(10)?));
            Some(sum.times(&ten).plus(&digit))
        })
    }

    pub fn is_zero(&self) -> bool {
        self.limbs().is_empty()
    }

    pub fn is_one(&self) -> bool {
        self.limbs() == [1]
    }

    pub fn bits(&self) -> u32 {
        self.limbs().last().map_or(0, |top| self.limbs().len() as u32 * 32 - top.leading_zeros())
    }

    pub fn compare(&self, other: &Number) -> Ordering {
        let (one, two) = (self.limbs(), other.limbs());
        one.len().cmp(&two.len()).then_with(|| one.iter().rev().cmp(two.iter().rev()))
    }

    pub fn plus(&self, other: &Number) -> Number<'h> {
        let (one, two) = (self.limbs(), other.limbs());
        let mut sum = Number::zeroed(self.heap, one.len().max(two.len()) + 1);
        let mut carry = 0u64;
        for (at, limb) in sum.limbs_mut().iter_mut().enumerate() {
            carry += u64::from(*one.get(at).unwrap_or(&0)) + u64::from(*two.get(at).unwrap_or(&0));
            *limb = carry as u32;
            carry >>= 32;
        }
        sum.trim()
    }

    /// This number less a smaller one.
    pub fn minus(&self, other: &Number) -> Number<'h> {
        let (one, two) = (self.limbs(), other.limbs());
        let mut rest = Number::zeroed(self.heap, one.len());
        let mut borrow = false;
        for (at, limb) in rest.limbs_mut().iter_mut().enumerate() {
            let (value, first) = one[at].overflowing_sub(*two.get(at).unwrap_or(&0));
            let (value, second) = value.overflowing_sub(u32::from(borrow));
            *limb = value;
            borrow = first || second;
        }
        assert!(!borrow && two.len() <= one.len(), "the number taken away is the larger one");
        rest.trim()
    }

    pub fn times(&self, other: &Number) -> Number<'h> {
        let (one, two) = (self.limbs(), other.limbs());
        let mut product = Number::zeroed(self.heap, one.len() + two.len());
        let limbs = product.limbs_mut();
        for (at, &left) in one.iter().enumerate() {
            let mut carry = 0u64;
            for (limb, &right) in limbs[at..].iter_mut().zip(two) {
                carry += u64::from(*limb) + u64::from(left) * u64::from(right);
                *limb = carry as u32;
                carry >>= 32;
            }
            limbs[at + two.len()] = carry as u32;
        }
        product.trim()
    }

    /// Quotient and remainder by a number of one limb.
    pub fn divide_small(&self, divisor: u32) -> (Number<'h>, u32) {
        let mut quotient = Number::zeroed(self.heap, self.limbs().len());
        let mut rest = 0u64;
        for (to, &from) in quotient.limbs_mut().iter_mut().zip(self.limbs()).rev() {
            let part = rest << 32 | u64::from(from);
            *to = (part / u64::from(divisor)) as u32;
            rest = part % u64::from(divisor);
        }
        (quotient.trim(), rest as u32)
    }

    /// This number times 2 to the `shift` (below 32), with a limb more than it has, not trimmed.
    fn shifted_left(&self, shift: u32) -> Number<'h> {
        let mut new = Number::zeroed(self.heap, self.limbs().len() + 1);
        let mut carry = 0u64;
        for (at, to) in new.limbs_mut().iter_mut().enumerate() {
            carry |= u64::from(*self.limbs().get(at).unwrap_or(&0)) << shift;
            *to = carry as u32;
            carry >>= 32;
        }
        new
    }

    /// Quotient and remainder, by long division with estimated digits (Knuth, volume 2, algorithm D).
    pub fn divide(&self, divisor: &Number<'h>) -> (Number<'h>, Number<'h>) {
        let digits = divisor.limbs().len();
        if digits < 2 {
            let (quotient, rest) = self.divide_small(divisor.limbs()[0]);
            return (quotient, Number::new(self.heap, u64::from(rest)));
        }
        if self.compare(divisor) == Ordering::Less {
            return (Number::new(self.heap, 0), self.shifted_left(0).trim());
        }
        // The divisor's top bit is set, so that its two top limbs estimate a digit to within one.
        let shift = divisor.limbs()[digits - 1].leading_zeros();
        let divisor = divisor.shifted_left(shift).trim();
        let by = divisor.limbs();
        let mut rest = self.shifted_left(shift);
        let mut quotient = Number::zeroed(self.heap, self.limbs().len() - digits + 1);
        for (at, digit) in quotient.limbs_mut().iter_mut().enumerate().rev() {
            *digit = quotient_digit(&mut rest.limbs_mut()[at..=at + digits], by);
        }
        // The remainder back to its scale: shifted left by the rest of a limb, and a limb dropped.
        if shift == 0 {
            return (quotient.trim(), rest.trim());
        }
        let mut scaled = rest.trim().shifted_left(32 - shift);
        scaled.limbs_mut().rotate_left(1);
        if let Some(dropped) = scaled.limbs_mut().last_mut() {
            *dropped = 0;
        }
        (quotient.trim(), scaled.trim())
    }

    /// The largest number whose square is not larger, by Newton's method from above.
    pub fn square_root(&self) -> Number<'h> {
        let mut root = Number::new(self.heap, 1);
        let two = Number::new(self.heap, 2);
        for _ in 0..self.bits().div_ceil(2) {
            root = root.times(&two);
        }
        loop {
            let (next, _) = root.plus(&self.divide(&root).0).divide_small(2);
            if next.compare(&root) != Ordering::Less {
                return root;
            }
            root = next;
        }
    }

    /// The greatest common divisor, by Euclid.
    pub fn common_divisor(self, other: Number<'h>) -> Number<'h> {
        let (mut one, mut two) = (self, other);
        while !two.is_zero() {
            let (_, rest) = one.divide(&two);
            (one, two) = (two, rest);
        }
        one
    }
}

/// One digit of a quotient: what `rest` (one limb longer than `by`) still holds of `by` is taken off it.
fn quotient_digit(rest: &mut [u32], by: &[u32]) -> u32 {
    let digits = by.len();
    let top = u64::from(rest[digits]) << 32 | u64::from(rest[digits - 1]);
    let first = u64::from(by[digits - 1]);
    let (mut digit, mut left) = (top / first, top % first);
    while digit >> 32 != 0 || digit * u64::from(by[digits - 2]) > (left << 32 | u64::from(rest[digits - 2])) {
        digit -= 1;
        left += first;
        if left >> 32 != 0 {
            break;
        }
    }
    let (mut carry, mut borrow) = (0u64, 0i64);
    for (limb, &part) in rest.iter_mut().zip(by) {
        carry += digit * u64::from(part);
        let value = i64::from(*limb) - borrow - i64::from(carry as u32);
        carry >>= 32;
        *limb = value as u32;
        borrow = i64::from(value < 0);
    }
    let value = i64::from(rest[digits]) - borrow - carry as i64;
    rest[digits] = value as u32;
    if value < 0 {
        // The estimate was one too high, which happens once in two thousand million times.
        digit -= 1;
        let mut carry = 0u64;
        for (limb, &part) in rest.iter_mut().zip(by.iter().chain(std::iter::once(&0))) {
            carry += u64::from(*limb) + u64::from(part);
            *limb = carry as u32;
            carry >>= 32;
        }
    }
    digit as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn number(heap: &Heap, value: u128) -> Number<'_> {
        let high = Number::new(heap, (value >> 64) as u64);
        let two_to_32 = Number::new(heap, 1 << 32);
        high.times(&two_to_32).times(&two_to_32).plus(&Number::new(heap, value as u64))
    }

    fn value(number: &Number) -> u128 {
        assert!(number.bits() <= 128);
        number.limbs().iter().rev().fold(0, |sum, &limb| sum << 32 | u128::from(limb))
    }

    #[test]
    fn agrees_with_the_machine_on_numbers_that_it_has() {
        let heap = Heap::of_this_process();
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let mut draw = || {
                let value = u128::from(random.bits()) << 64 | u128::from(random.bits());
                // Limbs of all ones and zeros are where estimates of digits go wrong.
                let edge = [0, u128::MAX, u128::MAX << 32, u128::MAX >> 33][random.below(4)];
                (if random.below(3) == 0 { edge ^ (value >> 120) } else { value }) >> random.below(128)
            };
            let (one, two) = (draw(), draw());
            let (a, b) = (number(&heap, one), number(&heap, two));
            assert_eq!(a.compare(&b), one.cmp(&two));
            assert_eq!(
                value(&number(&heap, one.max(two)).minus(&number(&heap, one.min(two)))),
                one.abs_diff(two)
            );
            if let Some(sum) = one.checked_add(two) {
                assert_eq!(value(&a.plus(&b)), sum);
            }
            if let Some(product) = one.checked_mul(two) {
                assert_eq!(value(&a.times(&b)), product);
            }
            if let (Some(expected), Some(left)) = (one.checked_div(two), one.checked_rem(two)) {
                let (quotient, rest) = a.divide(&b);
                assert_eq!((value(&quotient), value(&rest)), (expected, left), "{one} / {two}");
            }
            if one != 0 {
                assert_eq!(value(&a.square_root()), one.isqrt());
            }
        }
    }

    #[test]
    fn reads_decimal_digits() {
        let heap = Heap::of_this_process();
        let digits = "340282366920938463463374607431768211455";
        assert_eq!(Number::parse(&heap, digits).map(|number| value(&number)), Some(u128::MAX));
        assert!(Number::parse(&heap, "12a").is_none());
        let (twelve, eighteen) = (Number::new(&heap, 12), Number::new(&heap, 18));
        assert_eq!(value(&twelve.common_divisor(eighteen)), 6);
    }
}
