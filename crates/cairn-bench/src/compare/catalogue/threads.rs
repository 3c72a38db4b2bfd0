//! Loads of several threads, and of processes: 1, 2 and 16 threads where the pattern has a meaning for them.
//!
//! The number in a name is that of the threads that are busy at the same time, all roles together.

use super::Row;

/// Name, sentence, and the words for a workload program.
pub const LOADS: &[Row] = &[
    ("threads-hot-2", "two threads, each with 100 small blocks", "threads-hot --threads 2"),
    ("threads-hot-16", "16 threads, each with 100 small blocks", "threads-hot --threads 16 --ops 5000000"),
    ("requests-2", "two threads, each builds and drops documents of its own", "requests --threads 2"),
    ("requests-16", "the same with 16 threads", "requests --threads 16 --requests 500"),
    ("producer-consumer-2", "one thread allocates, one frees", "producer-consumer"),
    ("producer-consumer-16", "eight pairs: one allocates, one frees", "producer-consumer --pairs 8"),
    ("xmalloc-2", "one thread allocates, one frees, asleep while they wait", "xmalloc --threads 2"),
    ("xmalloc-16", "eight threads allocate, eight free, all to all", "xmalloc --threads 16"),
    (
        "larson-1",
        "a server thread that hands its blocks to the next",
        "larson --threads 1 --ops 100000 --generations 250",
    ),
    (
        "larson-2",
        "two server threads that hand their blocks over",
        "larson --threads 2 --ops 100000 --generations 125",
    ),
    (
        "larson-16",
        "16 server threads that hand their blocks over",
        "larson --threads 16 --ops 100000 --generations 16",
    ),
    ("larson-churn-16", "the same with ten times as many ends of threads", "larson"),
    ("mstress-2", "two threads at a time, of random lifetimes", "mstress --threads 2 --lives 640"),
    ("mstress-16", "16 threads at a time, of random lifetimes", "mstress --threads 16"),
    ("rptest-1", "random sizes, a third freed later, in batches", "rptest --threads 1"),
    ("rptest-2", "random sizes, a third freed by the other thread", "rptest --threads 2"),
    ("rptest-16", "random sizes, a third freed by a neighbour of 16", "rptest --threads 16"),
    ("alloc-test-1", "log-uniform sizes over a working set", "alloc-test --threads 1"),
    ("alloc-test-2", "the same in two threads, half the set each", "alloc-test --threads 2"),
    ("alloc-test-16", "the same in 16 threads, a sixteenth each", "alloc-test --threads 16 --ops 16000000"),
    ("sh6bench-1", "bursts in phases of sizes, freed in two orders", "sh6bench"),
    ("sh8bench-2", "the same in two threads, a fifth freed by the other", "sh8bench --threads 2"),
    ("sh8bench-16", "the same in 16 threads, a fifth freed by the next", "sh8bench --threads 16"),
    ("cache-thrash-2", "an object of each thread, written often", "cache-thrash --threads 2"),
    ("cache-thrash-16", "the same with 16 threads", "cache-thrash --threads 16"),
    ("cache-scratch-2", "the same, the first object from the main thread", "cache-scratch --threads 2"),
    ("cache-scratch-16", "the same with 16 threads", "cache-scratch --threads 16"),
    ("chains", "640 threads that hand their blocks to a new one and wait", "chains"),
    ("startup", "400 short processes", "startup"),
];
