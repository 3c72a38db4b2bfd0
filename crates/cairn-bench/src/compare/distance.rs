//! How far apart two of the machine's CPUs lie: what a word takes from one to the other, in nanoseconds.
//!
//! On a virtual machine the host decides on which of its cores a CPU runs, and decides anew every few seconds. Here two CPUs that share a cache
//! are 22 to 28 ns apart, in different parts of the processor some 200 ns. What threads hand to each other is then slower for all
//! allocators, up to nine times (`producer-consumer-2`), and by chance it is one allocator's turn. So a load of several threads begins when
//! the CPUs lie where they usually do, and a run in which they moved is repeated.
//!
//! What this does not see: CPUs other than the first two, and those that moved away and back within a run.

use std::collections::VecDeque;
use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::statistics::Summary;

/// How often the word goes to and fro for one reading,
const TRIPS: u32 = 200;
/// and readings, of which the median counts: a thread may be interrupted.
const READINGS: usize = 15;
/// How long that may take: usually it is a millisecond or two.
const MEASURE_MAX: Duration = Duration::from_millis(200);
/// A distance that differs from the usual one by this factor is another place.
const ELSEWHERE: f64 = 1.75;

/// Where the CPUs lay in this session.
#[derive(Default)]
pub struct Places {
    /// The last distances that were met, not those of waiting, the oldest first.
    met: VecDeque<f64>,
    unusual: bool,
}

impl Places {
    /// As many decide what is usual: a machine may stay elsewhere for good.
    const MET_MAX: usize = 64;
    /// A session begins with so many,
    const FIRST: usize = 30;
    /// at this distance in time. So long lies between two looks of who waits, too.
    const PAUSE: Duration = Duration::from_millis(50);
    /// How long a run waits until the CPUs lie where they usually do.
    const WAIT_MAX: Duration = Duration::from_secs(3);

    /// Waits until the CPUs lie where they usually do, for some seconds at most. Gives the distance in nanoseconds; none if
    /// there is only one CPU or it can't be measured.
    pub fn before(&mut self) -> Option<f64> {
        let begin = Instant::now();
        self.unusual = false;
        let mut distance = self.meet()?;
        while self.met.len() < Places::FIRST {
            thread::sleep(Places::PAUSE);
            distance = self.meet()?;
        }
        while is_unusual(distance, usual(&self.met)) && begin.elapsed() < Places::WAIT_MAX {
            thread::sleep(Places::PAUSE);
            distance = measure()?;
        }
        self.unusual = is_unusual(distance, usual(&self.met));
        Some(distance)
    }

    /// Measures the distance after the run; see [`Places::moved`].
    pub fn after(&mut self) -> Option<f64> {
        let distance = self.meet()?;
        self.unusual |= is_unusual(distance, usual(&self.met));
        Some(distance)
    }

    /// Whether the CPUs lay elsewhere than usual before or after the last run.
    pub fn moved(&self) -> bool {
        self.unusual
    }

    fn meet(&mut self) -> Option<f64> {
        let distance = measure()?;
        if self.met.len() == Places::MET_MAX {
            self.met.pop_front();
        }
        self.met.push_back(distance);
        Some(distance)
    }
}

