//! Claim: whichever system call of the library fails, alone, from some moment on, or many at once by chance, the program gets
//! NULL with ENOMEM or what it asked for; nothing is lost, nothing leaks, nothing aborts.
//!
//! `c/life/refused_calls.c` uses all that the library has, and is run again and again while `cairn_tests::refusal` makes the
//! n-th call of one kind fail. What is checked inside the program stands there; here the report of `CAIRN_STATS` is looked at:
//! every byte of the heap must be accounted for.
//!
//! A run of the suite takes samples. Every call, one after the other, and so many runs by chance:
//! `CAIRN_STRAITS_RUNS=2000 cargo test -p cairn-tests --test life refusals -- --nocapture`
//! A failure prints its plan, which runs alone with
//! `CAIRN_STRAITS_PLAN='mmap from 3 count 1 error 0' cargo test -p cairn-tests --test life refusals::a_plan -- --nocapture`

use cairn_tests::cprogram::preloaded;
use cairn_tests::refusal::{self, Begin, KINDS, Outcome, Plan};
use cairn_tests::scratch::Scratch;
use cairn_tests::{command, compile, library, programs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From its first number on, all calls of a kind.
const ALL: usize = usize::MAX;

struct Storm {
    program: PathBuf,
    scratch: Scratch,
    early: bool,
    /// Of `CAIRN_MODE`.
    mode: &'static str,
    failures: Vec<String>,
    runs: usize,
    refused: BTreeMap<&'static str, usize>,
}

impl Storm {
    /// None, and said, if this machine can't.
    fn new(early: bool, mode: &'static str) -> Option<Storm> {
        if !cfg!(target_arch = "x86_64") {
            programs::skip("system calls are refused by writing registers, which is done for x86-64 only");
            return None;
        }
        let program = compile::program("life/refused_calls.c", &[])?;
        let scratch = Scratch::new("refusals");
        Some(Storm { program, scratch, early, mode, failures: Vec::new(), runs: 0, refused: BTreeMap::new() })
    }

    /// One run, judged; None, and said, if this machine forbids ptrace.
    fn run(&mut self, plan: Plan) -> Option<Outcome> {
        let report = self.scratch.path().join("report");
        let _ = std::fs::remove_file(&report);
        let seed = self.runs.to_string();
        // A guard that can't be taken away leaves pages behind in the other modes, so there a single refusal only is held to account.
        let is_loose = self.mode != "default" && !matches!(plan, Plan::Nothing | Plan::Some { count: 1, .. });
        let kind = if self.early {
            "early"
        } else if is_loose {
            "loose"
        } else {
            "strict"
        };
        let args: &[&str] = &["1", &seed, kind];
        let mut command = preloaded(&self.program, args);
        command.env("CAIRN_STATS", &report).env("CAIRN_MODE", self.mode);
        if matches!(plan, Plan::GuardsAndChance { .. }) {
            // So that some blocks are drawn, and guards are asked for.
            command.env("CAIRN_SAMPLE_RATE", "50");
        }
        let begin = if self.early { Begin::AtOnce } else { Begin::Marked };
        let Some(outcome) = refusal::run(&mut command, plan, begin, Duration::from_secs(30)) else {
            programs::skip("this machine forbids ptrace");
            return None;
        };
        self.runs += 1;
        outcome.refused.iter().for_each(|(name, count)| *self.refused.entry(name).or_default() += count);
        if let Err(words) = self.judge(plan, &outcome, &report) {
            let seen = format!("refused {:?}\n{}", outcome.refused, outcome.said);
            self.failures.push(format!("plan '{plan}', mode {}, seed {seed}: {words}; {seen}", self.mode));
        }
        Some(outcome)
    }

    fn judge(&self, plan: Plan, outcome: &Outcome, report: &Path) -> Result<(), String> {
        if outcome.traced.hung {
            return Err("it did not end".into());
        }
        if !outcome.unknown.is_empty() {
            return Err(format!("system calls {:?} are none that refusal.rs knows", outcome.unknown));
        }
        let (asked, refused) = outcome.guards;
        if let Plan::GuardsAndChance { per_mille, .. } = plan {
            // Where most is refused there may be no memory that could be guarded.
            if refused < asked || (asked == 0 && per_mille <= 100) {
                return Err(format!(
                    "{refused} of {asked} guards were refused: this was no kernel without them"
                ));
            }
        }
        let status = outcome.traced.status;
        if self.early && libc::WIFEXITED(status) && outcome.refused.values().sum::<usize>() > 0 {
            // The loader or the C library may have no way on without memory: they say so and end.
            return if outcome.said.contains("not so") {
                Err("the program found a fault".into())
            } else {
                Ok(())
            };
        }
        if status != 0 {
            return Err(format!("it ended with {status:#x}"));
        }
        if !["default", "sampled"].contains(&self.mode) {
            // What waits in a quarantine is no loss. (That of sampled mode is no part of the heap.)
            return Ok(());
        }
        let report = std::fs::read_to_string(report).map_err(|e| format!("the report: {e}"))?;
        let lost = lost_bytes(&report).ok_or("the report is not whole")?;
        // A refused move costs the addresses, not the memory, of the span that the block was to go to: that may no longer be ours.
        // So does one whose hole can't be filled, though it is tried twice.
        let times = |name| outcome.refused.get(name).copied().unwrap_or(0);
        let may_be = if times("mremap") > 0 || times("mmap") > 1 { 192 << 20 } else { 0 };
        if lost > may_be { Err(format!("{lost} bytes of the heap are lost\n{report}")) } else { Ok(()) }
    }

    /// Fails with all that was found.
    #[track_caller]
    fn end(self) {
        println!("{} runs, refused {:?}", self.runs, self.refused);
        let shown: Vec<_> = self.failures.iter().take(5).map(String::as_str).collect();
        assert!(
            shown.is_empty(),
            "{} of {} runs failed\n{}",
            self.failures.len(),
            self.runs,
            shown.join("\n")
        );
    }
}

/// Bytes of the heap that are in no block, no slab, no free span and no record, when the program has freed everything. (Descriptors
/// are records that lie outside, so some bytes can be missed.)
fn lost_bytes(report: &str) -> Option<i64> {
    let number = |key: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        line.parse::<i64>().ok()
    };
    let slabs = report.lines().filter(|line| line.starts_with("class "));
    let slab_bytes = slabs.map(|line| line.rsplit(' ').next()?.parse::<i64>().ok()).sum::<Option<i64>>()?;
    report.ends_with("end\n").then_some(())?;
    let known =
        number("free_dirty_bytes")? + number("free_clean_bytes")? + number("metadata_bytes")? + slab_bytes;
    Some(number("committed_bytes")? - known - number("large_bytes")?)
}

