//! Clients and servers that send each other boxed messages through channels, and share documents by `Arc`.
//!
//! Models services of Rust: actors, pools of workers, pipelines. A request is a `Box` with a `String` and a clone of
//! an `Arc<Document>`; the server drops it and sends a `Box` with a `Vec` back, which the client drops. So nearly every
//! block is freed by another thread than the one that asked for it, also the document (by whoever drops it last), and
//! the channel's own blocks. Stresses frees from afar, and threads that sleep in between with blocks in their stores.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::scope;
use std::time::Instant;

use clap::Args;

use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Channels {
    /// Threads in all: half of them are clients and half are servers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=1_024))]
    threads: u32,
    /// Requests that a client sends before it waits for the answers
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Number of requests, over all clients together
    #[arg(long, default_value_t = 2_000_000)]
    ops: u64,
}

/// What a batch of requests is about.
struct Document {
    words: Vec<u64>,
    name: String,
}

struct Request {
    /// Where in the document the answer begins.
    from: usize,
    length: usize,
    text: String,
    document: Arc<Document>,
    answers: Sender<Box<Answer>>,
}

struct Answer {
    words: Vec<u64>,
    letters: usize,
}

/// Words of each document.
const WORDS: usize = 128;

const LETTERS: &str = "thequickbrownfoxjumpsoverthelazydogandpacksmyboxwithfivedozenliquorjugs";

/// Answers until all clients are gone.
fn serve(requests: Receiver<Box<Request>>) {
    for request in requests {
        let words = request.document.words[request.from..][..request.length].to_vec();
        let letters = request.text.len() + request.document.name.len();
        // A client that is gone has panicked, which ends the program anyway.
        let _ = request.answers.send(Box::new(Answer { words, letters }));
    }
}

fn document(random: &mut Random, number: u64) -> Arc<Document> {
    let first = random.bits() >> 32;
    let words = (0..WORDS as u64).map(|at| first + at).collect();
    Arc::new(Document { words, name: format!("document {number}") })
}

/// One client: batches of requests to all servers in turn, and their answers, which must have the right sum.
fn ask(servers: &[Sender<Box<Request>>], batches: u64, batch: u64, seed: u64) {
    let random = &mut Random::new(seed);
    let (answers, inbox) = channel();
    let mut next = seed as usize;
    for number in 0..batches {
        let document = document(random, number);
        let mut expected = (0u64, 0);
        for _ in 0..batch {
            let (length, start) = (random.below(WORDS / 4), random.below(40));
            let from = random.below(WORDS - length);
            let text = LETTERS[start..start + random.between(1, 30)].to_owned();
            expected.0 += document.words[from..][..length].iter().sum::<u64>();
            expected.1 += text.len() + document.name.len();
            let request =
                Request { from, length, text, document: document.clone(), answers: answers.clone() };
            servers[next % servers.len()].send(Box::new(request)).expect("a server ended before its clients");
            next += 1;
        }
        drop(document);
        for _ in 0..batch {
            let answer: Box<Answer> = inbox.recv().expect("this client holds a sender of its own inbox");
            expected.0 -= answer.words.iter().sum::<u64>();
            expected.1 -= answer.letters;
        }
        assert_eq!(expected, (0, 0), "an answer is not the one to its request");
    }
}

impl Workload for Channels {
    fn run(&self, scale: Scale) -> Outcome {
        let pairs = u64::from(self.threads / 2);
        let batches = (scale.of(self.ops) / pairs / self.batch).max(1);
        let start = Instant::now();
        scope(|scope| {
            let servers: Vec<_> = (0..pairs)
                .map(|_| {
                    let (sender, requests) = channel();
                    scope.spawn(move || serve(requests));
                    sender
                })
                .collect();
            for seed in 0..pairs {
                let servers = servers.clone();
                scope.spawn(move || ask(&servers, batches, self.batch, seed));
            }
        });
        Outcome::new("channels", "one request and its answer", pairs * batches * self.batch, start.elapsed())
    }
}
