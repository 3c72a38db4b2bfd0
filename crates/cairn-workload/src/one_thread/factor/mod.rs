//! Factors a number by continued fractions, each number a small block that is allocated and freed.
//!
//! Models interpreters, symbolic algebra, anything whose values are boxed: after cfrac, the factoriser by which
//! allocators have been compared since Grunwald and Zorn (1992); the method is Morrison and Brillhart's (1975).
//! A step makes some hundred numbers of 16 to 48 bytes, nearly all of them gone before the next step, and a few
//! (the relations) stay. Stresses the fast path on tiny blocks between arithmetic that uses the cache.

mod number;

use std::cmp::Ordering;
use std::time::Instant;

use clap::Args;

use crate::heap::Heap;
use crate::{Outcome, Scale, Workload};
use number::Number;

#[derive(Args)]
pub struct Factor {
    /// The number; it should be odd, have factors, and be no square
    #[arg(long, default_value = "1098080791439279131417405663")]
    number: String,
    /// How many primes the relations are made of
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=2_000))]
    primes: u32,
    /// How often it is factored
    #[arg(long, default_value_t = 10)]
    rounds: u64,
}

/// Relations beyond the number of primes: each one is a further chance that a factor comes out.
const SPARE: usize = 10;

/// A square that is a product of small primes modulo the number: `root² ≡ ±∏ primeᵉ`.
struct Relation<'h> {
    root: Number<'h>,
    /// How often each prime of the base divides; the first entry is the sign.
    exponents: Vec<u8>,
}

/// What is factored, and over which primes.
struct Task<'h> {
    heap: &'h Heap,
    number: Number<'h>,
    primes: Vec<u32>,
}

/// `base` to the `exponent`, modulo a prime.
fn power(base: u64, mut exponent: u64, prime: u64) -> u64 {
    let (mut square, mut result) = (base % prime, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % prime;
        }
        square = square * square % prime;
        exponent >>= 1;
    }
    result
}

