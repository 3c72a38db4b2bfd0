//! Strings as keys and values of maps that live on: an index of documents that come and go.
//!
//! Models caches, symbol tables, search, sessions: `HashMap<String, Vec<u32>>` from words to documents,
//! `BTreeMap<u32, Document>` of what is held, oldest dropped first. Unlike `mix` nothing is dropped in bulk: small
//! strings of 3 to 40 bytes, vectors that grow from 4 elements on and shrink, nodes of B-trees, and now and then the
//! one large table of the hash map lie beside each other for a long time. Stresses mixed lives, realloc of small
//! vectors, and sized frees.

use std::collections::{BTreeMap, HashMap};
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

/// The words there are: pieces of one random text, so that a word costs a copy and hardly anything else.
struct Vocabulary {
    text: String,
    words: usize,
}

/// Letters of the text that words are cut from.
const TEXT: usize = 1 << 14;

/// Letters of the shortest and of the longest word.
const LENGTHS: (usize, usize) = (3, 40);

impl Vocabulary {
    fn new(words: usize, random: &mut Random) -> Vocabulary {
        let text = (0..TEXT).map(|_| (b'a' + random.below(26) as u8) as char).collect();
        Vocabulary { text, words: words.max(100) }
    }

    /// Some words are frequent and some are rare, as in a language. From 100 on: a word that every document has would
    /// make the time that of moving its list.
    fn word(&self, random: &mut Random) -> String {
        let number = random.between_log(100, self.words);
        let start = number.wrapping_mul(0x9E37_79B9) % (TEXT - LENGTHS.1);
        let length = LENGTHS.0 + number % (LENGTHS.1 - LENGTHS.0 + 1);
        self.text[start..start + length].to_owned()
    }
}

impl Index {
    fn add(&mut self, id: u32, words: usize, vocabulary: &Vocabulary, random: &mut Random) {
        let words: Vec<String> = (0..words).map(|_| vocabulary.word(random)).collect();
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
        let vocabulary = Vocabulary::new(self.live * self.words, random);
        let mut index = Index::default();
        let (mut added, mut dropped, mut found) = (0, 0, 0);
        let start = Instant::now();
        for id in 0..documents {
            if index.documents.len() >= self.live.max(1) {
                dropped += index.drop_oldest();
            }
            index.add(id, self.words, &vocabulary, random);
            added += self.words;
            for _ in 0..4 {
                found += index.find(&vocabulary.word(random)).len();
            }
        }
        let held: usize = index.places.values().map(Vec::len).sum();
        assert_eq!(held + dropped, added, "the index lost words");
        assert!(found > 0 || self.words == 0, "no word was ever found");
        drop(index);
        Outcome::new("strings", "one word added and dropped", added as u64, start.elapsed())
    }
}
