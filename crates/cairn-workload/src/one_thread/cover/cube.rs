//! A product of literals as a block of bits, and sets of them.
//!
//! ```text
//! two bits for each variable:   01 it must be 0     10 it must be 1     11 either     00 no point at all
//! ```
//!
//! One cube is one block of the C heap, freed when the cube is dropped. The words of a cube that no variable uses
//! are ones in every cube, so that whole words can be compared.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::heap::{Block, Heap};

/// The low bit of each pair: "the variable may be 0".
const ZEROS: u64 = 0x5555_5555_5555_5555;

/// How many variables there are, and where cubes come from.
pub struct Space {
    heap: Heap,
    pub variables: usize,
    words: usize,
    /// How many cubes were made.
    pub made: Cell<u64>,
}

/// See the module.
pub struct Cube<'s> {
    space: &'s Space,
    at: NonNull<u64>,
}

impl Drop for Cube<'_> {
    fn drop(&mut self) {
        // SAFETY: `Space::cube` got this block and a cube is the only holder of it, until now.
        self.space.heap.free(unsafe { Block::at(self.at.cast()) });
    }
}

impl Space {
    pub fn new(variables: usize) -> Space {
        let heap = Heap::of_this_process();
        Space { heap, variables, words: (variables * 2).div_ceil(64), made: Cell::new(0) }
    }

    fn cube(&self, word: impl Fn(usize) -> u64) -> Cube<'_> {
        self.made.set(self.made.get() + 1);
        let at: NonNull<u64> = self.heap.alloc(self.words * size_of::<u64>()).address().cast();
        for index in 0..self.words {
            // SAFETY: the block has that many words, and malloc aligns to 16.
            unsafe { at.add(index).write(word(index)) };
        }
        Cube { space: self, at }
    }

    /// The cube of all points.
    pub fn everything(&self) -> Cube<'_> {
        self.cube(|_| u64::MAX)
    }
}

impl<'s> Cube<'s> {
    fn words(&self) -> &[u64] {
        // SAFETY: all words were written by `Space::cube`, and nobody writes while it is borrowed.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.space.words) }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as for `words`; the cube is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.space.words) }
    }

    /// The pair of a variable: bit 0 is "may be 0", bit 1 is "may be 1".
    pub fn literal(&self, variable: usize) -> u64 {
        self.words()[variable / 32] >> (variable % 32 * 2) & 3
    }

    pub fn set_literal(&mut self, variable: usize, pair: u64) {
        let (word, shift) = (variable / 32, variable % 32 * 2);
        let words = self.words_mut();
        words[word] = words[word] & !(3 << shift) | pair << shift;
    }

    /// How many variables it fixes.
    pub fn literals(&self) -> u32 {
        self.words().iter().map(|word| (!(word & word >> 1) & ZEROS).count_ones()).sum()
    }

    pub fn is_everything(&self) -> bool {
        self.words().iter().all(|&word| word == u64::MAX)
    }

    pub fn contains(&self, other: &Cube) -> bool {
        self.words().iter().zip(other.words()).all(|(one, two)| two & !one == 0)
    }

    /// Whether the two have a point in common: no pair of the intersection is empty.
    pub fn meets(&self, other: &Cube) -> bool {
        self.words().iter().zip(other.words()).all(|(one, two)| {
            let both = one & two;
            (both | both >> 1) & ZEROS == ZEROS
        })
    }

    pub fn copy(&self) -> Cube<'s> {
        self.space.cube(|word| self.words()[word])
    }

    /// The part that lies in both.
    pub fn and(&self, other: &Cube) -> Cube<'s> {
        self.space.cube(|word| self.words()[word] & other.words()[word])
    }

    /// The smallest cube around both.
    pub fn around(&self, other: &Cube) -> Cube<'s> {
        self.space.cube(|word| self.words()[word] | other.words()[word])
    }

    /// This cube as seen inside of `other`, where what `other` fixes is free.
    fn inside(&self, other: &Cube) -> Cube<'s> {
        self.space.cube(|word| self.words()[word] | !other.words()[word])
    }
}

/// A sum of cubes.
pub type Cover<'s> = Vec<Cube<'s>>;

/// The cover as seen inside of a cube: those that meet it.
pub fn cofactor<'s>(cover: &[Cube<'s>], cube: &Cube) -> Cover<'s> {
    cover.iter().filter(|it| it.meets(cube)).map(|it| it.inside(cube)).collect()
}

/// The two halves of a space, split at a variable: where it is 0 and where it is 1.
fn halves(space: &Space, variable: usize) -> [Cube<'_>; 2] {
    [1, 2].map(|pair| {
        let mut half = space.everything();
        half.set_literal(variable, pair);
        half
    })
}

/// The variable that occurs most in both forms; of a cover in which none does, nothing.
fn most_binate(space: &Space, cover: &[Cube]) -> Option<usize> {
    let score = |variable: usize| {
        let count = |pair| cover.iter().filter(|cube| cube.literal(variable) == pair).count();
        let (zeros, ones) = (count(1), count(2));
        (zeros.min(ones), zeros + ones)
    };
    let best = (0..space.variables).max_by_key(|&variable| score(variable))?;
    (score(best).0 > 0).then_some(best)
}

/// Whether the cover has every point: by splitting, until the cover has each variable in one form only.
pub fn is_tautology(space: &Space, cover: &[Cube]) -> bool {
    if cover.iter().any(Cube::is_everything) {
        return true;
    }
    let Some(variable) = most_binate(space, cover) else { return false };
    halves(space, variable).iter().all(|half| is_tautology(space, &cofactor(cover, half)))
}

/// The variable that occurs in most cubes.
fn most_frequent(space: &Space, cover: &[Cube]) -> usize {
    let count = |variable: &usize| cover.iter().filter(|cube| cube.literal(*variable) != 3).count();
    (0..space.variables).max_by_key(count).unwrap_or(0)
}

/// A cover of all points that `cover` lacks.
pub fn complement<'s>(space: &'s Space, cover: &[Cube<'s>]) -> Cover<'s> {
    match cover {
        [] => return vec![space.everything()],
        _ if cover.iter().any(Cube::is_everything) => return Vec::new(),
        [cube] => return complement_of_cube(space, cube),
        _ => {}
    }
    let variable = most_binate(space, cover).unwrap_or_else(|| most_frequent(space, cover));
    let [zero, one] = halves(space, variable).map(|half| (complement(space, &cofactor(cover, &half)), half));
    let mut both = Vec::with_capacity(zero.0.len() + one.0.len());
    for cube in zero.0 {
        // What is missing on both sides needs no split.
        let pair = if one.0.iter().any(|other| other.contains(&cube)) { 3 } else { 1 };
        let mut cube = cube.copy();
        cube.set_literal(variable, pair);
        both.push(cube);
    }
    for cube in one.0 {
        if !both.iter().any(|other: &Cube| other.contains(&cube)) {
            both.push(cube.and(&one.1));
        }
    }
    both
}

/// Of one cube: for each literal, the cube of its opposite.
fn complement_of_cube<'s>(space: &'s Space, cube: &Cube<'s>) -> Cover<'s> {
    let fixed = (0..space.variables).filter(|&variable| cube.literal(variable) != 3);
    fixed
        .map(|variable| {
            let mut opposite = space.everything();
            opposite.set_literal(variable, cube.literal(variable) ^ 3);
            opposite
        })
        .collect()
}