/// How many further runs the environment asks for; then nothing is left out.
fn long() -> Option<u64> {
    let runs = std::env::var("CAIRN_STRAITS_RUNS").ok()?;
    Some(runs.parse().unwrap_or_else(|_| panic!("CAIRN_STRAITS_RUNS={runs} is no number")))
}

/// At most so many of the numbers from 1 to `last`, evenly.
fn sample(last: usize, most: usize) -> Vec<usize> {
    let step = if long().is_some() { 1 } else { last.div_ceil(most) };
    (1..=last).step_by(step.max(1)).collect()
}

/// The plans in which a kind of call fails once, for each of so many numbers; or from there on for good.
fn plans(made: &BTreeMap<&'static str, usize>, most: usize, count: usize) -> Vec<Plan> {
    let kinds = KINDS.iter().enumerate().filter_map(|(kind, named)| Some((kind, *made.get(named.name)?)));
    let of_kind = |(kind, last)| {
        let numbers = sample(last, most).into_iter();
        numbers.map(move |from| Plan::Some { kind, from, count, error: from % KINDS[kind].errors.len() })
    };
    kinds.flat_map(of_kind).collect()
}

/// Runs the plans that `make` makes of the calls seen without refusals.
fn all(early: bool, mode: &'static str, make: impl FnOnce(&BTreeMap<&'static str, usize>) -> Vec<Plan>) {
    let Some(mut storm) = Storm::new(early, mode) else { return };
    let Some(quiet) = storm.run(Plan::Nothing) else { return };
    assert!(storm.failures.is_empty(), "without refusals: {:?}", storm.failures);
    println!("calls of the library: {:?}", quiet.made);
    for call in ["mmap", "mprotect", "madvise", "mremap", "mincore"] {
        assert!(
            mode != "default" || quiet.made.contains_key(call),
            "no {call} was seen: the tracer is blind, or the program does too little"
        );
    }
    for plan in make(&quiet.made) {
        let _ = storm.run(plan);
    }
    storm.end();
}

