//! Patterns of several threads, and of processes.
//!
//! One file each, over three helpers: `crew` starts threads together and takes the time, `post` carries batches of blocks
//! between them, `sizes` is a table of random sizes.

mod crew;
mod post;
mod sizes;

mod alloc_test;
mod cache_scratch;
mod cache_thrash;
mod chains;
mod larson;
mod mstress;
mod producer_consumer;
mod requests;
mod rptest;
mod sh6bench;
mod sh8bench;
mod startup;
mod threads_hot;
mod xmalloc;

use clap::Subcommand;

use crate::Workload;

/// One of them, with its parameters.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// One thread allocates, another one frees, in pairs
    ProducerConsumer(producer_consumer::ProducerConsumer),
    /// Threads that allocate and threads that free, through one pool
    Xmalloc(xmalloc::Xmalloc),
    /// Threads that replace blocks, hand them all to a new thread and end
    Larson(larson::Larson),
    /// Many threads with random lifetimes that exchange objects
    Mstress(mstress::Mstress),
    /// Random sizes; a third of the blocks is freed by a neighbour
    Rptest(rptest::Rptest),
    /// Sizes spread by their logarithm over a working set
    AllocTest(alloc_test::AllocTest),
    /// Bursts in phases with different sizes, freed in a different order
    Sh6bench(sh6bench::Sh6bench),
    /// The same in several threads, a fifth freed by the next one
    Sh8bench(sh8bench::Sh8bench),
    /// Small objects written often by the thread that allocated them (active false sharing)
    CacheThrash(cache_thrash::CacheThrash),
    /// The same, but the first ones come from the main thread (passive false sharing)
    CacheScratch(cache_scratch::CacheScratch),
    /// Threads that replace blocks, hand them to a new thread and wait for it
    Chains(chains::Chains),
    /// Threads that each keep a hundred small blocks and replace them as fast as they can
    ThreadsHot(threads_hot::ThreadsHot),
    /// Threads that build and drop documents of their own
    Requests(requests::Requests),
    /// Start many short processes
    Startup(startup::Startup),
}

impl Which {
    pub(crate) fn workload(&self) -> &dyn Workload {
        match self {
            Which::ProducerConsumer(it) => it,
            Which::Xmalloc(it) => it,
            Which::Larson(it) => it,
            Which::Mstress(it) => it,
            Which::Rptest(it) => it,
            Which::AllocTest(it) => it,
            Which::Sh6bench(it) => it,
            Which::Sh8bench(it) => it,
            Which::CacheThrash(it) => it,
            Which::CacheScratch(it) => it,
            Which::Chains(it) => it,
            Which::ThreadsHot(it) => it,
            Which::Requests(it) => it,
            Which::Startup(it) => it,
        }
    }
}

#[cfg(test)]
mod tests;
