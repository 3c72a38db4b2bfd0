//! What the session tells while it runs: a bar with the time that remains; one line per load where stderr is no terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// The progress of a whole session.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    /// Whether nobody sees the bar.
    plain: bool,
}

impl Progress {
    /// For a session of so many runs.
    pub fn new(steps: u64) -> Progress {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(steps).with_style(style);
        Progress { bar, start: Instant::now(), plain: !std::io::stderr().is_terminal() }
    }

    /// A run begins.
    pub fn step(&self, load: &str, peer: &str, turn: u32, turns: u32) {
        self.bar.inc(1);
        self.bar.set_message(format!("{load}: {peer} {turn}/{turns}, {}", self.remaining()));
    }

    /// A run begins that was not planned.
    pub fn again(&self, load: &str, peer: &str, turn: u32) {
        self.bar.set_message(format!("{load}: {peer}, in doubt, again {turn}, {}", self.remaining()));
    }

    /// A load is through, or left out: `steps` is how far the session is now.
    pub fn load_done(&self, load: &str, steps: u64) {
        self.bar.set_position(steps);
        if self.plain {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("cairn: bench: {load}: {done} of {all} runs are done, {}", self.remaining());
        }
    }

    /// Prints what belongs above the bar.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// The end: nothing of it stays on the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn remaining(&self) -> String {
        let done = self.bar.position();
        match estimate(self.start.elapsed(), done, self.bar.length().unwrap_or(done)) {
            Some(time) => format!("about {} left", HumanDuration(time)),
            None => "estimating".to_owned(),
        }
    }
}

/// How long the rest takes if it goes on as so far; none while there is little to judge by. The mean over all that was, and
/// not over the last few runs, because the loads differ much more from each other than they drift.
fn estimate(elapsed: Duration, done: u64, all: u64) -> Option<Duration> {
    (done >= 5).then(|| elapsed.mul_f64(all.saturating_sub(done) as f64 / done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_from_what_was() {
        assert_eq!(estimate(Duration::from_secs(10), 10, 40), Some(Duration::from_secs(30)));
        assert_eq!(estimate(Duration::from_secs(10), 40, 40), Some(Duration::ZERO));
        assert_eq!(estimate(Duration::from_secs(10), 0, 40), None);
    }
}
