//! Placement: which free block to take.
//!
//! A policy keeps the *free index*, in which each free block of the heap is exactly once. The heap tells it of every block that
//! becomes free or ceases to be, and asks it for one that is large enough; cutting and joining are the heap's work. A policy is
//! chosen at compile time, so its calls are direct.
//!
//! | policy | file | index | a search looks at |
//! |---|---|---|---|
//! | [`FirstFit`] | `first_fit` | list, last freed first | blocks until one fits |
//! | [`FirstFitAddress`] | `first_fit_address` | list by address | blocks until one fits, lowest first |
//! | [`NextFit`] | `next_fit` | ring by address | blocks until one fits, from where the last search ended |
//! | [`BestFit`] | `best_fit` | list | all blocks, unless one fits exactly |
//! | [`WorstFit`] | `worst_fit` | list | all blocks |
//! | [`BestFitTree`] | `best_fit_tree` | AVL tree by size and address | one path, at most 1.44 log2(n) |
//! | [`Segregated`] | `segregated` | bins by size | a few blocks of one bin |
//! | [`TwoLevel`] | `two_level` | bins by size | one block: constant time |
//!
//! # A new policy
//! One file with an `unsafe impl Placement`, one line in the table above and one in each of the tests' and the laboratory's.

use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

mod best_fit;
mod best_fit_tree;
mod bins;
mod first_fit;
mod first_fit_address;
mod links;
mod next_fit;
mod one_list;
mod segregated;
mod two_level;
mod worst_fit;

pub use best_fit::BestFit;
pub use best_fit_tree::BestFitTree;
pub use first_fit::FirstFit;
pub use first_fit_address::FirstFitAddress;
pub use next_fit::NextFit;
pub use segregated::Segregated;
pub use two_level::TwoLevel;
pub use worst_fit::WorstFit;

/// Where a block stands in the free index, for tools that draw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The number of the list or bin; 0 where there is one.
    pub list: usize,
    /// The parent's payload address, in a tree.
    pub parent: Option<usize>,
    /// Levels below the root, in a tree.
    pub level: usize,
}

/// A placement policy.
///
/// # Safety
/// [`find`](Self::find) gives only blocks that were inserted and not removed since, of at least the size asked for. Links are written
/// only in such blocks, and at most [`NODE`](Self::NODE) bytes of them.
pub unsafe trait Placement {
    /// An index without blocks.
    const NEW: Self;
    /// The policy's name on the command line.
    const NAME: &'static str;
    /// What it does, in one sentence.
    const ABOUT: &'static str;
    /// Bytes of links in a free block: 4, 8 or 16.
    const NODE: usize;

    /// A block has become free; its header says so already, and all headers around it are whole.
    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize);

    /// A block of the index is about to be used, joined or given back. `size` is its size, as it was inserted.
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize);

    /// A block of the index was `old` bytes large and now is `new`; it stays where it is, and its header says so already. A policy whose
    /// order does not depend on the size, or not on this much, has nothing to do.
    #[inline]
    fn resize<C: Config>(&mut self, space: &Space<C>, block: Block, old: usize, new: usize) {
        self.remove(space, block, old);
        self.insert(space, block, new);
    }

    /// The low part of `old`, a block of the index of `old_size` bytes, is about to be used: what is left of it is `new`, of `size` bytes,
    /// whose header says so already.
    #[inline]
    fn replace<C: Config>(&mut self, space: &Space<C>, old: Block, old_size: usize, new: Block, size: usize) {
        self.remove(space, old, old_size);
        self.insert(space, new, size);
    }

    /// A block of the index with at least `size` bytes, which stays in it; none, if there is none. Each block that it looks at is
    /// told to the meter, by [`Space::step`].
    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block>;

    /// Audits the index and shows each block of it, in the policy's order. It follows only links to blocks that
    /// [exist](Space::is_free_block), so it ends and stays inside of the heap whatever happened to the memory.
    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation>;
}
