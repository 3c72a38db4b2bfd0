//! `cairn check`: traces with the heap's own audit after each operation.

use cairn_lab::replay::{audit, memory_for};

use crate::failure::{Failure, OURS};
use crate::replay::{Inputs, Progress, WRONG, heaps, names};
use crate::table::count;

/// `cairn check`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Check {
    #[command(flatten)]
    inputs: Inputs,
    /// Placement policies to check, separated by commas; all unless given
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<String>,
    /// Configurations of the heap, separated by commas
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', default_value = "standard")]
    config: Vec<String>,
    /// Print a JSON document instead of lines
    #[arg(long)]
    json: bool,
}

fn help() -> String {
    format!(
        "After each operation the whole heap is audited: headers, footers, tiling, neighbours, the free index, totals.
Every block's place and contents are checked as well. An audit looks at every block, so the time grows with the square of
the trace: some 10,000 operations a second.
{}\
\nExit status: 0 if all is sound; 1 at the first violation of a heap, which is named with operation, line, invariant,
address and block; 2 if the command line or a trace is wrong (then nothing was run).

Examples:
  cairn check short1.rep --policy segregated
  cairn check --generate uniform,ops=5000 --config standard,deferred",
        names()
    )
}

/// One heap on one trace.
#[derive(serde::Serialize)]
struct Verdict {
    trace: String,
    policy: &'static str,
    config: &'static str,
    /// How many audits found nothing.
    audits: usize,
    /// What was found.
    violation: Option<Found>,
}

/// Where something was wrong, and what.
#[derive(serde::Serialize)]
struct Found {
    /// The operation, from 1; none if it was found after the last.
    operation: Option<usize>,
    line: usize,
    request: String,
    reason: String,
}

/// Carries out the command.
pub fn run(args: &Check) -> Result<(), Failure> {
    let heaps = heaps(&args.policy, &args.config)?;
    let traces = args.inputs.traces()?;
    let total: usize = traces.iter().map(|trace| trace.ops.len() * heaps.len()).sum();
    let progress = Progress::new(total as u64);
    let mut verdicts = Vec::new();
    for trace in &traces {
        for (policy, setup) in &heaps {
            progress.about(&format!("{} on {}", policy.name, trace.name));
            let memory = memory_for(trace, *setup).map_err(|reason| Failure::new(OURS, reason))?;
            let mut heap = policy.make(*setup, &memory);
            let done = audit(trace, &mut *heap, &memory, setup.align(), &mut |ops| progress.advance(ops));
            let (audits, violation) = match done {
                Ok(audits) => (audits, None),
                Err(stop) => {
                    let found = Found {
                        operation: stop.op.map(|op| op + 1),
                        line: stop.line,
                        reason: stop.complaint.to_string(),
                        request: stop.request,
                    };
                    (stop.op.unwrap_or(trace.ops.len()), Some(found))
                }
            };
            verdicts.push(Verdict {
                trace: trace.name.clone(),
                policy: policy.name,
                config: setup.name(),
                audits,
                violation,
            });
        }
    }
    drop(progress);
    tell(&verdicts, args.json)
}

fn tell(verdicts: &[Verdict], json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(verdicts).expect("plain data has a JSON form"));
    }
    let mut wrong = 0;
    for verdict in verdicts {
        let sentence = verdict.sentence();
        if verdict.violation.is_some() {
            wrong += 1;
        }
        if !json {
            println!("{sentence}");
        }
    }
    if wrong > 0 {
        return Err(Failure::new(WRONG, format!("{wrong} of {} checks failed", verdicts.len())));
    }
    Ok(())
}

impl Verdict {
    fn sentence(&self) -> String {
        let heap = crate::replay::heap_name(self.policy, self.config);
        match &self.violation {
            None => format!(
                "{}, {heap}: sound after each of {} operations",
                self.trace,
                count(self.audits as u64)
            ),
            Some(found) => {
                let place = match found.operation {
                    Some(operation) => {
                        format!("operation {operation} ('{}', line {})", found.request, found.line)
                    }
                    None => "after the last operation".to_owned(),
                };
                format!("{}, {heap}: {place}: {}", self.trace, found.reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_with_operation_and_line_and_ends_with_status_1() {
        let found = Found {
            operation: Some(17),
            line: 21,
            request: "f 3".into(),
            reason:
                "the heap is unsound: the footer of a free block differs from its header, at 0x10, block 0x8"
                    .into(),
        };
        let mut verdict = Verdict {
            trace: "t".into(),
            policy: "best-fit",
            config: "deferred",
            audits: 16,
            violation: Some(found),
        };
        assert_eq!(
            verdict.sentence(),
            "t, best-fit (deferred): operation 17 ('f 3', line 21): the heap is unsound: the footer of a free block differs \
             from its header, at 0x10, block 0x8"
        );
        let failure = tell(std::slice::from_ref(&verdict), true).expect_err("unsound");
        assert_eq!(failure.status, 1);
        verdict.violation = None;
        tell(&[verdict], false).expect("sound");
    }
}
