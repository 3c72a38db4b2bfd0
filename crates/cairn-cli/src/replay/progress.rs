//! A progress bar on stderr: on a terminal only, and only for work that takes long enough to be waited for.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Nothing is shown for so long.
const PATIENCE: Duration = Duration::from_millis(700);

/// The progress of one command.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// Nothing done of `total` operations.
    pub fn new(total: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let form = "{bar:40} {percent:>3} %  {elapsed} of about {duration}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Progress { bar, begun: Instant::now() }
    }

    /// What is being worked on.
    pub fn about(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// So many more operations are done.
    pub fn advance(&self, ops: u64) {
        if self.bar.is_hidden() && self.begun.elapsed() > PATIENCE {
            // Hidden all the same if stderr is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(ops);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
