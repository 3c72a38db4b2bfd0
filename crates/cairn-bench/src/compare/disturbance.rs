//! Whether a run was disturbed by something else on the machine.
//!
//! Three signs: a load of one thread took clearly longer than its CPU time; the hypervisor stole time; or, for
//! loads of many threads, somebody else kept a CPU busy. (Whether the CPUs have moved meanwhile, `distance` tells.) The allowances are wide enough for the 10 ms ticks in
//! which the kernel counts.

use std::time::Duration;

use super::catalogue::Threads;
use cairn_workload::launch::Report;

/// The machine's counters at one moment, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    busy: u64,
    stolen: u64,
}

/// Ticks a second, as `/proc/stat` counts them.
const TICKS_PER_SECOND: f64 = 100.0;

impl Ticks {
    /// Reads them; zeros where the system doesn't tell.
    pub fn now() -> Ticks {
        std::fs::read_to_string("/proc/stat").ok().and_then(|text| Ticks::parse(&text)).unwrap_or_default()
    }

    /// The first line: user nice system idle iowait irq softirq steal …
    fn parse(text: &str) -> Option<Ticks> {
        let numbers: Vec<u64> =
            text.lines().next()?.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, irq, softirq, stolen, ..] = numbers[..] else { return None };
        Some(Ticks { busy: user + nice + system + irq + softirq, stolen })
    }

    /// What passed since `earlier`: seconds that CPUs were busy, and seconds that were stolen.
    fn since(self, earlier: Ticks) -> (f64, f64) {
        let seconds = |now: u64, then: u64| now.saturating_sub(then) as f64 / TICKS_PER_SECOND;
        (seconds(self.busy, earlier.busy), seconds(self.stolen, earlier.stolen))
    }
}

/// How many seconds of a run belong to a disturbance; zero if it was a quiet one.
pub fn judge(report: &Report, threads: Threads, before: Ticks, after: Ticks) -> f64 {
    let wall = Duration::from_nanos(report.wall_ns).as_secs_f64();
    let cpu = Duration::from_nanos(report.cpu_ns()).as_secs_f64();
    let (busy, stolen) = after.since(before);
    let beyond = |seconds: f64, allowed: f64| if seconds > allowed { seconds } else { 0.0 };
    let other = match threads {
        Threads::One => beyond(wall - cpu, 0.05 * wall + 0.02),
        Threads::Many => beyond(busy - cpu, 0.10 * wall + 0.05),
    };
    other.max(beyond(stolen, 0.02 * wall + 0.02))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_workload::launch::End;

    fn report(wall_ms: u64, cpu_ms: u64) -> Report {
        Report {
            end: End::Exit(0),
            wall_ns: wall_ms * 1_000_000,
            user_ns: cpu_ms * 1_000_000,
            system_ns: 0,
            peak_rss_kib: 0,
            minor_faults: 0,
            major_faults: 0,
            voluntary_switches: 0,
            involuntary_switches: 0,
        }
    }

    const START: Ticks = Ticks { busy: 1_000, stolen: 10 };

    #[test]
    fn reads_the_kernels_line() {
        let text = "cpu  100 20 30 4000 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(Ticks::parse(text), Some(Ticks { busy: 163, stolen: 8 }));
        assert_eq!(Ticks::parse("cpu 1 2"), None);
        assert_eq!(Ticks::parse(""), None);
    }

    #[test]
    fn one_thread_is_judged_by_its_own_waiting() {
        let later = Ticks { busy: 1_100, stolen: 10 };
        assert_eq!(judge(&report(1_000, 980), Threads::One, START, later), 0.0);
        assert!(judge(&report(1_000, 700), Threads::One, START, later) > 0.29);
    }

    #[test]
    fn many_threads_are_judged_by_what_others_used() {
        let ours_only = Ticks { busy: 1_160, stolen: 10 };
        assert_eq!(judge(&report(1_000, 1_600), Threads::Many, START, ours_only), 0.0);
        assert_eq!(judge(&report(1_000, 200), Threads::Many, START, START), 0.0);
        let others_too = Ticks { busy: 1_200, stolen: 10 };
        assert!(judge(&report(1_000, 1_600), Threads::Many, START, others_too) > 0.39);
    }

    #[test]
    fn stolen_time_disturbs_both() {
        let later = Ticks { busy: 1_100, stolen: 30 };
        for threads in [Threads::One, Threads::Many] {
            assert!(judge(&report(1_000, 1_000), threads, START, later) >= 0.2);
        }
    }
}
