//! Patterns of several threads, and of processes.

mod chains;
mod larson;
mod producer_consumer;
mod startup;
mod threads_hot;

use clap::Subcommand;

use crate::Workload;

/// One of them, with its parameters.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// One thread allocates, another one frees
    ProducerConsumer(producer_consumer::ProducerConsumer),
    /// Threads that replace blocks, hand them all to a new thread and end
    Larson(larson::Larson),
    /// Threads that replace blocks, hand them to a new thread and wait for it
    Chains(chains::Chains),
    /// Threads that each keep a hundred small blocks and replace them as fast as they can
    ThreadsHot(threads_hot::ThreadsHot),
    /// Start many short processes
    Startup(startup::Startup),
}

impl Which {
    pub(crate) fn workload(&self) -> &dyn Workload {
        match self {
            Which::ProducerConsumer(it) => it,
            Which::Larson(it) => it,
            Which::Chains(it) => it,
            Which::ThreadsHot(it) => it,
            Which::Startup(it) => it,
        }
    }
}
