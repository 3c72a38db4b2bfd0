//! When free pages go back to the kernel: the policy, without any memory in it.
//!
//! Time is cut into windows. The *low-water mark* of a window is the least number of dirty free granules seen in it:
//! that many nobody needed for a whole window, so that many are given back, in small steps, during the next one. A
//! program that builds and drops in cycles shorter than a window thus keeps its pages, and one that has shrunk gives
//! them back. If granules are wanted back soon after they went, the windows grow longer; if nobody wants them,
//! they shrink again.

/// A step gives back this part of what a window has to,
const STEP_SHARE: usize = 64;
/// but at least so many granules: 1 MiB, some 60 µs of system time,
const STEP_MIN: usize = 16;
/// and at most so many: 8 MiB, some 500 µs, during which other threads may wait for a span.
pub const STEP_MAX: usize = 128;
/// Windows grow at most by this factor over the setting, so that the pages of a peak are gone some two of the longest windows
/// after it: 4 s; and they shrink to this part of it.
const STRETCH_MAX: u64 = 4;
const SHRINK_MAX: u64 = 4;

/// The state of the policy.
#[derive(Debug)]
pub struct Decay {
    window_ms: u64,
    window_end_ms: u64,
    low: usize,
    pending: usize,
    step: usize,
    given_back: usize,
    wanted_back: usize,
    /// Windows begun so far.
    pub windows: usize,
}

impl Decay {
    /// Before the first window.
    pub const fn new() -> Self {
        Decay {
            window_ms: 0,
            window_end_ms: 0,
            low: 0,
            pending: 0,
            step: 0,
            given_back: 0,
            wanted_back: 0,
            windows: 0,
        }
    }

    /// The number of dirty free granules has changed to `dirty`.
    #[inline]
    pub fn dirty_changed(&mut self, dirty: usize) {
        self.low = self.low.min(dirty);
    }

    /// `granules` without pages had to be used.
    #[inline]
    pub fn clean_used(&mut self, granules: usize) {
        self.wanted_back += granules;
    }

    /// Granules without pages that had to be used in this window.
    #[cfg(test)]
    pub fn wanted_back(&self) -> usize {
        self.wanted_back
    }

    /// How many granules to give back now, if there are so many: at least `least`. `base_ms` is the setting.
    #[inline]
    pub fn step(&mut self, now_ms: u64, base_ms: u64, dirty: usize, least: usize) -> usize {
        self.pending = self.pending.min(dirty);
        // What one window found is given back before the next one looks anew: who calls seldom needs several for it.
        if now_ms >= self.window_end_ms && self.pending == 0 {
            self.next_window(now_ms, base_ms, dirty);
            self.windows += 1;
        }
        let step = self.pending.min(self.step.max(least));
        self.pending -= step;
        self.given_back += step;
        step
    }

    fn next_window(&mut self, now_ms: u64, base_ms: u64, dirty: usize) {
        let first = self.window_end_ms == 0;
        if first || self.window_ms == 0 {
            self.window_ms = base_ms;
        } else if self.given_back > 0 && self.wanted_back >= self.given_back / 4 {
            self.window_ms = (self.window_ms * 2).min(base_ms * STRETCH_MAX);
        } else if self.given_back > 0 {
            self.window_ms = (self.window_ms - self.window_ms / 4).max(base_ms / SHRINK_MAX);
        }
        self.pending = if first && base_ms > 0 { 0 } else { self.low.min(dirty) };
        if base_ms == 0 {
            self.pending = dirty;
        }
        self.step = (self.pending / STEP_SHARE).clamp(STEP_MIN, STEP_MAX);
        self.given_back = 0;
        self.wanted_back = 0;
        self.low = dirty;
        self.window_end_ms = now_ms + self.window_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(decay: &mut Decay, now_ms: u64, dirty: &mut usize) -> usize {
        let mut given = 0;
        loop {
            let step = decay.step(now_ms, 100, *dirty, 0);
            if step == 0 {
                return given;
            }
            *dirty -= step;
            decay.dirty_changed(*dirty);
            given += step;
        }
    }

    #[test]
    fn what_nobody_needs_for_a_window_goes() {
        let mut decay = Decay::new();
        let mut dirty = 1000;
        assert_eq!(drain(&mut decay, 1, &mut dirty), 0, "the first window only watches");
        decay.dirty_changed(300);
        assert_eq!(drain(&mut decay, 50, &mut dirty), 0);
        assert_eq!(drain(&mut decay, 101, &mut dirty), 300, "700 of 1000 were in use at a time");
        assert_eq!(drain(&mut decay, 300, &mut dirty), 700);
    }

    #[test]
    fn a_window_of_zero_gives_back_at_once() {
        let mut decay = Decay::new();
        assert_eq!(decay.step(5, 0, 10, 0), 10);
        decay.clean_used(3);
        assert_eq!(decay.step(5, 0, 7, 0), 7);
    }

    #[test]
    fn windows_stretch_when_pages_are_wanted_back_and_shrink_when_not() {
        let mut decay = Decay::new();
        let mut dirty = 100;
        drain(&mut decay, 1, &mut dirty);
        drain(&mut decay, 200, &mut dirty);
        assert_eq!(dirty, 0);
        decay.clean_used(60);
        dirty = 60;
        assert_eq!(drain(&mut decay, 301, &mut dirty), 0);
        assert_eq!(decay.window_ms, 200);
        drain(&mut decay, 502, &mut dirty);
        drain(&mut decay, 703, &mut dirty);
        assert_eq!(decay.window_ms, 150);
    }
}
