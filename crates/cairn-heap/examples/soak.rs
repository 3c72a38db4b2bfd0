//! A soak: random operations against the shadow, spread over all policies, sources and ways to coalesce.
//!
//! `cargo run --release -p cairn-heap --example soak -- --operations 10000000 [--seed 1] [--every 1000]`
//!
//! Progress goes to stderr, one line for each heap; the result, one line, to stdout. What fails, fails with the line to repeat it.

use std::process::ExitCode;
use std::time::Instant;

use cairn_heap::*;

#[path = "../tests/shadow/mod.rs"]
mod shadow;

use shadow::{Shadow, Steps};

const HELP: &str = "soak: random operations on all heaps, each held against a shadow and audited

  --operations N   in all, spread evenly (10000000)
  --every N        audits after each so many operations (1000)
  --seed N         where the random numbers begin (1)
";

/// Bytes that the sources have.
const BYTES: usize = 16 << 20;

struct Soak {
    each: usize,
    every: usize,
    seed: u64,
    done: usize,
    began: Instant,
}

impl Soak {
    fn run<S: Source, P: Placement, C: Config>(&mut self, source: S, name: &str) {
        let mut shadow = Shadow::new(Heap::<S, P, C>::new(source));
        shadow.every = self.every;
        let mut steps = Steps::from_seed(self.seed, self.each);
        steps.phase = 10_000;
        steps.for_each(|step| shadow.step(step));
        let extent = shadow.heap.extent();
        shadow.free_all();
        self.done += self.each;
        self.seed += 1;
        let seconds = self.began.elapsed().as_secs_f64();
        eprintln!("{:>9} operations, {seconds:>6.1} s: {:<17} {name}, extent {extent}", self.done, P::NAME);
    }

    fn policy<P: Placement>(&mut self) {
        let mut memory = vec![0xA5_u8; BYTES];
        let start = memory.as_mut_ptr();
        // SAFETY: the ranges that are named below lie in the buffer, and only one heap lives there at a time.
        let region = |from: usize, bytes: usize| unsafe { Region::from_raw(start.add(from), bytes) };
        self.run::<_, P, Standard>(region(0, BYTES), "region");
        self.run::<_, P, Deferred>(region(0, BYTES), "region, deferred");
        // Some hundred kilobytes each at first, so that all of them are needed.
        let regions = || {
            Regions::new([
                region(5 << 20, 8 << 20),
                region(3, 100_001),
                region(1 << 20, 77),
                region(2 << 20, 200_000),
                region(3 << 20, 1 << 20),
            ])
        };
        self.run::<_, P, Standard>(regions(), "several regions");
        self.run::<_, P, Deferred>(regions(), "several regions, deferred");
        self.run::<_, P, Standard>(Map::new(BYTES), "map");
        self.run::<_, P, Deferred>(Map::new(BYTES), "map, deferred");
        self.run::<_, P, Standard>(Break::new(BYTES), "program break");
        self.run::<_, P, Deferred>(Break::new(BYTES), "program break, deferred");
    }
}

fn main() -> ExitCode {
    let (mut operations, mut every, mut seed) = (10_000_000, 1000, 1);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.replace('_', "").parse::<usize>().ok());
        match (word.as_str(), value) {
            ("--operations", Some(value)) => operations = value,
            ("--every", Some(value)) if value > 0 => every = value,
            ("--seed", Some(value)) => seed = value as u64,
            ("--help" | "-h", _) => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprint!("soak: {word}: not an option, or its number is missing\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let each = operations.div_ceil(8 * 8);
    let mut soak = Soak { each, every, seed, done: 0, began: Instant::now() };
    soak.policy::<FirstFit>();
    soak.policy::<FirstFitAddress>();
    soak.policy::<NextFit>();
    soak.policy::<BestFit>();
    soak.policy::<WorstFit>();
    soak.policy::<BestFitTree>();
    soak.policy::<Segregated>();
    soak.policy::<TwoLevel>();
    println!(
        "{} operations on 64 heaps, seed {seed}: every block kept its contents, every audit was content",
        soak.done
    );
    ExitCode::SUCCESS
}
