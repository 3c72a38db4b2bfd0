//! Loads of one thread.

use super::Row;

/// Name, sentence, and the words for a workload program.
pub const LOADS: &[Row] = &[
    ("pairs-16", "immediate malloc and free of 16 bytes", "pairs --size 16"),
    ("pairs-64", "immediate malloc and free of 64 bytes", "pairs --size 64"),
    ("pairs-256", "immediate malloc and free of 256 bytes", "pairs --size 256"),
    ("pairs-1024", "immediate malloc and free of 1,024 bytes", "pairs --size 1024"),
    ("pairs-rare", "immediate pairs of sizes of which nothing else is live", "pairs-rare"),
    ("ordered", "a thousand live blocks of 48 bytes, freed in order", "ordered"),
    ("random", "random replacement in 200,000 live blocks", "random"),
    ("tree", "a tree of a million nodes, built, walked and dropped", "tree"),
    ("large", "blocks of 64 KiB to 8 MiB, every page touched", "large"),
    ("realloc-1", "one vector that grows to 256 MiB", "realloc"),
    ("realloc-16", "16 vectors that grow to 16 MiB each, in turn", "realloc --vectors 16"),
    ("calloc-sparse", "calloc of 1 to 32 MiB, one byte per MiB touched", "calloc-sparse"),
    ("phase", "fill 160 MB, free 90 %, go on with other sizes", "phase"),
];