/// The median of the distances, of two in the middle the nearer one: their mean would be a place where nobody was.
fn usual(distances: &VecDeque<f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = distances.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// Whether the CPUs lie elsewhere than they usually do.
fn is_unusual(distance: f64, usual: Option<f64>) -> bool {
    usual.is_some_and(|usual| distance.max(usual) > ELSEWHERE * distance.min(usual))
}

/// A word that two threads hand to each other, on a cache line of its own.
#[repr(align(128))]
struct Word {
    value: AtomicU32,
    /// One of the threads can't go on, so the other one need not wait.
    given_up: AtomicBool,
    deadline: Instant,
}

/// One way between the first two CPUs that this process may use, in nanoseconds; none if there is only one, or they are too busy.
fn measure() -> Option<f64> {
    let [first, second] = two_cpus()?;
    let deadline = Instant::now() + MEASURE_MAX;
    let word = Word { value: AtomicU32::new(0), given_up: AtomicBool::new(false), deadline };
    // In two threads of their own: where this one may run is passed on to what it starts.
    thread::scope(|scope| {
        let in_thread = thread::Builder::new().spawn_scoped(scope, || {
            word.move_to(&second)?;
            (0..TRIPS * READINGS as u32).try_for_each(|trip| word.answer(2 * trip + 1))
        });
        if in_thread.is_err() {
            return None;
        }
        let asking = thread::Builder::new().spawn_scoped(scope, || {
            word.move_to(&first)?;
            let readings: Option<Vec<f64>> =
                (0..READINGS as u32).map(|reading| word.one_reading(reading)).collect();
            Summary::of(&readings?).map(|readings| readings.median)
        });
        match asking {
            Ok(thread) => thread.join().ok().flatten(),
            Err(_) => {
                word.given_up.store(true, Relaxed);
                None
            }
        }
    })
}

impl Word {
    /// The calling thread goes to this CPU; none if it may not.
    fn move_to(&self, cpu: &CpuSet) -> Option<()> {
        let moved = sched_setaffinity(Pid::from_raw(0), cpu).ok();
        if moved.is_none() {
            self.given_up.store(true, Relaxed);
        }
        moved
    }

    fn one_reading(&self, number: u32) -> Option<f64> {
        let begin = Instant::now();
        (number * TRIPS..(number + 1) * TRIPS).try_for_each(|trip| self.answer(2 * trip))?;
        Some(begin.elapsed().as_nanos() as f64 / f64::from(2 * TRIPS))
    }

    /// Waits until the word has this value, and makes it one greater; none if the other thread has given up or it takes too long.
    fn answer(&self, value: u32) -> Option<()> {
        /// By then the other thread waits for this CPU.
        const PATIENCE: u32 = 1 << 14;
        let mut looks = 0u32;
        while self.value.load(Acquire) != value {
            looks += 1;
            if looks.is_multiple_of(PATIENCE) {
                if self.given_up.load(Relaxed) || Instant::now() > self.deadline {
                    self.given_up.store(true, Relaxed);
                    return None;
                }
                thread::yield_now();
            }
            hint::spin_loop();
        }
        self.value.store(value + 1, Release);
        Some(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_takes_a_while_and_this_thread_may_run_where_it_could() {
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let cpus = (0..CpuSet::count()).filter(|&cpu| before.is_set(cpu).unwrap()).count();
        // Other tests may keep both CPUs busy.
        let distance = (0..100).find_map(|_| measure());
        assert_eq!(distance.is_some(), cpus > 1);
        assert!(distance.is_none_or(|ns| (1.0..1e6).contains(&ns)), "{distance:?}");
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }

    #[test]
    fn who_waits_for_nobody_gives_up() {
        let word = |given_up, wait| Word {
            value: AtomicU32::new(0),
            given_up: AtomicBool::new(given_up),
            deadline: Instant::now() + wait,
        };
        let late = word(false, Duration::from_millis(1));
        assert_eq!(late.answer(1), None);
        assert!(late.given_up.load(Relaxed), "the other one need not wait");
        let alone = word(true, Duration::from_secs(3600));
        assert_eq!(alone.answer(1), None);
        assert_eq!(alone.answer(0), Some(()));
        assert_eq!(alone.move_to(&CpuSet::new()), None);
    }

    #[test]
    fn what_most_runs_had_is_usual() {
        let of = |distances: &[f64]| usual(&distances.iter().copied().collect());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[220.0, 25.0]), Some(25.0));
        assert_eq!(of(&[25.0, 220.0, 22.0, 200.0, 210.0, 190.0]), Some(190.0));
        let near = of(&[25.0, 225.0, 24.0, 30.0, 230.0]);
        assert_eq!(near, Some(30.0));
        assert!(is_unusual(225.0, near) && is_unusual(30.0, Some(225.0)));
        assert!(!is_unusual(24.0, near) && !is_unusual(45.0, near) && !is_unusual(225.0, None));
    }

    #[test]
    fn a_session_knows_where_the_cpus_lay_before_its_first_run() {
        let mut places = Places::default();
        if two_cpus().is_none() {
            return assert_eq!((places.before(), places.after(), places.moved()), (None, None, false));
        }
        let before = (0..20).find_map(|_| places.before());
        assert!(before.is_some() && places.met.len() >= Places::FIRST);
        // A place where it never is.
        places.met.iter_mut().for_each(|met| *met = 1e9);
        let waits = Instant::now();
        let distance = places.before();
        assert!(distance.is_none() || places.moved() && waits.elapsed() >= Places::WAIT_MAX);
    }
}
