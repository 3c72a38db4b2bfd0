//! A Rust program on Cairn: it counts words, with several threads, and tells at the end what the heap did.
//!
//!   cargo run --release -p cairn-alloc --example global_allocator              # its own source
//!   cargo run --release -p cairn-alloc --example global_allocator README.md    # any text

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::{env, fs, process, thread};

use cairn_alloc::engine;

// These two lines are all it takes: every Box, Vec and String of the program and its libraries now lives in Cairn.
#[global_allocator]
static HEAP: cairn_alloc::Cairn = cairn_alloc::Cairn;

/// What is known of a word: 48 bytes, so a box of it is a block of exactly 48.
#[derive(Default)]
pub struct Word {
    count: u64,
    lines: [u64; 5],
}

/// Boxes a word. (Out of line, so that its machine code can be looked at: the size class is a constant in it.)
#[inline(never)]
pub fn new_word(line: u64) -> Box<Word> {
    Box::new(Word { count: 0, lines: [line; 5] })
}

/// Drops a word.
#[inline(never)]
pub fn drop_word(word: Box<Word>) {
    drop(word);
}

/// The words of some lines; the first line has this number.
fn count(first: u64, lines: &[String]) -> HashMap<String, Box<Word>> {
    let mut words: HashMap<String, Box<Word>> = HashMap::new();
    for (number, line) in (first..).zip(lines) {
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            let known = words.entry(word.to_lowercase()).or_insert_with(|| new_word(number));
            known.lines[known.count as usize % known.lines.len()] = number;
            known.count += 1;
        }
    }
    words
}

fn main() {
    let path = env::args()
        .nth(1)
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/examples/global_allocator.rs").into());
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        eprintln!("global_allocator: can't read {path}: {error}; give it the path of a text file");
        process::exit(2);
    });

    // Threads build tables and send them here, where they are merged and freed. With Cairn it does not matter which
    // thread frees a block: nobody owns it.
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (send, receive) = mpsc::channel();
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    thread::scope(|scope| {
        for (i, part) in lines.chunks(lines.len().div_ceil(4).max(1)).enumerate() {
            let send = send.clone();
            scope.spawn(move || send.send(count((i * part.len()) as u64 + 1, part)));
        }
        drop(send);
        for words in receive {
            for (word, known) in words {
                *all.entry(word).or_default() += known.count;
                drop_word(known);
            }
        }
    });

    let mut most: Vec<(&String, &u64)> = all.iter().collect();
    most.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    println!("{} different words in {path}; the most frequent:", all.len());
    for (word, count) in most.iter().take(5) {
        println!("{count:>7} {word}");
    }

    // The heap can be asked at any time. It counts now: nothing was counted while the program ran.
    let heap = engine::statistics();
    println!("\nThe heap: {} bytes live, {} threads with bins", heap.live_bytes(), heap.threads);
    println!("  {:>6} {:>6} {:>12} {:>12}", "block", "live", "free in bins", "free in slabs");
    for class in heap.classes.iter().filter(|class| class.live_blocks > 0) {
        println!(
            "  {:>6} {:>6} {:>12} {:>12}",
            class.block_size, class.live_blocks, class.bin_blocks, class.slab_free_blocks
        );
    }
    println!("  {} large blocks, {} bytes", heap.large_blocks, heap.large_bytes);
    println!(
        "  {} KiB committed, {} KiB of it Cairn's records",
        heap.committed_bytes >> 10,
        heap.metadata_bytes >> 10
    );
}
