//! What a session keeps: every run, and what it was made with. This is the form of `--json`.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::catalogue::Kind;
use super::peers::{Found, Peer};
use crate::statistics::Summary;
use cairn_workload::Point;
use cairn_workload::launch::Report;

/// One session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// CPU, kernel and C library, in words.
    pub machine: String,
    /// The command line that made it.
    #[serde(default)]
    pub command: String,
    /// When it began.
    #[serde(default)]
    pub began: String,
    /// Measured runs of each load on each allocator.
    pub runs: u32,
    /// The factor on all operation counts.
    pub scale: f64,
    /// The allocators, in the order of the tables.
    pub peers: Vec<Peer>,
    /// Allocators and programs that were not there, one sentence each.
    pub left_out: Vec<String>,
    /// What was measured.
    pub loads: Vec<LoadResult>,
    /// Instructions of one operation, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<Instructions>,
}

/// How many instructions one operation of a load takes, counted under valgrind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instructions {
    /// The load.
    pub load: String,
    /// One for each allocator that could be counted, with its name.
    pub counts: Vec<(String, f64)>,
    /// What could not be counted, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// All runs of one load.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoadResult {
    /// Its name.
    pub name: String,
    /// What it does, in one sentence.
    pub about: String,
    /// Pattern or program.
    pub kind: Kind,
    /// What one operation is, where the load counts any.
    pub operation: Option<String>,
    /// One cell for each allocator, in the order of `Results::peers`.
    pub cells: Vec<Cell>,
}

/// All runs of one load on one allocator.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The allocator's name.
    pub allocator: String,
    /// The runs that ended well, in order.
    pub runs: Vec<Run>,
    /// What happened in the others, in words.
    pub failures: Vec<String>,
}

/// One run that ended well.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// What it cost.
    pub report: Report,
    /// The time of one operation, where the load counts any.
    pub ns_per_operation: Option<f64>,
    /// Resident memory at points, where the load reports any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
    /// How far two CPUs were apart before and after a run of many threads, in nanoseconds (see `distance`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distances_ns: Vec<f64>,
    /// Whether the CPUs lay elsewhere than they usually do, and did so again when the run was repeated.
    #[serde(default)]
    pub moved: bool,
    /// Seconds that were lost to something else on the machine, and could not be avoided by repeating.
    pub disturbed_s: f64,
}

/// The quantities that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Time of one operation, or wall time where the load counts none; nanoseconds.
    Time,
    /// Wall time of the process, in seconds.
    Wall,
    /// User and system time, in seconds.
    Cpu,
    /// Peak resident memory, in MiB.
    PeakRss,
    /// Minor page faults.
    Faults,
    /// Context switches of both kinds.
    Switches,
}

impl Quantity {
    /// Its name in tables.
    pub fn in_words(self) -> &'static str {
        match self {
            Quantity::Time => "time",
            Quantity::Wall => "wall time",
            Quantity::Cpu => "CPU time",
            Quantity::PeakRss => "peak RSS",
            Quantity::Faults => "minor faults",
            Quantity::Switches => "context switches",
        }
    }
}

impl Run {
    /// Whether something else had a part in what was measured.
    pub fn is_disturbed(&self) -> bool {
        self.moved || self.disturbed_s > 0.0
    }

    /// One number of this run.
    pub fn get(&self, quantity: Quantity) -> f64 {
        let report = &self.report;
        match quantity {
            Quantity::Time => self.ns_per_operation.unwrap_or(report.wall_ns as f64),
            Quantity::Wall => report.wall_ns as f64 / 1e9,
            Quantity::Cpu => report.cpu_ns() as f64 / 1e9,
            Quantity::PeakRss => report.peak_rss_kib as f64 / 1024.0,
            Quantity::Faults => report.minor_faults as f64,
            Quantity::Switches => (report.voluntary_switches + report.involuntary_switches) as f64,
        }
    }
}

impl Cell {
    /// One quantity over all runs; none if no run ended well.
    pub fn summary(&self, quantity: Quantity) -> Option<Summary> {
        let values: Vec<f64> = self.runs.iter().map(|run| run.get(quantity)).collect();
        Summary::of(&values)
    }

    /// How many runs are counted although they were disturbed.
    pub fn disturbed(&self) -> usize {
        self.runs.iter().filter(|run| run.is_disturbed()).count()
    }
}

impl LoadResult {
    /// The cell of an allocator.
    pub fn cell(&self, allocator: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.allocator == allocator)
    }
}

impl Results {
    /// An empty session on this machine.
    pub fn new(runs: u32, scale: f64, found: &Found, skipped: Vec<String>) -> Results {
        Results {
            machine: machine(),
            command: command_line(),
            began: now_in_words(),
            runs,
            scale,
            peers: found.peers.clone(),
            left_out: found.missing.iter().cloned().chain(skipped).collect(),
            loads: Vec::new(),
            instructions: Vec::new(),
        }
    }

    /// A load by its name.
    pub fn load(&self, name: &str) -> Option<&LoadResult> {
        self.loads.iter().find(|load| load.name == name)
    }

    /// The names of the allocators, in the order of the tables.
    pub fn allocators(&self) -> Vec<&str> {
        self.peers.iter().map(|peer| peer.name.as_str()).collect()
    }
}

/// The words that started this process, the program by its name only: where it lies is nobody's business.
fn command_line() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

/// This minute, as people write it.
fn now_in_words() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// CPU, kernel and C library of this machine, in words.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let information = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = information.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu =
        field("model name").or_else(|| field("CPU part")).unwrap_or_else(|| "an unknown CPU".to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let libc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let libc =
        libc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let huge = read("/sys/kernel/mm/transparent_hugepage/enabled");
    let huge = huge.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned();
    format!("{cpus} CPUs ({cpu}), Linux {}, {libc}, transparent huge pages: {huge}", kernel.trim())
}
