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
    ("factor", "a number factored, each number a small block (as cfrac)", "factor"),
    ("cover", "sums of products minimised, each product a small block (as espresso)", "cover"),
    ("aligned", "blocks aligned to 16 to 4,096 bytes, replaced at random", "aligned"),
    ("large", "blocks of 64 KiB to 8 MiB, every page touched", "large"),
    (
        "large-100",
        "blocks of 1 to 100 MiB, every page touched",
        "large --smallest 1048576 --largest 104857600 --live 10 --ops 50",
    ),
    ("realloc-1", "one vector that grows to 1 GiB", "realloc"),
    ("realloc-16", "16 vectors that grow to 64 MiB each, in turn", "realloc --vectors 16"),
    ("realloc-1000", "1,000 vectors that grow to 1 MiB each, in turn", "realloc --vectors 1000"),
    ("calloc-sparse", "calloc of 1 to 32 MiB, one byte per MiB touched", "calloc-sparse"),
    ("phase", "fill 160 MB, free 90 %, go on with other sizes", "phase"),
    ("after-free", "400 MB of small blocks, 95 % freed, 5 s of light work", "after-free"),
    (
        "after-free-large",
        "400 MB of blocks of 8 to 256 KiB, 95 % freed, 5 s of light work",
        "after-free --large",
    ),
    ("mix", "Rust collections on the C functions, built and dropped in bulk", "mix"),
    ("json", "documents of JSON parsed, changed, written and dropped, on the C functions", "json"),
];
