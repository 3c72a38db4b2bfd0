//! The stress tests for as long as one likes: all patterns in turn, each time with another seed, and fork under stress
//! between them.
//!
//! `cargo run --release -p cairn-tests --bin soak -- --minutes 30`

use cairn_tests::{command, compile, cprogram, library};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATTERNS: [&str; 6] = ["pass", "pipeline", "churn", "realloc", "align", "bulk"];
const USAGE: &str = "usage: soak [--minutes N] [--seconds-each N] [--seed N]";

/// What the command line asked for.
struct Options {
    minutes: u64,
    seconds_each: u64,
    seed: u64,
}

fn options() -> Result<Options, String> {
    let mut options = Options { minutes: 30, seconds_each: 20, seed: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let target = match word.as_str() {
            "--minutes" => &mut options.minutes,
            "--seconds-each" => &mut options.seconds_each,
            "--seed" => &mut options.seed,
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        };
        let value = words.next().ok_or(format!("{word} wants a number\n{USAGE}"))?;
        *target = value.parse().map_err(|_| format!("{word} wants a number, not {value}\n{USAGE}"))?;
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let stress = compile::program("stress/stress.c", &[]);
    let fork = compile::program("life/fork_stress.c", &[]);
    let (Some(stress), Some(fork)) = (stress, fork) else { return ExitCode::FAILURE };
    eprintln!("soaking {} for {} minutes", library::shared_object().display(), options.minutes);
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    let seconds = options.seconds_each.to_string();
    let limit = Duration::from_secs(options.seconds_each * 2 + 60);
    let mut seed = options.seed;
    while Instant::now() < end {
        for pattern in PATTERNS {
            let numbers = seed.to_string();
            let finished =
                command::run(&mut cprogram::preloaded(&stress, &[pattern, &seconds, &numbers]), limit);
            finished.expect_success();
            print!("seed {seed}, {}", finished.out());
        }
        command::run(&mut cprogram::preloaded(&fork, &["400"]), Duration::from_secs(300)).expect_success();
        seed += 1;
    }
    println!("no fault found with seeds {} to {}", options.seed, seed - 1);
    ExitCode::SUCCESS
}
