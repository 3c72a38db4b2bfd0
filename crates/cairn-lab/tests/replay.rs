//! Claim: a replay notices whatever a heap does wrong, and its figures are those that can be counted by hand.

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_heap::{BlockInfo, Entry, Error, Fault, Invariant, Totals, Violation};
use cairn_lab::generate::{Recipe, SHAPES};
use cairn_lab::picture::png::png;
use cairn_lab::policies::{AnyHeap, Counts, HEADER, Memory, POLICIES, Policy, SETUPS, Setup};
use cairn_lab::replay::{Complaint, Options, Stop, audit, means, memory_for, observe, plot, replay, work};
use cairn_lab::trace::Trace;

/// What a broken heap does wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wrong {
    Nothing,
    Overlap,
    Same,
    ReallocLoses,
    FreeWrites,
    AllocateWrites,
    Misaligned,
    Outside,
    Refuses,
    Denies,
    Short,
    Unsound,
}

/// A sound heap that does one thing wrong, from the fourth allocation or the first other request on.
struct Broken {
    inner: Box<dyn AnyHeap>,
    wrong: Wrong,
    given: Vec<NonNull<u8>>,
    requests: usize,
}

impl AnyHeap for Broken {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, Error> {
        let block = self.inner.allocate(layout)?;
        self.requests += 1;
        self.given.push(block);
        if self.given.len() < 4 {
            return Ok(block);
        }
        let earlier = self.given[1];
        // From the lowest block on there is room for any of them.
        let lowest = self.given.iter().copied().min().unwrap_or(earlier);
        // SAFETY: all of these stay within the heap's memory, or are never followed.
        unsafe {
            match self.wrong {
                Wrong::Overlap => Ok(lowest.add(16)),
                Wrong::Same => Ok(earlier),
                Wrong::Misaligned => Ok(block.add(8)),
                Wrong::Outside => Ok(block.add(1 << 40)),
                Wrong::Refuses => Err(Error::OutOfMemory),
                Wrong::AllocateWrites => {
                    let byte = earlier.add(39);
                    byte.write(!byte.read());
                    Ok(block)
                }
                _ => Ok(block),
            }
        }
    }

    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault> {
        self.requests += 1;
        if self.wrong == Wrong::Denies {
            return Err(Fault::Foreign { address: block.as_ptr().addr() });
        }
        if self.wrong == Wrong::FreeWrites {
            // SAFETY: the second block has 100 bytes.
            unsafe { self.given[1].add(99).write(0) };
        }
        // SAFETY: the same contract.
        unsafe { self.inner.free(block) }
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Result<NonNull<u8>, Error> {
        self.requests += 1;
        // SAFETY: the same contract.
        let new = unsafe { self.inner.reallocate(block, layout, size) }?;
        if self.wrong == Wrong::ReallocLoses {
            // SAFETY: the block has at least 60 bytes.
            unsafe { new.add(59).write(!new.add(59).read()) };
        }
        Ok(new)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, Fault> {
        let usable = self.inner.usable_size(block)?;
        Ok(if self.wrong == Wrong::Short { 99 } else { usable })
    }

    fn check(&self) -> Result<Totals, Violation> {
        if self.wrong == Wrong::Unsound && self.requests >= 5 {
            return Err(Violation { invariant: Invariant::Footer, address: 0x1234, block: 0x1000 });
        }
        self.inner.check()
    }

    fn blocks(&self, visit: &mut dyn FnMut(BlockInfo)) {
        self.inner.blocks(visit);
    }

    fn index(&self, visit: &mut dyn FnMut(Entry)) {
        self.inner.index(visit);
    }

    fn extent(&self) -> usize {
        self.inner.extent()
    }

    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}

const TRACE: &str =
    "0\n5\n11\n1\na 0 60\na 1 100\na 2 60\na 3 100\nf 2\nr 0 200\na 2 64\na 4 0\nr 4 8\nf 1\nf 3\n";

fn trace() -> Trace {
    Trace::parse("small.rep", TRACE.as_bytes()).expect("valid")
}

fn broken(wrong: Wrong) -> (Broken, Memory) {
    let memory = memory_for(&trace(), Setup::Standard).expect("address space");
    let inner = POLICIES[0].make(Setup::Standard, &memory);
    (Broken { inner, wrong, given: Vec::new(), requests: 0 }, memory)
}

fn run(wrong: Wrong) -> Result<(), Stop> {
    let (mut heap, memory) = broken(wrong);
    observe(&trace(), &mut heap, &memory, 16, &mut |_| {}).map(drop)
}

/// The request (from 1) at which a broken heap is found out, and what is said.
#[track_caller]
fn found(wrong: Wrong) -> (usize, Complaint) {
    let stop = run(wrong).expect_err("this heap is broken");
    let op = stop.op.expect("it is found at a request");
    assert_eq!(stop.line, op + 5);
    assert!(stop.to_string().contains(&format!(
        "operation {} ('{}', line {})",
        op + 1,
        stop.request,
        stop.line
    )));
    (op + 1, stop.complaint)
}

#[test]
fn a_sound_heap_passes() {
    run(Wrong::Nothing).expect("sound");
}

#[test]
fn overlap_is_noticed() {
    let (op, complaint) = found(Wrong::Overlap);
    assert!(matches!(complaint, Complaint::Overlap { size: 100, .. }), "{complaint}");
    assert_eq!(op, 4);
    assert!(matches!(found(Wrong::Same), (4, Complaint::Overlap { .. })));
}

#[test]
fn lost_contents_are_noticed() {
    let (op, complaint) = found(Wrong::ReallocLoses);
    assert!(matches!(complaint, Complaint::Contents { id: 0, offset: 59, size: 200, .. }), "{complaint}");
    assert_eq!(op, 6);
    // A write to a live block is found when that block is freed.
    assert!(matches!(found(Wrong::FreeWrites), (10, Complaint::Contents { id: 1, offset: 99, .. })));
    assert!(matches!(found(Wrong::AllocateWrites), (10, Complaint::Contents { id: 1, offset: 39, .. })));
}

#[test]
fn lost_contents_of_a_block_that_is_never_freed_are_noticed() {
    let text = TRACE.replace("11\n1\n", "9\n1\n").replace("f 1\nf 3\n", "");
    let trace = Trace::parse("left.rep", text.as_bytes()).expect("valid");
    let (mut heap, memory) = broken(Wrong::FreeWrites);
    let stop = observe(&trace, &mut heap, &memory, 16, &mut |_| {}).expect_err("broken");
    assert_eq!(stop.op, None);
    assert!(stop.to_string().starts_with("after the last operation: the contents of id 1"), "{stop}");
}

#[test]
fn bad_addresses_and_refusals_are_noticed() {
    assert!(matches!(found(Wrong::Misaligned), (4, Complaint::Misaligned { align: 16, .. })));
    assert!(matches!(found(Wrong::Outside), (4, Complaint::Outside { size: 100, .. })));
    assert!(matches!(found(Wrong::Refuses), (4, Complaint::Refused(Error::OutOfMemory))));
    assert!(matches!(found(Wrong::Denies), (5, Complaint::Denied(Fault::Foreign { .. }))));
    assert!(matches!(found(Wrong::Short), (2, Complaint::Short { size: 100, usable: 99, .. })));
}

#[test]
fn the_audit_names_the_first_violation() {
    let (mut heap, memory) = broken(Wrong::Unsound);
    let stop = audit(&trace(), &mut heap, &memory, 16, &mut |_| {}).expect_err("unsound");
    assert_eq!((stop.op, stop.line), (Some(4), 9));
    let said = stop.to_string();
    for part in ["operation 5 ('f 2', line 9)", Invariant::Footer.sentence(), "0x1234", "0x1000"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let (mut heap, memory) = broken(Wrong::Nothing);
    assert_eq!(audit(&trace(), &mut heap, &memory, 16, &mut |_| {}), Ok(11));
}

#[test]
fn every_heap_passes_every_shape() {
    for shape in SHAPES {
        let trace = Recipe { shape, ops: 600, seed: 3 }.make();
        for policy in POLICIES {
            for (name, setup, _) in SETUPS {
                let memory = memory_for(&trace, *setup).expect("address space");
                let mut heap = policy.make(*setup, &memory);
                if let Err(stop) = audit(&trace, &mut *heap, &memory, setup.align(), &mut |_| {}) {
                    panic!("{} {name} on {}: {stop}", policy.name, shape.name);
                }
            }
        }
    }
}

#[test]
fn the_figures_are_consistent() {
    let heaps: Vec<(&Policy, Setup)> = POLICIES.iter().map(|policy| (policy, Setup::Standard)).collect();
    let options = Options { rounds: 2, ..Options::default() };
    let traces: Vec<Trace> =
        ["uniform,ops=2000", "ramp,ops=2000"].map(|text| Recipe::parse(text).expect("valid").make()).into();
    let mut told = 0;
    let reports: Vec<_> =
        traces.iter().map(|trace| replay(trace, &heaps, &options, &mut |ops| told += ops)).collect();
    assert_eq!(told, traces.iter().map(work).sum::<u64>() * heaps.len() as u64);
    for (trace, report) in traces.iter().zip(&reports) {
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        assert_eq!(report.results.len(), POLICIES.len());
        for outcome in &report.results {
            let bounds = report.bounds[0].bounds;
            assert!(outcome.heap_bytes >= bounds.perfect_reuse, "{outcome:?}");
            assert!(outcome.utilisation > 0.3 && outcome.utilisation <= outcome.of_perfect, "{outcome:?}");
            let live = 1.0 - outcome.internal_fragmentation - outcome.external_fragmentation;
            assert!(live > 0.0 && live <= outcome.utilisation + 1e-9, "{outcome:?}");
            assert!(outcome.pages_touched as usize * 4096 >= trace.peak_payload(), "{outcome:?}");
            assert!(outcome.pages_touched <= outcome.heap_bytes / 4096 + 1, "{outcome:?}");
            assert!(outcome.counts.splits > 0 && outcome.rounds >= 1);
            assert!(outcome.score > 0.0 && outcome.score <= 100.0);
            let points = &outcome.curve.points;
            assert_eq!(points.iter().map(|point| point.live).max(), Some(trace.peak_payload()));
            assert_eq!(points.iter().map(|point| point.extent as u64).max(), Some(outcome.heap_bytes));
        }
    }
    let means = means(&reports, &heaps, options.score);
    for (number, mean) in means.iter().enumerate() {
        assert_eq!((mean.policy, mean.traces), (POLICIES[number].name, 2));
        let by_hand = (reports[0].results[number].utilisation + reports[1].results[number].utilisation) / 2.0;
        assert!((mean.utilisation - by_hand).abs() < 1e-12);
    }
}

#[test]
fn a_request_that_no_heap_can_meet_is_a_failure_and_not_a_crash() {
    let trace = Trace::parse("huge.rep", b"0\n2\n2\n1\na 0 8\na 1 140000000000000\n").expect("valid");
    let report = replay(&trace, &[(&POLICIES[0], Setup::Standard)], &Options::default(), &mut |_| {});
    assert!(report.results.is_empty());
    let reason = &report.failures[0].reason;
    assert!(reason.starts_with("operation 2 ('a 1 140000000000000', line 6): the heap refuses"), "{reason}");
}

#[test]
fn an_empty_trace_is_fine() {
    let trace = Trace::parse("empty.rep", b"0\n0\n0\n0\n").expect("valid");
    let report = replay(&trace, &[(&POLICIES[0], Setup::Standard)], &Options::default(), &mut |_| {});
    assert_eq!(report.results[0].heap_bytes, 0);
    assert!(report.results[0].utilisation.abs() < 1e-12);
    assert_eq!(HEADER, 8);
}

#[test]
fn the_plot_has_a_panel_for_each_trace_and_a_line_for_each_heap() {
    let heaps: Vec<(&Policy, Setup)> =
        POLICIES.iter().take(3).map(|policy| (policy, Setup::Standard)).collect();
    let options = Options { rounds: 1, ..Options::default() };
    let reports: Vec<_> = ["stack,ops=300", "queue,ops=300"]
        .map(|text| Recipe::parse(text).expect("valid").make())
        .iter()
        .map(|trace| replay(trace, &heaps, &options, &mut |_| {}))
        .collect();
    let svg = plot::svg(&reports).expect("drawn");
    for word in ["stack,ops=300", "queue,ops=300", "first-fit-address", "live payload", "operations"] {
        assert!(svg.contains(word), "{word} is missing");
    }
    let png = png(&svg).expect("an SVG that can be read");
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000);
    assert!(plot::svg(&[]).expect_err("nothing to draw").contains("nothing"));
}
