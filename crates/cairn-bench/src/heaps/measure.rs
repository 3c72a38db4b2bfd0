//! The measurement: contenders behind one table of functions, utilisation by placement and bisection, time in interleaved rounds.

use std::ptr::null_mut;
use std::time::Duration;

use super::arena::Arena;
use super::peers::glibc;
use super::replay::{Stop, Timed, place, time};
use super::results::{Figures, Row};
use super::script::Script;
use super::subject::{Growth, Subject};

/// By how much a heap that grows does so, unless a request needs more.
const STEP: usize = 4096;

/// A replay without timing may take so long.
const PLACE_LIMIT: Duration = Duration::from_secs(20);

/// Heaps that need longer than this for one replay get no bisection: it takes a dozen.
const BISECT_LIMIT: Duration = Duration::from_millis(1500);

/// A replay that takes longer than this isn't repeated within a round.
const REPEAT_LIMIT: Duration = Duration::from_millis(100);

/// One replay is repeated in each round as often as this, so that short traces aren't timed cold; the fastest counts.
pub fn repeats(steps: usize) -> usize {
    (300_000 / steps.max(1)).clamp(2, 8)
}

type Place = fn(&Script, &mut [*mut u8], super::arena::Room, Growth, Duration) -> Result<usize, Stop>;
type Time = fn(&Script, &mut [*mut u8], super::arena::Room, Duration) -> Option<Timed>;

/// A heap in the table of those that are compared.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// Its crate's version, or what it is.
    pub what: &'static str,
    /// Whether it is one of Cairn's.
    pub ours: bool,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Here {
        grows: bool,
        place: Place,
        time: Time,
    },
    /// In a process of its own.
    There,
}

impl Contender {
    /// A heap that lives in the arena.
    pub const fn here<S: Subject, const ALIGN: usize>(
        name: &'static str,
        what: &'static str,
        ours: bool,
    ) -> Contender {
        let how =
            How::Here { grows: S::GROWS, place: place_script::<S, ALIGN>, time: time_script::<S, ALIGN> };
        Contender { name, what, ours, how }
    }

    /// glibc.
    pub const fn glibc() -> Contender {
        Contender { name: "glibc", what: "the C library of this machine", ours: false, how: How::There }
    }
}

impl Contender {
    /// Whether it lives in the arena, and not in a process or a mapping of its own.
    pub fn in_arena(&self) -> bool {
        matches!(self.how, How::Here { .. }) && self.what != "mmap"
    }

    /// How much of the arena a replay needs; none if it fails or doesn't live there. The arena isn't clear afterwards.
    pub fn extent(&self, script: &Script, arena: &mut Arena, slots: &mut [*mut u8]) -> Option<usize> {
        let How::Here { place, .. } = self.how else { return None };
        place(script, slots, arena.room(arena.len()), Growth::Whole, Duration::MAX).ok()
    }

    /// One timed replay in a clear arena; none if it fails or doesn't live there.
    pub fn replay(
        &self,
        script: &Script,
        arena: &mut Arena,
        slots: &mut [*mut u8],
        limit: Duration,
    ) -> Option<Timed> {
        let How::Here { time, .. } = self.how else { return None };
        time(script, slots, arena.room(arena.len()), limit)
    }
}

fn place_script<S: Subject, const ALIGN: usize>(
    script: &Script,
    slots: &mut [*mut u8],
    room: super::arena::Room,
    growth: Growth,
    limit: Duration,
) -> Result<usize, Stop> {
    place::<S, ALIGN>(&script.steps, slots, room, growth, limit)
}

fn time_script<S: Subject, const ALIGN: usize>(
    script: &Script,
    slots: &mut [*mut u8],
    room: super::arena::Room,
    limit: Duration,
) -> Option<Timed> {
    time::<S, ALIGN>(&script.steps, room, slots, limit)
}

/// What to measure.
pub struct Plan {
    /// The alignment of all blocks: 8 or 16.
    pub align: usize,
    /// Rounds of timing.
    pub rounds: usize,
    /// Whether to look for the smallest arena.
    pub smallest: bool,
    /// The longest timed replay; the rest of the trace is left out.
    pub limit: Duration,
}

