//! The classic heaps on the same traces, by divan: `cargo bench -p cairn-bench --bench heaps -- [FILTER]`.
//!
//! A filter is a part of `heap/trace`. One iteration is one replay on a fresh heap over an arena that was written before;
//! the loop is that of `cairn-bench heaps`, which also has glibc and utilisation, and whose heaps take turns.

use std::cell::RefCell;
use std::fmt;
use std::ptr::null_mut;
use std::time::Duration;

use cairn_bench::heaps::arena::Arena;
use cairn_bench::heaps::measure::Contender;
use cairn_bench::heaps::script::Script;
use cairn_bench::heaps::{all_traces, table};
use cairn_lab::trace::Trace;
use divan::Bencher;
use divan::counter::ItemsCount;

/// The alignment of all blocks.
const ALIGN: usize = 16;

fn main() {
    divan::main();
}

/// One heap on one trace.
struct Case {
    heap: Contender,
    trace: Trace,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.heap.name, self.trace.name)
    }
}

/// Trace by trace, all heaps that live in an arena.
fn cases() -> Vec<Case> {
    let heaps: Vec<Contender> = table::contenders(ALIGN).into_iter().filter(Contender::in_arena).collect();
    let traces = all_traces().expect("the traces of the repository");
    let of = |trace: &Trace| {
        let trace = trace.clone();
        heaps.clone().into_iter().map(move |heap| Case { heap, trace: trace.clone() })
    };
    traces.iter().flat_map(of).collect()
}

#[divan::bench(args = cases(), sample_count = 9, sample_size = 1, max_time = 1)]
fn replay(bencher: Bencher, case: &Case) {
    let script = Script::of(&case.trace, ALIGN);
    let mut arena = Arena::new(script.ample()).expect("an arena");
    let mut slots = vec![null_mut(); script.slots];
    // The first replay tells how much of the arena it needs, which is then written and not given back.
    let used = case.heap.extent(&script, &mut arena, &mut slots).expect("the arena is ample") + (64 << 10);
    arena.touch(used);
    let state = RefCell::new((arena, slots));
    bencher
        .counter(ItemsCount::new(script.steps.len()))
        .with_inputs(|| state.borrow_mut().0.clear(used))
        .bench_local_values(|()| {
            let (arena, slots) = &mut *state.borrow_mut();
            case.heap.replay(&script, arena, slots, Duration::MAX)
        });
}
