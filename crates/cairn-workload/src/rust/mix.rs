//! Rust collections, built and dropped in bulk.
//!
//! Models what Rust programs do all day: words counted in a HashMap, records in a BTreeMap, a tree of boxes,
//! vectors of strings that are sorted, cloned and dropped. It uses the global allocator, which is the C one here
//! unless the program that links this module chose another. Stresses everything at once: small blocks, growing
//! vectors, bulk drops, and the locality of what is given out again.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::time::Instant;

use clap::Args;

use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// A hash map without a random seed, so that every run does the same.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

#[derive(Args)]
pub struct Mix {
    /// Items in each collection
    #[arg(long, default_value_t = 60_000)]
    items: usize,
    /// How often everything is built and dropped
    #[arg(long, default_value_t = 12)]
    rounds: u64,
}

/// Words are cut out of this, which is much cheaper than drawing letters one by one.
const LETTERS: &str = "thequickbrownfoxjumpsoverthelazydogandpacksmyboxwithfivedozenliquorjugs";

fn word(random: &mut Random) -> String {
    let length = random.between(3, 40);
    let start = random.below(LETTERS.len() - length);
    LETTERS[start..start + length].to_owned()
}

/// A document: sorted, cloned, joined.
fn strings(random: &mut Random, items: usize) -> usize {
    let mut words: Vec<String> = (0..items).map(|_| word(random)).collect();
    let copy = words.clone();
    words.sort_unstable();
    let text: String = words.join(" ");
    copy.len() + text.len()
}

/// An index: each key has a list that grows.
fn lists_by_key(random: &mut Random, items: usize) -> usize {
    let mut index: Map<u64, Vec<u32>> = Map::default();
    for item in 0..items * 2 {
        index.entry(random.below(items / 4 + 1) as u64).or_default().push(item as u32);
    }
    index.values().map(Vec::len).sum()
}

/// A table of records, of which half are removed again.
fn records(random: &mut Random, items: usize) -> usize {
    let mut table: BTreeMap<u64, (String, Box<[u64; 4]>)> = BTreeMap::new();
    for item in 0..items {
        table.insert(random.bits(), (word(random), Box::new([item as u64; 4])));
    }
    let mut keep = false;
    table.retain(|_, _| {
        keep = !keep;
        keep
    });
    table.values().map(|(name, numbers)| name.len() + numbers[3] as usize).sum()
}

/// A tree of boxes in an uneven shape, such as an expression.
enum Expression {
    Number(u64),
    Sum(Vec<Expression>),
    Product(Box<Expression>, Box<Expression>),
}

impl Expression {
    fn random(random: &mut Random, items: usize) -> Expression {
        match items {
            0 | 1 => Expression::Number(random.bits()),
            2..=8 => Expression::Sum((0..items).map(|_| Expression::random(random, 1)).collect()),
            _ => {
                let left = random.between(1, items - 1);
                let (one, two) = (Expression::random(random, left), Expression::random(random, items - left));
                Expression::Product(Box::new(one), Box::new(two))
            }
        }
    }

    fn value(&self) -> u64 {
        match self {
            Expression::Number(number) => *number,
            Expression::Sum(terms) => terms.iter().fold(0, |sum, term| sum.wrapping_add(term.value())),
            Expression::Product(one, two) => one.value().wrapping_mul(two.value() | 1),
        }
    }
}

impl Workload for Mix {
    fn run(&self, scale: Scale) -> Outcome {
        let rounds = scale.of(self.rounds);
        let items = self.items.max(1);
        let start = Instant::now();
        for round in 0..rounds {
            let random = &mut Random::new(round);
            black_box(strings(random, items));
            black_box(lists_by_key(random, items));
            black_box(records(random, items));
            black_box(Expression::random(random, items * 4).value());
        }
        Outcome::new("mix", "one item in each collection", rounds * items as u64, start.elapsed())
    }
}
