//! Loads of several threads, and of processes.

use super::Row;

/// Name, sentence, and the words for a workload program.
pub const LOADS: &[Row] = &[
    ("threads-hot-2", "two threads, each with 100 small blocks", "threads-hot --threads 2"),
    ("threads-hot-16", "16 threads, each with 100 small blocks", "threads-hot --threads 16 --ops 5000000"),
    ("producer-consumer", "one thread allocates, one frees", "producer-consumer"),
    ("producer-consumer-8", "eight threads allocate, eight free", "producer-consumer --pairs 8"),
    ("larson", "16 threads that hand their blocks to a new one and end", "larson"),
    ("chains", "640 threads that hand their blocks to a new one and wait", "chains"),
    ("startup", "800 short processes", "startup"),
];
