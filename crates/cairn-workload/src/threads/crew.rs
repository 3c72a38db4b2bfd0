//! Threads that begin together, and the time until the last of them has ended.
//!
//! What a thread needs is prepared in it before the clock starts, so that its memory comes from where a program's own
//! threads would get it.

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Runs `work` in `threads` threads, each with its number and what `prepare` made for it, and returns how long that took
/// and what they returned, in the order of their numbers.
pub(super) fn timed<S, R: Send>(
    threads: usize,
    prepare: impl Fn(usize) -> S + Sync,
    work: impl Fn(usize, S) -> R + Sync,
) -> (Duration, Vec<R>) {
    let begin = Barrier::new(threads + 1);
    let (begin, prepare, work) = (&begin, &prepare, &work);
    std::thread::scope(|scope| {
        let start_one = |number| {
            scope.spawn(move || {
                let prepared = prepare(number);
                begin.wait();
                begin.wait();
                work(number, prepared)
            })
        };
        let running: Vec<_> = (0..threads).map(start_one).collect();
        // Once for all to be ready, and once more to go: no thread can run before the clock does.
        begin.wait();
        let start = Instant::now();
        begin.wait();
        let results: Vec<R> = running
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the workload panicked"))
            .collect();
        (start.elapsed(), results)
    })
}
