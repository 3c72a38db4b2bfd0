//! Claims: threads that each begin with a block smaller than a cache line get it in a line of their own (else two CPUs would write to one line for as
//! long as they use it: active false sharing). And threads that were given neighbouring blocks smaller than a cache line, free them, and go on with blocks of their own, get these
//! elsewhere (else they would go on sharing a line: passive false sharing).

#![allow(clippy::undocumented_unsafe_blocks)] // each thread owns the blocks that it names, and frees each once

mod shadow;

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use cairn_alloc::class::LINE;
use shadow::{allocate, free};

const THREADS: usize = 4;

/// All lines that a block lies in, of each thread's first block; the threads begin one after the other, and all are there until the last has begun.
fn first_lines(size: usize, threads: usize) -> Vec<Vec<usize>> {
    let barrier = Barrier::new(threads);
    let begin = || {
        let own = allocate(size);
        barrier.wait();
        let first = own.addr();
        unsafe { free(own) };
        (first / LINE..=(first + size - 1) / LINE).collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn threads_write_to_lines_of_their_own() {
    // Of classes that nobody has used yet, and more threads than a shelf serves at once.
    for size in [16, 32, 48] {
        let lines = first_lines(size, 24);
        let all: HashSet<usize> = lines.iter().flatten().copied().collect();
        assert_eq!(
            all.len(),
            lines.iter().flatten().count(),
            "{size} bytes: two threads' first blocks share a line"
        );
    }
    blocks_given_to_threads_do_not_bring_them_together();
}

fn blocks_given_to_threads_do_not_bring_them_together() {
    for size in [8, 16, 32, 48] {
        let given: Vec<usize> = (0..THREADS).map(|_| allocate(size).addr()).collect();
        let barrier = Barrier::new(THREADS);
        let lines: Vec<Vec<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = given
                .iter()
                .map(|&block| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        unsafe { free(std::ptr::with_exposed_provenance_mut(block)) };
                        let mut lines = Vec::new();
                        for _ in 0..50 {
                            let own = allocate(size);
                            lines.push(own.expose_provenance() / LINE);
                            unsafe { free(own) };
                        }
                        // Nobody ends, and gives his blocks to others, before all are done.
                        barrier.wait();
                        lines
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // (Once all that was given in a line is free, one thread may well have the line.)
        let own: Vec<HashSet<usize>> = lines.into_iter().map(|lines| lines.into_iter().collect()).collect();
        for (thread, line) in
            own.iter().enumerate().flat_map(|(thread, lines)| lines.iter().map(move |l| (thread, l)))
        {
            let others =
                own.iter().enumerate().filter(|(other, lines)| *other != thread && lines.contains(line));
            assert_eq!(
                others.count(),
                0,
                "{size} bytes: two threads use the line where they were given blocks"
            );
        }
    }
}
