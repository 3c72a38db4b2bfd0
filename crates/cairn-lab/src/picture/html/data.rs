//! The data of a page: numbers in flat arrays, deflated.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::history::{Block, Entry, History, Link, Op, Shape, State, Step, TOP};

/// Everything.
#[derive(Serialize)]
struct Data<'a> {
    trace: &'a str,
    /// Operations of the whole trace.
    total: usize,
    /// The first moment that the page knows.
    from: usize,
    /// The moment at which it opens.
    at: usize,
    /// Kind (0 allocate, 1 resize, 2 free), id, size; one for each step.
    ops: Vec<(u8, u32, usize)>,
    runs: Vec<Run<'a>>,
}

/// One policy.
#[derive(Serialize)]
struct Run<'a> {
    policy: &'a str,
    shape: Shape,
    start: Start,
    words: Vec<&'a str>,
    steps: Vec<Edit<'a>>,
}

/// The heap at the first moment.
#[derive(Serialize)]
struct Start {
    extent: usize,
    blocks: Vec<i64>,
    index: Vec<i64>,
}

/// Extent, blocks removed, blocks added, turn of the index, places removed, links added.
#[derive(Serialize)]
struct Edit<'a>(usize, &'a [usize], Vec<i64>, usize, &'a [usize], Vec<i64>);

/// The data as base64.
pub fn pack(histories: &[History], at: usize) -> String {
    let first = histories.first();
    let data = Data {
        trace: first.map_or("", |history| &history.trace),
        total: first.map_or(0, |history| history.curve.len().saturating_sub(1)),
        from: first.map_or(0, |history| history.from),
        at,
        ops: first
            .map_or_else(Vec::new, |history| history.steps.iter().map(|step| operation(step.op)).collect()),
        runs: histories.iter().map(run).collect(),
    };
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    let text = serde_json::to_vec(&data).expect("numbers and strings are JSON");
    deflate.write_all(&text).expect("memory can be written");
    STANDARD.encode(deflate.finish().expect("memory can be written"))
}

fn run(history: &History) -> Run<'_> {
    let places = history.start.index.iter().enumerate();
    let link = |(place, entry): (usize, &Entry)| {
        (place, Link { offset: entry.offset, list: entry.list, parent: entry.parent })
    };
    Run {
        policy: &history.policy,
        shape: history.shape,
        start: Start {
            extent: history.start.extent,
            blocks: blocks(&history.start.blocks),
            index: links(places.map(link)),
        },
        words: history.steps.iter().map(|step| step.words.as_str()).collect(),
        steps: history.steps.iter().map(edit).collect(),
    }
}

fn edit(step: &Step) -> Edit<'_> {
    let index = &step.index;
    Edit(
        step.extent,
        &step.removed,
        blocks(&step.added),
        index.turn,
        &index.removed,
        links(index.added.iter().copied()),
    )
}

fn operation(op: Op) -> (u8, u32, usize) {
    match op {
        Op::Allocate { id, size } => (0, id, size),
        Op::Reallocate { id, size } => (1, id, size),
        Op::Free { id } => (2, id, 0),
    }
}

/// Six numbers for each block.
fn blocks(blocks: &[Block]) -> Vec<i64> {
    let numbers = blocks.iter().flat_map(|block| {
        let state = match block.state {
            State::Used => 0,
            State::Free => 1,
            State::Waiting => 2,
        };
        let (payload, id, born) = block
            .owner
            .map_or((0, -1, 0), |owner| (owner.payload as i64, i64::from(owner.id), owner.born as i64));
        [block.offset as i64, block.size as i64, state, payload, id, born]
    });
    numbers.collect()
}

/// Four numbers for each link.
fn links(links: impl Iterator<Item = (usize, Link)>) -> Vec<i64> {
    let numbers = links.flat_map(|(place, link)| {
        let parent = link.parent.map_or(-1, |parent| parent as i64);
        let list = if link.list == TOP { -1 } else { link.list as i64 };
        [place as i64, link.offset as i64, list, parent]
    });
    numbers.collect()
}
