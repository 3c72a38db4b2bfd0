//! How far apart two of the machine's CPUs lie: what a word takes from one to the other, in nanoseconds.
//!
//! A machine of its own gives the same answer each time. On a virtual one the host decides on which of its cores a CPU runs, and decides
//! anew every few seconds: as neighbours that share a cache two CPUs are some 50 ns apart, in different parts of the processor 220 ns. What
//! threads hand to each other is then slower for all allocators, up to five times (`producer-consumer`), and by chance it is one
//! allocator's turn. So it is measured before and after each run of a load of many threads.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::Instant;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::statistics::Summary;

/// How often the word goes to and fro for one reading,
const TRIPS: u32 = 200;
/// and readings, of which the median counts: a thread may be interrupted.
const READINGS: usize = 15;
/// A distance that differs from the usual one by this factor is another place.
const ELSEWHERE: f64 = 1.75;

/// A word on a cache line of its own.
#[repr(align(128))]
struct Word(AtomicU32);

/// One way between the first two CPUs that this process may use, in nanoseconds; none if there is only one. Takes a
/// millisecond or two.
pub fn measure() -> Option<f64> {
    let [first, second] = two_cpus()?;
    let word = Word(AtomicU32::new(0));
    // In two threads of their own: where this one may run is passed on to what it starts.
    thread::scope(|scope| {
        scope.spawn(|| {
            sched_setaffinity(Pid::from_raw(0), &second).ok();
            for trip in 0..TRIPS * READINGS as u32 {
                answer(&word, 2 * trip + 1);
            }
        });
        let asking = scope.spawn(|| {
            sched_setaffinity(Pid::from_raw(0), &first).ok();
            let readings: Vec<f64> = (0..READINGS as u32)
                .map(|reading| {
                    let begin = Instant::now();
                    for trip in reading * TRIPS..(reading + 1) * TRIPS {
                        answer(&word, 2 * trip);
                    }
                    begin.elapsed().as_nanos() as f64 / f64::from(2 * TRIPS)
                })
                .collect();
            Summary::of(&readings).map(|readings| readings.median)
        });
        asking.join().ok().flatten()
    })
}

/// Waits until the word has this value, and makes it one greater.
fn answer(word: &Word, value: u32) {
    /// By then the other thread waits for this CPU.
    const PATIENCE: u32 = 1 << 14;
    let mut looks = 0u32;
    while word.0.load(Acquire) != value {
        looks += 1;
        if looks.is_multiple_of(PATIENCE) {
            thread::yield_now();
        }
        hint::spin_loop();
    }
    word.0.store(value + 1, Release);
}

/// The first two CPUs that this process may use, each as a set.
fn two_cpus() -> Option<[CpuSet; 2]> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut usable = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = || {
        let mut set = CpuSet::new();
        set.set(usable.next()?).ok()?;
        Some(set)
    };
    Some([one()?, one()?])
}

/// The distance at which most of the runs so far were made; none without any.
pub fn usual(distances: impl Iterator<Item = f64>) -> Option<f64> {
    let distances: Vec<f64> = distances.collect();
    Summary::of(&distances).map(|distances| distances.median)
}

/// Whether the CPUs lay elsewhere than they usually do.
pub fn is_unusual(distance: f64, usual: Option<f64>) -> bool {
    usual.is_some_and(|usual| distance.max(usual) > ELSEWHERE * distance.min(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_takes_a_while_and_this_thread_may_run_where_it_could() {
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let distance = measure();
        let cpus = (0..CpuSet::count()).filter(|&cpu| before.is_set(cpu).unwrap()).count();
        assert_eq!(distance.is_some(), cpus > 1);
        assert!(distance.is_none_or(|ns| (1.0..1e8).contains(&ns)), "{distance:?}");
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }

    #[test]
    fn what_most_runs_had_is_usual() {
        assert_eq!(usual([].into_iter()), None);
        let usual = usual([50.0, 225.0, 48.0, 60.0, 230.0].into_iter());
        assert_eq!(usual, Some(60.0));
        assert!(is_unusual(225.0, usual) && is_unusual(60.0, Some(225.0)));
        assert!(!is_unusual(48.0, usual) && !is_unusual(90.0, usual) && !is_unusual(225.0, None));
    }
}