#[test]
fn one_call_fails() {
    all(false, "default", |made| plans(made, 10, 1));
}

#[test]
fn a_call_fails_from_some_moment_on() {
    all(false, "default", |made| plans(made, 4, ALL));
}

#[test]
fn calls_fail_by_chance() {
    all(false, "default", |_| chances(40));
}

#[test]
fn calls_fail_in_the_hardened_mode() {
    all(false, "hardened", |made| [plans(made, 2, 1), plans(made, 1, ALL), chances(5)].concat());
}

#[test]
fn calls_fail_in_the_debug_mode() {
    all(false, "debug", |made| [plans(made, 1, 1), chances(4)].concat());
}

#[test]
fn calls_fail_in_the_sampled_mode() {
    all(false, "sampled", |made| [plans(made, 2, 1), plans(made, 1, ALL), chances(5)].concat());
}

/// A kernel without guards in its page tables: they are mappings, and so may be refused like any other.
#[test]
fn calls_fail_on_a_kernel_without_guards() {
    for mode in ["hardened", "debug", "sampled"] {
        all(false, mode, |_| chances(5).into_iter().map(without_guards).collect());
    }
}

fn without_guards(plan: Plan) -> Plan {
    let Plan::Chance { seed, per_mille } = plan else { return plan };
    Plan::GuardsAndChance { seed, per_mille }
}

/// So many runs by chance, few refusals and many.
fn chances(runs: u64) -> Vec<Plan> {
    let seeds = 1..=long().unwrap_or(runs);
    seeds.map(|seed| Plan::Chance { seed, per_mille: [20, 100, 300, 700, 1000][seed as usize % 5] }).collect()
}

#[test]
fn calls_fail_from_the_start() {
    all(true, "default", |made| {
        let chances =
            (1..=long().unwrap_or(10)).map(|seed| Plan::Chance { seed, per_mille: 100 * (seed % 10 + 1) });
        [plans(made, 3, 1), plans(made, 2, ALL)].concat().into_iter().chain(chances).collect()
    });
}

/// Without a key for thread-specific data no thread can have bins, since nobody would empty them at its end: all goes to the
/// centers directly, and nothing else changes.
#[test]
fn there_are_no_keys_for_thread_specific_data() {
    let Some(between) = compile::shared("life/lib_no_keys.c", &[]) else { return };
    let program = compile::program("life/refused_calls.c", &[]).expect("a compiler is there");
    let preload = std::env::join_paths([library::shared_object(), &between]).expect("paths without a colon");
    for what in ["create", "set"] {
        let mut command = preloaded(&program, &["1", "5", "strict"]);
        command.env("LD_PRELOAD", &preload).env("NO_KEYS", what);
        command::run(&mut command, Duration::from_secs(60)).expect_success();
    }
}

/// For who looks into a failure.
#[test]
fn a_plan() {
    let Ok(plan) = std::env::var("CAIRN_STRAITS_PLAN") else { return };
    let mode = std::env::var("CAIRN_STRAITS_MODE").map_or("default", |mode| mode.leak());
    let plan = plan.parse().unwrap_or_else(|words| panic!("CAIRN_STRAITS_PLAN: {words}"));
    let Some(mut storm) = Storm::new(std::env::var_os("CAIRN_STRAITS_START").is_some(), mode) else { return };
    storm.runs = std::env::var("CAIRN_STRAITS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let Some(outcome) = storm.run(plan) else { return };
    println!("made {:?}, refused {:?}\n{}", outcome.made, outcome.refused, outcome.said);
    storm.end();
}
