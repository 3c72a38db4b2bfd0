//! A server that parses documents of JSON, changes a field, writes them out, and drops them.
//!
//! Models what most services do with their requests. A document of some KB becomes a tree of some hundred strings,
//! vectors and nodes of maps, a few hundred allocations in a burst that die together a moment later; one in eight is
//! kept in a cache that all threads share, in place of an older one, which so is mostly dropped by another thread than
//! the one that parsed it. Stresses bursts, growing of small vectors, the long output buffers between them, and old
//! trees among young ones.

use std::fmt::Write;
use std::sync::Mutex;
use std::thread::scope;
use std::time::Instant;

use clap::Args;
use serde_json::Value;

use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Json {
    /// Threads that serve
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    threads: u32,
    /// Documents in the cache
    #[arg(long, default_value_t = 500)]
    live: usize,
    /// Number of requests, over all threads together
    #[arg(long, default_value_t = 30_000)]
    ops: u64,
}

/// Different texts that come in.
const TEXTS: usize = 64;

/// Of this many requests one is kept.
const KEPT: usize = 8;

const LETTERS: &str = "thequickbrownfoxjumpsoverthelazydogandpacksmyboxwithfivedozenliquorjugs";

fn letters(random: &mut Random, longest: usize) -> &'static str {
    let length = random.between(1, longest);
    let start = random.below(LETTERS.len() - length);
    &LETTERS[start..start + length]
}

/// An order with its customer and 5 to 40 lines, keys in alphabetical order and without a space: serde_json writes the
/// same text back.
fn text(random: &mut Random, number: usize) -> String {
    let mut text = String::new();
    let out = &mut text;
    let lines: Vec<String> = (0..random.between(5, 40))
        .map(|line| {
            let (name, note) = (letters(random, 20), letters(random, 60));
            let (count, cents) = (random.between(1, 99), random.between(100, 999_999));
            let tags: Vec<_> = (0..random.below(5)).map(|_| format!("\"{}\"", letters(random, 9))).collect();
            format!(
                r#"{{"cents":{cents},"count":{count},"gift":{},"line":{line},"name":"{name}","note":"{note}","tags":[{}]}}"#,
                count % 2 == 0,
                tags.join(",")
            )
        })
        .collect();
    write!(
        out,
        r#"{{"customer":{{"address":{{"city":"{}","street":"{}","zip":null}},"id":{number},"name":"{}"}},"lines":[{}],"seen":0}}"#,
        letters(random, 12),
        letters(random, 25),
        letters(random, 30),
        lines.join(",")
    )
    .expect("a string takes all text");
    text
}

/// Parses a text, checks it, and counts that it was seen; gives the document and its new text.
fn serve(text: &str) -> (Value, String) {
    let mut document: Value = serde_json::from_str(text).expect("the texts are valid JSON");
    document["seen"] = Value::from(document["seen"].as_u64().expect("a text has been seen some times") + 1);
    let answer = document.to_string();
    (document, answer)
}

/// One thread's part of the requests; gives the bytes of all answers.
fn serve_all(texts: &[String], cache: &[Mutex<Value>], ops: u64, seed: u64) -> usize {
    let random = &mut Random::new(seed);
    let mut bytes = 0;
    for _ in 0..ops {
        let text = &texts[random.below(texts.len())];
        let (document, answer) = serve(text);
        // "seen" went from 0 to 1, and nothing else may have changed.
        assert!(
            answer.len() == text.len() && answer.ends_with(r#""seen":1}"#),
            "a document was not written as read"
        );
        bytes += answer.len();
        if random.below(KEPT) == 0 {
            let slot = &cache[random.below(cache.len())];
            let mut slot = slot.lock().unwrap_or_else(|error| error.into_inner());
            let older = std::mem::replace(&mut *slot, document);
            drop(slot);
            assert!(older.is_null() || older["seen"] == 1, "a document in the cache was written over");
        }
    }
    bytes
}

impl Workload for Json {
    fn run(&self, scale: Scale) -> Outcome {
        let random = &mut Random::new(1);
        let texts: Vec<String> = (0..TEXTS).map(|number| text(random, number)).collect();
        let cache: Vec<Mutex<Value>> = (0..self.live.max(1)).map(|_| Mutex::new(Value::Null)).collect();
        let threads = u64::from(self.threads);
        let ops = (scale.of(self.ops) / threads).max(1);
        let start = Instant::now();
        let bytes: usize = if threads == 1 {
            // No thread is started: a program of one thread has shortcuts in some allocators.
            serve_all(&texts, &cache, ops, 0)
        } else {
            scope(|scope| {
                let serving: Vec<_> = (0..threads)
                    .map(|seed| {
                        scope.spawn({
                            let (texts, cache) = (&texts, &cache);
                            move || serve_all(texts, cache, ops, seed)
                        })
                    })
                    .collect();
                serving.into_iter().map(|thread| thread.join().expect("a serving thread panicked")).sum()
            })
        };
        drop(cache);
        let elapsed = start.elapsed();
        assert!(bytes as u64 >= threads * ops * 500, "the answers are too short");
        Outcome::new("json", "one document parsed, changed, written and dropped", threads * ops, elapsed)
    }
}