/// Measures all contenders on one script.
///
/// # Errors
/// If the arena or a process can't be had.
pub fn measure(
    script: &Script,
    contenders: &[Contender],
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> anyhow::Result<Row> {
    let mut arena = Arena::new(script.ample())?;
    let mut slots = vec![null_mut(); script.slots];
    let scratch = tempfile::NamedTempFile::new()?;
    std::fs::write(scratch.path(), script.bytes())?;
    let mut cells = Vec::new();
    for contender in contenders {
        tell(&format!("{}: placement by {}", script.name, contender.name));
        cells.push(match contender.how {
            How::Here { grows, place, .. } => {
                let mut bench = Bench { script, arena: &mut arena, slots: &mut slots, place };
                bench.figures(grows, plan.smallest)?
            }
            How::There => match glibc::place_there(script, scratch.path(), plan.align, PLACE_LIMIT)? {
                Ok(extent) => Figures { growing: Some(extent), ..Figures::default() },
                Err(stop) => Figures { failed: Some(stop), ..Figures::default() },
            },
        });
    }
    arena.forget()?;
    let reach = |figures: &Figures| figures.whole.or(figures.growing).unwrap_or(0) + (64 << 10);
    let widest = cells.iter().map(reach).max().unwrap_or(0);
    arena.touch(widest);
    for round in 0..plan.rounds {
        tell(&format!("{}: round {} of {}", script.name, round + 1, plan.rounds));
        for (contender, figures) in contenders.iter().zip(&mut cells) {
            // Once is enough for one that needs seconds.
            if figures.failed == Some(Stop::Exhausted) || figures.cut && round > 0 {
                continue;
            }
            let timed = match contender.how {
                How::Here { time, .. } => {
                    let used = if figures.whole.is_some() { reach(figures) } else { widest };
                    let mut best: Option<Timed> = None;
                    for _ in 0..repeats(script.steps.len()) {
                        arena.clear(used);
                        let Some(timed) = time(script, &mut slots, arena.room(arena.len()), plan.limit)
                        else {
                            break;
                        };
                        best = Some(best.filter(|best| best.ns <= timed.ns).unwrap_or(timed));
                        if timed.cut
                            || timed.ns * script.steps.len() as f64 > 1e9 * REPEAT_LIMIT.as_secs_f64()
                        {
                            break;
                        }
                    }
                    // The next heap may look for zeros where this one has written.
                    arena.clear(used);
                    best
                }
                How::There => {
                    glibc::time_there(script, scratch.path(), plan.align, reach(figures), plan.limit)?
                }
            };
            let Some(timed) = timed else { continue };
            figures.cut |= timed.cut;
            figures.ns.push(timed.ns);
        }
    }
    Ok(Row {
        trace: script.name.clone(),
        steps: script.steps.len(),
        payload: script.payload,
        bound: script.bound,
        cells,
    })
}

/// One contender and one script.
struct Bench<'a> {
    script: &'a Script,
    arena: &'a mut Arena,
    slots: &'a mut [*mut u8],
    place: Place,
}

impl Bench<'_> {
    fn run(&mut self, len: usize, growth: Growth) -> anyhow::Result<Result<usize, Stop>> {
        self.arena.forget()?;
        Ok((self.place)(self.script, self.slots, self.arena.room(len), growth, PLACE_LIMIT))
    }

    fn figures(&mut self, grows: bool, smallest: bool) -> anyhow::Result<Figures> {
        let all = self.arena.len();
        let begin = std::time::Instant::now();
        let whole = match self.run(all, Growth::Whole)? {
            Ok(extent) => extent,
            Err(stop) => return Ok(Figures { failed: Some(stop), ..Figures::default() }),
        };
        let took = begin.elapsed();
        let mut figures = Figures { whole: Some(whole), ..Figures::default() };
        if grows {
            figures.growing = self.run(all, Growth::Steps(STEP))?.ok();
        }
        // The highest byte says little about a heap that cuts its blocks from all over the arena and can't grow.
        if (smallest || !grows) && took < BISECT_LIMIT {
            figures.smallest = self.smallest(figures.growing.unwrap_or(whole).min(whole))?;
        }
        Ok(figures)
    }

    /// The smallest arena, to a thousandth. A heap may fail in an arena and succeed in a smaller one; bisection then finds one
    /// border of several.
    fn smallest(&mut self, guess: usize) -> anyhow::Result<Option<usize>> {
        let rounded = |len: usize| len.next_multiple_of(16).min(self.arena.len());
        let (mut low, mut high) = (self.script.payload, rounded(guess + 64));
        while self.run(high, Growth::Whole)?.is_err() {
            if high == self.arena.len() {
                return Ok(None);
            }
            (low, high) = (high, rounded_up(high, self.arena.len()));
        }
        while high > low + (high / 1000).max(64) {
            let middle = (low + (high - low) / 2).next_multiple_of(16);
            match self.run(middle, Growth::Whole)? {
                Ok(_) => high = middle,
                Err(_) => low = middle,
            }
        }
        Ok(Some(high))
    }
}

fn rounded_up(len: usize, max: usize) -> usize {
    (len + len / 32 + 4096).next_multiple_of(16).min(max)
}
