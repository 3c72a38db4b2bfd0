//! Traces of the classic shapes, made from a seed.
//!
//! A shape is a function from a number of requests and a seed to a trace; the same seed makes the same trace on every
//! machine and in every version (a test holds the digests). A shape ends with all blocks freed. [`SHAPES`] is the
//! table of them: a new shape is one function and one line there.

mod classic;
mod maker;
mod random;
mod real;

use std::fmt::Write as _;

use crate::trace::Trace;
use maker::Maker;
use random::Random;

/// One shape.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub what: &'static str,
    /// So many requests, about, unless told otherwise.
    pub ops: usize,
    fill: fn(&mut Maker),
}

/// The seed unless told otherwise.
pub const SEED: u64 = 1;

/// The fewest and the most requests that can be asked for.
pub const OPS: std::ops::RangeInclusive<usize> = 10..=50_000_000;

const fn shape(name: &'static str, ops: usize, fill: fn(&mut Maker), what: &'static str) -> Shape {
    Shape { name, what, ops, fill }
}

/// All shapes.
pub const SHAPES: &[Shape] = &[
    shape("uniform", 24_000, classic::uniform, "random order, sizes 1 to 4,096 equally likely"),
    shape(
        "log-normal",
        60_000,
        classic::log_normal,
        "random order, mostly small sizes and a few very large ones",
    ),
    shape("ramp", 20_000, classic::ramp, "the heap only grows, then all is freed, oldest first"),
    shape("peak", 40_000, classic::peak, "four times from little to a high peak and back"),
    shape("plateau", 60_000, classic::plateau, "up to a level, then each new block replaces a random one"),
    shape(
        "alternating",
        24_000,
        classic::alternating,
        "64 and 448 in turn, the 448 freed, then 512: no hole is large enough",
    ),
    shape(
        "alternating-small",
        48_000,
        classic::alternating_small,
        "16 and 112 in turn, the 112 freed, then 128: the same with small blocks",
    ),
    shape(
        "creeping",
        30_000,
        classic::creeping,
        "every second block freed and asked for again a little larger, over and over",
    ),
    shape(
        "coalescing",
        24_000,
        classic::coalescing,
        "neighbours freed in random order, then one block of their size",
    ),
    shape("realloc-chain", 8_000, classic::realloc_chain, "one block grows step by step between small ones"),
    shape("vectors", 40_000, real::vectors, "many arrays that double as they grow"),
    shape("server", 80_000, real::server, "requests that allocate and free in bursts, sessions that stay"),
    shape(
        "compiler",
        60_000,
        real::compiler,
        "small nodes in phases, freed together, a part stays for the next phase",
    ),
    shape(
        "strings",
        60_000,
        real::strings,
        "a table of strings that are replaced, and its index that doubles",
    ),
    shape("queue", 40_000, real::queue, "first in, first out, with messages of mixed sizes"),
    shape("stack", 40_000, real::stack, "last in, first out, in deep and shallow waves"),
];

/// What to make: a shape, how long, and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// The shape.
    pub shape: &'static Shape,
    /// About so many requests.
    pub ops: usize,
    /// The seed.
    pub seed: u64,
}

impl Recipe {
    /// Reads `NAME[,ops=N][,seed=N]`.
    ///
    /// # Errors
    /// One sentence that tells what is wrong and what is possible.
    pub fn parse(text: &str) -> Result<Recipe, String> {
        let mut words = text.split(',');
        let name = words.next().unwrap_or_default();
        let shape = SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| {
            let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
            format!("there is no shape '{name}'; there are: {}", names.join(", "))
        })?;
        let mut recipe = Recipe { shape, ops: shape.ops, seed: SEED };
        for word in words {
            let whole = |value: &str| {
                value.parse::<u64>().map_err(|_| format!("'{word}': '{value}' is no whole number"))
            };
            match word.split_once('=') {
                Some(("ops", value)) => recipe.ops = usize::try_from(whole(value)?).unwrap_or(usize::MAX),
                Some(("seed", value)) => recipe.seed = whole(value)?,
                _ => return Err(format!("'{word}' is neither ops=NUMBER nor seed=NUMBER")),
            }
        }
        if !OPS.contains(&recipe.ops) {
            return Err(format!("ops={} is out of range: {} to {}", recipe.ops, OPS.start(), OPS.end()));
        }
        Ok(recipe)
    }

    /// The recipes of all shapes as they are by default.
    pub fn all() -> impl Iterator<Item = Recipe> {
        SHAPES.iter().map(|shape| Recipe { shape, ops: shape.ops, seed: SEED })
    }

    /// Makes the trace. It is named after the shape and what differs from its defaults, as `uniform,seed=7`.
    pub fn make(&self) -> Trace {
        let mut name = self.shape.name.to_owned();
        if self.ops != self.shape.ops {
            let _ = write!(name, ",ops={}", self.ops);
        }
        if self.seed != SEED {
            let _ = write!(name, ",seed={}", self.seed);
        }
        let mut maker = Maker::new(self.ops, Random::new(self.seed));
        (self.shape.fill)(&mut maker);
        Trace::new(name, maker.finish())
    }
}
