//! Strings as keys and values of maps that live on: an index of documents that come and go.
//!
//! Models caches, symbol tables, search, sessions: `HashMap<String, Vec<u32>>` from words to documents,
//! `BTreeMap<u32, Document>` of what is held, oldest dropped first. Unlike `mix` nothing is dropped in bulk: small strings of
//! 3 to 40 bytes, vectors that grow from 4 elements on and shrink, nodes of B-trees, and now and then the one large table of
//! the hash map lie beside each other for a long time. Stresses mixed lives, realloc of small vectors, and sized frees.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use clap::Args;

use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// A hash map without a random seed, so that every run does the same.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

#[derive(Args)]
pub struct Strings {
    /// Documents that are held
    #[arg(long, default_value_t = 4_000)]
    live: usize,
    /// Words of each document
    #[arg(long, default_value_t = 60)]
    words: usize,
    /// Documents that come, and of which the oldest go
    #[arg(long, default_value_t = 20_000)]
    documents: u32,
}

struct Document {
    title: String,
    words: Vec<String>,
}

#[derive(Default)]
struct Index {
    documents: BTreeMap<u32, Document>,
    places: Map<String, Vec<u32>>,
}

/// Some words are frequent and some are rare, as in a language.
fn word(random: &mut Random, vocabulary: usize) -> String {
    // From 100 on: a word that every document has would make the time that of moving its list.
    let number = random.between_log(100, vocabulary.max(100));
    let mut text = String::new();
    // The length depends on the number alone, so that the same word comes again.
    for at in 0..1 + number % 5 {
        write!(text, "{:x}", number.wrapping_mul(0x9E37_79B9 + at)).expect("a string takes all text");
    }
    text.truncate(3 + number % 38);
    text
}

impl Index {
    fn add(&mut self, id: u32, words: usize, vocabulary: usize, random: &mut Random) {
        let words: Vec<String> = (0..words).map(|_| word(random, vocabulary)).collect();
        for word in &words {
            match self.places.get_mut(word) {
                Some(places) => places.push(id),
                None => {
                    self.places.insert(word.clone(), vec![id]);
                }
            }
        }
        let title = words.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(" ");
        self.documents.insert(id, Document { title, words });
    }

    /// Drops the oldest document and every word that only it had; gives the number of its words.
    fn drop_oldest(&mut self) -> usize {
        let Some((id, document)) = self.documents.pop_first() else { return 0 };
        for word in &document.words {
            let places = self.places.get_mut(word).expect("every word of a document is in the index");
            // The oldest document is in front: documents are added in order.
            assert_eq!(places.first(), Some(&id), "the index lost a document");
            places.remove(0);
            if places.is_empty() {
                self.places.remove(word);
            } else if places.capacity() > 64 && places.len() * 4 < places.capacity() {
                places.shrink_to(places.len() * 2);
            }
        }
        document.words.len()
    }

    /// The titles of the documents that have a word, joined: a string that grows.
    fn find(&self, word: &str) -> String {
        let mut text = String::new();
        for id in self.places.get(word).into_iter().flatten().take(20) {
            text.push_str(&self.documents[id].title);
            text.push('\n');
        }
        text
    }
}

impl Workload for Strings {
    fn run(&self, scale: Scale) -> Outcome {
        let random = &mut Random::new(1);
        let documents = scale.of(u64::from(self.documents)) as u32;
        // About one new word in twenty.
        let vocabulary = self.live * self.words;
        let mut index = Index::default();
        let (mut added, mut dropped, mut found) = (0, 0, 0);
        let start = Instant::now();
        for id in 0..documents {
            if index.documents.len() >= self.live.max(1) {
                dropped += index.drop_oldest();
            }
            index.add(id, self.words, vocabulary, random);
            added += self.words;
            for _ in 0..4 {
                found += index.find(&word(random, vocabulary)).len();
            }
        }
        let held: usize = index.places.values().map(Vec::len).sum();
        assert_eq!(held + dropped, added, "the index lost words");
        assert!(found > 0 || self.words == 0, "no word was ever found");
        drop(index);
        Outcome::new("strings", "one word added and dropped", added as u64, start.elapsed())
    }
}
