//! The long soak: all stress tests for as long as one likes, with the audit on: all patterns in turn, each time with another seed, audits
//! among threads that are born and end and fork, and fork under stress, in every mode that is named.
//!
//! `cargo run --release -p cairn-tests --bin soak -- --minutes 30`

use cairn_tests::{command, compile, cprogram, library};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const PATTERNS: [&str; 6] = ["pass", "pipeline", "churn", "realloc", "align", "bulk"];
const USAGE: &str = "\
usage: soak [--minutes N] [--seconds-each N] [--seed N] [--audit-ms N] [--mode MODE]
  --minutes N       go on for so long (30)
  --seconds-each N  each program runs for so long (20)
  --seed N          of the first round; each further one takes the next (1)
  --audit-ms N      milliseconds between two audits of the heap; 0: none while it runs (50)
  --mode MODE       default, hardened, debug or sampled (default)";

/// What the command line asked for.
struct Options {
    minutes: u64,
    seconds_each: u64,
    seed: u64,
    audit_ms: u64,
    mode: String,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { minutes: 30, seconds_each: 20, seed: 1, audit_ms: 50, mode: "default".to_owned() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let target = match word.as_str() {
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            "--minutes" => &mut options.minutes,
            "--seconds-each" => &mut options.seconds_each,
            "--seed" => &mut options.seed,
            "--audit-ms" => &mut options.audit_ms,
            "--mode" => {
                options.mode = words.next().ok_or(format!("--mode wants a name\n{USAGE}"))?;
                continue;
            }
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        };
        let value = words.next().ok_or(format!("{word} wants a number\n{USAGE}"))?;
        *target = value.parse().map_err(|_| format!("{word} wants a number, not {value}\n{USAGE}"))?;
    }
    Ok(options)
}

/// The programs, and what they have done so far.
struct Soak {
    stress: PathBuf,
    audit: PathBuf,
    fork: PathBuf,
    options: Options,
    begin: Instant,
    programs: u64,
    audits: u64,
    operations: u64,
    forks: u64,
}

impl Soak {
    /// Runs one program; tells how it goes on one line of stderr, and takes up what it counted.
    fn run(&mut self, name: &str, program: &mut Command, limit: Duration) {
        let gone = self.begin.elapsed().as_secs();
        let (minutes, seconds) = (gone / 60, gone % 60);
        eprint!(
            "\r{minutes:4}:{seconds:02} of {}:00  {:>6} programs  {:>9} audits  {:>13} operations  {name:<10}",
            self.options.minutes, self.programs, self.audits, self.operations
        );
        let _ = std::io::stderr().flush();
        let report = std::env::temp_dir().join(format!("cairn-soak-{}", std::process::id()));
        program
            .env("CAIRN_AUDIT_MS", self.options.audit_ms.to_string())
            .env("CAIRN_MODE", &self.options.mode)
            .env("CAIRN_STATS", &report)
            .env("CAIRN_STATS_PARENT", std::process::id().to_string());
        let finished = command::run(program, limit);
        finished.expect_success();
        self.programs += 1;
        let said = finished.out();
        self.operations += number_before(&said, " operations");
        self.forks += number_before(&said, " forks");
        let report_text = std::fs::read_to_string(&report).unwrap_or_default();
        let counted = report_text.lines().find_map(|line| line.strip_prefix("audits ")?.parse::<u64>().ok());
        self.audits += counted.unwrap_or(0);
        let _ = std::fs::remove_file(&report);
    }

    /// All programs once, with this seed.
    fn round(&mut self, seed: u64) {
        let seconds = self.options.seconds_each.to_string();
        // In debug mode everything takes longer, and so does a machine that is busy with something else.
        let limit = Duration::from_secs(self.options.seconds_each * 4 + 300);
        for pattern in PATTERNS {
            let program = &mut cprogram::preloaded(&self.stress, &[pattern, &seconds, &seed.to_string()]);
            self.run(pattern, program, limit);
        }
        let program = &mut cprogram::preloaded(&self.audit, &[&seconds]);
        self.run("audits", program, limit);
        let program = &mut cprogram::preloaded(&self.fork, &["200"]);
        self.run("forks", program, Duration::from_secs(1200));
        self.forks += 3200;
    }
}

/// The number that stands before these words; 0 if there is none.
fn number_before(text: &str, words: &str) -> u64 {
    let number = text.split(words).next().filter(|before| before.len() < text.len());
    number.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
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
    let audit = compile::program("stress/audit.c", &[]);
    let fork = compile::program("life/fork_stress.c", &[]);
    let (Some(stress), Some(audit), Some(fork)) = (stress, audit, fork) else { return ExitCode::FAILURE };
    eprintln!(
        "soaking {} for {} minutes, an audit each {} ms, {} mode",
        library::shared_object().display(),
        options.minutes,
        options.audit_ms,
        options.mode
    );
    let begin = Instant::now();
    let (first_seed, minutes) = (options.seed, options.minutes);
    let mut soak =
        Soak { stress, audit, fork, options, begin, programs: 0, audits: 0, operations: 0, forks: 0 };
    let mut seed = first_seed;
    while begin.elapsed() < Duration::from_secs(minutes * 60) {
        soak.round(seed);
        seed += 1;
    }
    eprintln!();
    println!(
        "no fault and no damage in {} minutes: {} programs with seeds {first_seed} to {}, {} operations checked, {} forks, {} audits",
        begin.elapsed().as_secs() / 60,
        soak.programs,
        seed - 1,
        soak.operations,
        soak.forks,
        soak.audits
    );
    ExitCode::SUCCESS
}
