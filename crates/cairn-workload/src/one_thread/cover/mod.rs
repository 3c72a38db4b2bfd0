//! Minimises sums of products: a set cover over cubes, each a small block that is allocated and freed.
//!
//! Models optimisers and solvers: after espresso, the logic minimiser that has stood in comparisons of allocators
//! since Grunwald and Zorn (1992); the method is that of Brayton and others (1984): expand each cube against the
//! complement, drop those that the others cover, reduce, and again. All recursive steps copy covers, so blocks of
//! one size come in bursts of some dozens and die in the order of the recursion, beside arrays of pointers that grow.

mod cube;

use std::time::Instant;

use clap::Args;

use crate::random::Random;
use crate::{Outcome, Scale, Workload};
use cube::{Cover, Cube, Space, cofactor, complement, is_tautology};

#[derive(Args)]
pub struct Minimise {
    /// Variables of each function
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(4..=512))]
    variables: u32,
    /// Cubes that each function is given as
    #[arg(long, default_value_t = 24)]
    cubes: usize,
    /// Number of functions
    #[arg(long, default_value_t = 80)]
    functions: u64,
}

/// Passes of expanding and reducing before what was reached counts as the result.
const PASSES: usize = 4;

/// Points at which the result is compared with the function it came from.
const PROBES: usize = 100;

/// A random function: about two thirds of the literals are free, so that cubes overlap.
fn function<'s>(space: &'s Space, cubes: usize, random: &mut Random) -> Cover<'s> {
    let cube = |random: &mut Random| {
        let mut cube = space.everything();
        for _ in 0..space.variables.div_ceil(8).max(3) {
            cube.set_literal(random.below(space.variables), 1 + random.bits() % 2);
        }
        cube
    };
    (0..cubes.max(1)).map(|_| cube(random)).collect()
}

/// What a solution costs: its cubes first, then their literals.
fn cost(cover: &[Cube]) -> (usize, u32) {
    (cover.len(), cover.iter().map(Cube::literals).sum())
}

/// Frees literals of each cube as long as it meets nothing outside; drops cubes that another one swallows.
fn expand<'s>(space: &Space, cover: Cover<'s>, outside: &[Cube<'s>]) -> Cover<'s> {
    let mut result: Cover = Vec::new();
    for mut cube in cover {
        if result.iter().any(|other| other.contains(&cube)) {
            continue;
        }
        for variable in 0..space.variables {
            if cube.literal(variable) == 3 {
                continue;
            }
            let mut wider = cube.copy();
            wider.set_literal(variable, 3);
            if !outside.iter().any(|other| other.meets(&wider)) {
                cube = wider;
            }
        }
        result.retain(|other| !cube.contains(other));
        result.push(cube);
    }
    result
}

/// Drops each cube whose points the others have.
fn without_redundant<'s>(space: &Space, mut cover: Cover<'s>) -> Cover<'s> {
    for at in (0..cover.len()).rev() {
        let cube = cover.swap_remove(at);
        if !is_tautology(space, &cofactor(&cover, &cube)) {
            cover.push(cube);
            // Back to its place: the order is the same for every allocator, and no cube is looked at twice.
            let last = cover.len() - 1;
            cover.swap(at, last);
        }
    }
    cover
}

/// Shrinks each cube to what only it has, so that the next expansion can go another way.
fn reduce<'s>(space: &'s Space, mut cover: Cover<'s>) -> Cover<'s> {
    cover.sort_by_key(Cube::literals);
    for at in 0..cover.len() {
        let cube = cover.swap_remove(at);
        let own = complement(space, &cofactor(&cover, &cube));
        let mut parts = own.into_iter();
        let smaller = match parts.next() {
            None => cube,
            Some(first) => parts.fold(first, |sum, part| sum.around(&part)).and(&cube),
        };
        cover.push(smaller);
        let last = cover.len() - 1;
        cover.swap(at, last);
    }
    cover
}

fn minimise<'s>(space: &'s Space, cover: Cover<'s>) -> Cover<'s> {
    let outside = complement(space, &cover);
    let mut best = without_redundant(space, expand(space, cover, &outside));
    for _ in 0..PASSES {
        let copy = best.iter().map(Cube::copy).collect();
        let next = without_redundant(space, expand(space, reduce(space, copy), &outside));
        if cost(&next) >= cost(&best) {
            break;
        }
        best = next;
    }
    best
}

/// Panics where the two covers don't have the same points.
fn compare<'s>(space: &'s Space, before: &[Cube<'s>], after: &[Cube<'s>], random: &mut Random) {
    assert!(after.len() <= before.len(), "the result is larger than the function it came from");
    for probe in 0..PROBES {
        // Half of the probes lie in some cube of the function: others hardly ever hit one.
        let mut point = before[random.below(before.len())].copy();
        for variable in 0..space.variables {
            if probe % 2 == 0 || point.literal(variable) == 3 {
                point.set_literal(variable, 1 + random.bits() % 2);
            }
        }
        let has = |cover: &[Cube]| cover.iter().any(|cube| cube.contains(&point));
        assert_eq!(has(before), has(after), "the result is another function");
    }
}

impl Workload for Minimise {
    fn run(&self, scale: Scale) -> Outcome {
        let space = Space::new(self.variables as usize);
        let functions = scale.of(self.functions);
        let start = Instant::now();
        for seed in 0..functions {
            let mut random = Random::new(seed);
            let before = function(&space, self.cubes, &mut random);
            let after = minimise(&space, before.iter().map(Cube::copy).collect());
            compare(&space, &before, &after, &mut random);
        }
        Outcome::new("cover", "one cube made and dropped", space.made.get(), start.elapsed())
    }
}
