//! One run: a load, on an allocator, in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::Context;

use super::catalogue::{Kind, Load};
use super::distance::Places;
use super::disturbance::{Ticks, judge};
use super::peers::Peer;
use super::results::Run;
use super::schedule::Plan;
use cairn_workload::Outcome;
use cairn_workload::launch::{self, End, Report};
use cairn_workload::ready;

/// What a run gave.
pub struct Measured {
    /// The numbers, or what went wrong in words.
    pub run: Result<Run, String>,
    /// What a real program printed; the outcome of a pattern differs by nature.
    pub output: Vec<u8>,
    /// What a pattern counts.
    pub operation: Option<String>,
}

/// Runs it once, with `ready_mib` MiB of free memory at hand. An error is one of this program; what the load does is in the result.
pub fn measure(
    load: &Load,
    peer: &Peer,
    plan: &Plan,
    ready_mib: u64,
    places: &mut Places,
) -> anyhow::Result<Measured> {
    make_ready(plan, ready_mib)?;
    let mut command = Command::new(&plan.workload);
    command.arg(launch::WORD).arg(plan.timeout.as_secs().max(1).to_string()).args(&load.settings);
    let library = peer.library.as_deref().filter(|_| load.kind != Kind::RustDoor);
    if let Some(library) = library {
        command.arg(format!("LD_PRELOAD={}", library.display()));
    }
    command.args(peer.environment.iter().map(|(name, value)| format!("{name}={value}")));
    command.arg("--");
    match (load.kind, &peer.rust) {
        (Kind::Program, _) => &mut command,
        (Kind::RustDoor, Some(program)) => command.arg(program),
        _ => command.arg(&plan.workload),
    };
    command.args(&load.words);
    // Nothing of the caller's may change what is measured.
    command.env_remove("LD_PRELOAD").stdin(Stdio::null());
    let hands_over = load.hands_over();
    let mut distances_ns = Vec::from_iter(hands_over.then(|| places.before()).flatten());
    let before = Ticks::now();
    let output =
        command.output().with_context(|| format!("can't start the launcher {}", plan.workload.display()))?;
    let after = Ticks::now();
    distances_ns.extend(hands_over.then(|| places.after()).flatten());
    let (report, printed) = split(&output.stdout).context("the launcher gave no report")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let outcome: Option<Outcome> = serde_json::from_slice(printed).ok();
    let run = match failure(&report, &complaint, library) {
        Some(failure) => Err(failure),
        None => Ok(Run {
            report,
            ns_per_operation: outcome.as_ref().map(|outcome| outcome.ns_per_operation),
            points: outcome.as_ref().map(|outcome| outcome.points.clone()).unwrap_or_default(),
            distances_ns,
            moved: hands_over && places.moved(),
            disturbed_s: judge(&report, load.threads, before, after),
        }),
    };
    let output = if outcome.is_some() { Vec::new() } else { printed.to_vec() };
    Ok(Measured { run, output, operation: outcome.map(|outcome| outcome.operation) })
}

/// What ran before must not decide how quick fresh memory is: see `cairn_workload::ready`. Where memory is too short for that it has to go without.
fn make_ready(plan: &Plan, mib: u64) -> anyhow::Result<()> {
    let status = Command::new(&plan.workload)
        .arg(ready::WORD)
        .arg(mib.to_string())
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("can't start {}", plan.workload.display()))?;
    static WARNED: Once = Once::new();
    if !status.success() {
        WARNED.call_once(|| {
            eprintln!(
                "{mib} MiB of free memory could not be touched before a run ({status}): what ran before may decide how quick it is"
            );
        });
    }
    Ok(())
}

/// The report is the first line, the rest is the program's.
pub(crate) fn split(output: &[u8]) -> anyhow::Result<(Report, &[u8])> {
    let end = output.iter().position(|&byte| byte == b'\n').context("it printed no line")?;
    Ok((serde_json::from_slice(&output[..end])?, &output[end + 1..]))
}

/// What went wrong, in words; nothing if all is well.
pub(crate) fn failure(report: &Report, complaint: &str, library: Option<&Path>) -> Option<String> {
    // The dynamic loader goes on without the library, and glibc would be measured under a wrong name.
    if library.is_some() && complaint.contains("cannot be preloaded") {
        return Some("the dynamic loader can't preload it".to_owned());
    }
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let because = if last.is_empty() { String::new() } else { format!(": {}", shorten(last, 120)) };
    match report.end {
        End::Exit(0) => None,
        End::Exit(status) => Some(format!("exit status {status}{because}")),
        End::Signal(signal) => Some(format!("crashed by {}{because}", signal_name(signal))),
        End::Timeout => Some("took too long and was ended".to_owned()),
        End::NotStarted => Some(format!("did not start{because}")),
    }
}

fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGILL => "SIGILL".to_owned(),
        libc::SIGTRAP => "SIGTRAP".to_owned(),
        libc::SIGKILL => "SIGKILL (out of memory?)".to_owned(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"end":{"Exit":0},"wall_ns":5,"user_ns":3,"system_ns":1,"peak_rss_kib":9,
        "minor_faults":1,"major_faults":0,"voluntary_switches":2,"involuntary_switches":3}"#;

    fn report(end: End) -> Report {
        Report { end, ..serde_json::from_str(REPORT).unwrap() }
    }

    #[test]
    fn report_and_output_are_told_apart() {
        let text = format!("{}\nfirst\nsecond\n", REPORT.replace('\n', ""));
        let (report, rest) = split(text.as_bytes()).unwrap();
        assert_eq!((report.cpu_ns(), report.end), (4, End::Exit(0)));
        assert_eq!(rest, b"first\nsecond\n");
        assert!(split(b"").is_err());
        assert!(split(b"no report\n").is_err());
    }

    #[test]
    fn failures_are_named() {
        assert_eq!(failure(&report(End::Exit(0)), "a warning\n", None), None);
        let crash =
            failure(&report(End::Signal(libc::SIGABRT)), "free(): invalid pointer\n\n", None).unwrap();
        assert_eq!(crash, "crashed by SIGABRT: free(): invalid pointer");
        assert_eq!(failure(&report(End::Exit(3)), "", None).unwrap(), "exit status 3");
        assert!(failure(&report(End::Timeout), "", None).unwrap().contains("too long"));
    }

    #[test]
    fn a_library_that_is_not_loaded_is_no_result() {
        let complaint = "ERROR: ld.so: object 'x.so' from LD_PRELOAD cannot be preloaded: ignored.\n";
        assert!(failure(&report(End::Exit(0)), complaint, Some(Path::new("x.so"))).is_some());
    }
}
