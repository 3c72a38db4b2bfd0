//! Patterns of one thread.

mod after_free;
mod aligned;
mod calloc_sparse;
mod cover;
mod factor;
mod large;
mod ordered;
mod pairs;
mod pairs_rare;
mod phase;
mod realloc;
mod replace;
mod tree;

use clap::Subcommand;

use crate::Workload;

/// One of them, with its parameters.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// malloc and free of one size, in immediate pairs, with other blocks of that size live
    Pairs(pairs::Pairs),
    /// Immediate pairs of sizes of which nothing else is live
    PairsRare(pairs_rare::PairsRare),
    /// Allocate a thousand blocks, free them in the same order, repeat
    Ordered(ordered::Ordered),
    /// Replace random blocks among many live ones, cold in the cache
    Random(replace::Replace),
    /// Build a binary tree of a million nodes, walk it, drop it, repeat
    Tree(tree::Tree),
    /// Factor a number by continued fractions, each number a small block
    Factor(factor::Factor),
    /// Minimise sums of products, each product a small block
    Cover(cover::Minimise),
    /// Replace random aligned blocks among others that live
    Aligned(aligned::Aligned),
    /// Random blocks of 64 KiB to 8 MiB (or other sizes), every page touched
    Large(large::Large),
    /// Vectors that grow by realloc, a half more each time
    Realloc(realloc::Realloc),
    /// calloc of large blocks that are hardly touched
    CallocSparse(calloc_sparse::CallocSparse),
    /// Fill memory with small blocks, free most at random, go on with other sizes
    Phase(phase::Phase),
    /// Fill memory, free nearly all of it at random, and watch what stays while little is done
    AfterFree(after_free::AfterFree),
}

impl Which {
    pub(crate) fn workload(&self) -> &dyn Workload {
        match self {
            Which::Pairs(it) => it,
            Which::PairsRare(it) => it,
            Which::Ordered(it) => it,
            Which::Random(it) => it,
            Which::Tree(it) => it,
            Which::Factor(it) => it,
            Which::Cover(it) => it,
            Which::Aligned(it) => it,
            Which::Large(it) => it,
            Which::Realloc(it) => it,
            Which::CallocSparse(it) => it,
            Which::Phase(it) => it,
            Which::AfterFree(it) => it,
        }
    }
}

#[cfg(test)]
mod tests;