impl<'h> Task<'h> {
    /// The base: primes of which the number is a square, since no other one divides what the fraction gives.
    fn new(heap: &'h Heap, number: Number<'h>, wanted: usize) -> Task<'h> {
        let is_prime = |value: &u32| (2..).take_while(|d| d * d <= *value).all(|d| !value.is_multiple_of(d));
        let fits = |prime: &u32| {
            let (prime, rest) = (u64::from(*prime), u64::from(number.divide_small(*prime).1));
            power(rest, (prime - 1) / 2, prime) == 1
        };
        let odd = (3u32..).step_by(2).filter(is_prime).filter(fits);
        let primes = std::iter::once(2).chain(odd).take(wanted).collect();
        Task { heap, number, primes }
    }

    /// The exponents of the primes in `value`, if it is a product of them.
    fn exponents(&self, value: &Number<'h>, negative: bool) -> Option<Vec<u8>> {
        let mut found = [(0u16, 0u8); 64];
        let mut count = 0;
        let mut left = value.divide_small(1).0;
        let bits = value.bits();
        for (at, &prime) in self.primes.iter().enumerate() {
            // Most values are hopeless, and that shows early (Pomerance's early abort).
            if at == self.primes.len() / 4 && left.bits() * 4 > bits * 3 {
                return None;
            }
            let mut times = 0;
            loop {
                let (quotient, rest) = left.divide_small(prime);
                if rest != 0 {
                    break;
                }
                (left, times) = (quotient, times + 1);
            }
            if times > 0 {
                *found.get_mut(count)? = (at as u16, times);
                count += 1;
            }
        }
        if !left.is_one() {
            return None;
        }
        let mut exponents = vec![0; self.primes.len() + 1];
        exponents[0] = u8::from(negative);
        for &(at, times) in &found[..count] {
            exponents[at as usize + 1] = times;
        }
        Some(exponents)
    }

    /// Walks along the continued fraction of the number's square root until a factor is found.
    /// Gives the factor and the number of steps.
    fn factor(&self) -> (Number<'h>, u64) {
        let whole = self.number.square_root();
        // The fraction's state: (whole + offset) / quotient is expanded next; `root` is the numerator of the
        // convergent, for which root² ≡ ± quotient.
        let mut offset = Number::new(self.heap, 0);
        let mut quotient = Number::new(self.heap, 1);
        let mut part = whole.plus(&offset);
        let mut before = Number::new(self.heap, 1);
        let mut root = whole.plus(&offset);
        let mut relations: Vec<Relation> = Vec::new();
        let mut enough = self.primes.len() + SPARE;
        for step in 1u64.. {
            offset = part.times(&quotient).minus(&offset);
            quotient = self.number.minus(&offset.times(&offset)).divide(&quotient).0;
            assert!(
                !quotient.is_one(),
                "the fraction repeats itself before it gave a factor: try another --number"
            );
            if let Some(exponents) = self.exponents(&quotient, step % 2 == 1) {
                relations.push(Relation { root: root.divide(&self.number).1, exponents });
                if relations.len() >= enough {
                    if let Some(factor) = self.combine(&relations) {
                        return (factor, step);
                    }
                    enough += SPARE;
                }
            }
            part = whole.plus(&offset).divide(&quotient).0;
            let next = part.times(&root).plus(&before).divide(&self.number).1;
            before = std::mem::replace(&mut root, next);
        }
        unreachable!("the loop has no end but its returns")
    }

    /// Finds sets of relations whose product is a square on both sides, by elimination modulo 2, and tries each.
    fn combine(&self, relations: &[Relation<'h>]) -> Option<Number<'h>> {
        let columns = self.primes.len() + 1;
        let odd = |relation: &Relation| relation.exponents.iter().map(|e| e % 2 == 1).collect();
        let mut rows: Vec<(Vec<bool>, Vec<bool>)> = (0..relations.len())
            .map(|row| (odd(&relations[row]), (0..relations.len()).map(|at| at == row).collect()))
            .collect();
        let mut done = 0;
        for column in 0..columns {
            let Some(pivot) = (done..rows.len()).find(|&row| rows[row].0[column]) else { continue };
            rows.swap(done, pivot);
            let (above, below) = rows.split_at_mut(done + 1);
            let (parity, members) = &above[done];
            for row in below.iter_mut().filter(|row| row.0[column]) {
                row.0.iter_mut().zip(parity).for_each(|(to, from)| *to ^= from);
                row.1.iter_mut().zip(members).for_each(|(to, from)| *to ^= from);
            }
            done += 1;
        }
        rows[done..].iter().find_map(|(_, members)| {
            let chosen = relations.iter().zip(members).filter(|(_, taken)| **taken).map(|(it, _)| it);
            self.try_square(chosen)
        })
    }

    /// The factor that two square roots of one square give, if they are different ones.
    fn try_square<'a>(&self, relations: impl Iterator<Item = &'a Relation<'h>>) -> Option<Number<'h>>
    where
        'h: 'a,
    {
        let mut sums = vec![0u32; self.primes.len() + 1];
        let mut one = Number::new(self.heap, 1);
        for relation in relations {
            one = one.times(&relation.root).divide(&self.number).1;
            sums.iter_mut().zip(&relation.exponents).for_each(|(sum, &e)| *sum += u32::from(e));
        }
        assert!(sums.iter().all(|sum| sum % 2 == 0), "the elimination gave a product that is no square");
        let mut two = Number::new(self.heap, 1);
        for (&prime, sum) in self.primes.iter().zip(&sums[1..]) {
            let prime = Number::new(self.heap, u64::from(prime));
            for _ in 0..sum / 2 {
                two = two.times(&prime).divide(&self.number).1;
            }
        }
        let same = one.times(&one).divide(&self.number).1;
        assert_eq!(
            same.compare(&two.times(&two).divide(&self.number).1),
            Ordering::Equal,
            "two roots of one square have different squares"
        );
        let factor = one.plus(&two).common_divisor(self.number.divide_small(1).0);
        let proper = !factor.is_one() && factor.compare(&self.number) == Ordering::Less;
        proper.then_some(factor)
    }
}

impl Workload for Factor {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = &Heap::of_this_process();
        let rounds = scale.of(self.rounds);
        let mut steps = 0;
        let start = Instant::now();
        for _ in 0..rounds {
            let number = Number::parse(heap, &self.number).expect("--number takes decimal digits");
            let task = Task::new(heap, number, self.primes as usize);
            let (factor, taken) = task.factor();
            assert!(task.number.divide(&factor).1.is_zero(), "what was found does not divide the number");
            steps += taken;
        }
        Outcome::new("factor", "one step along the continued fraction", steps, start.elapsed())
    }
}
