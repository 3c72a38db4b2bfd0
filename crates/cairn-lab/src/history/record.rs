//! Watches a heap during a trace and keeps what a picture needs.
//!
//! The heap is walked only where the walk is kept, so that the curve of a long trace costs no more than its replay.

use std::collections::HashMap;

use super::{Block, Entry, History, Op, Owner, Point, Shape, Snapshot, State, Step, Still, words};

/// What a recorder keeps, apart from the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the curve alone.
    Curve,
    /// The heap at one moment.
    Moment(usize),
    /// Every moment from one to another.
    Steps {
        /// The first moment.
        from: usize,
        /// The last moment.
        to: usize,
    },
}

/// What was kept.
#[derive(Clone, Debug)]
pub enum Recording {
    /// The curve alone.
    Curve(Vec<Point>),
    /// One moment.
    Still(Box<Still>),
    /// Many moments.
    History(Box<History>),
}

/// A heap as it shows itself: payload addresses instead of offsets, and nobody's names on the blocks.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Payload address, whole size and state of each block, in address order.
    pub blocks: Vec<(usize, usize, State)>,
    /// The index, with payload addresses in the place of offsets.
    pub index: Vec<Entry>,
}

/// Watches a heap.
#[derive(Debug)]
pub struct Recorder {
    trace: String,
    policy: String,
    keep: Keep,
    /// The payload address of the heap's first block, as soon as there was one.
    origin: Option<usize>,
    /// Where the payload of each of the trace's live blocks lies.
    places: HashMap<u32, usize>,
    /// Whose the payload at each address is.
    owners: HashMap<usize, Owner>,
    live_bytes: usize,
    curve: Vec<Point>,
    last: Snapshot,
    start: Option<Snapshot>,
    steps: Vec<Step>,
    still: Option<Still>,
}

impl Recorder {
    /// Watches an empty heap.
    pub fn new(trace: &str, policy: &str, keep: Keep) -> Recorder {
        let mut recorder = Recorder {
            trace: trace.to_owned(),
            policy: policy.to_owned(),
            keep,
            origin: None,
            places: HashMap::new(),
            owners: HashMap::new(),
            live_bytes: 0,
            curve: vec![Point::default()],
            last: Snapshot::default(),
            start: None,
            steps: Vec::new(),
            still: None,
        };
        match keep {
            Keep::Moment(0) => recorder.keep_still(0, None, words::beginning(0)),
            Keep::Steps { from: 0, .. } => recorder.start = Some(Snapshot::default()),
            _ => {}
        }
        recorder
    }

    /// Takes note of an operation: where the block's payload lies afterwards (`None` after a free), the heap's extent, and the heap
    /// itself, which is looked at only if it is needed.
    pub fn note(
        &mut self,
        op: Op,
        payload_address: Option<usize>,
        extent: usize,
        look: impl FnOnce() -> Raw,
    ) {
        let moment = self.curve.len();
        self.follow(op, payload_address, moment);
        self.curve.push(Point { live: self.live_bytes, extent });
        let (first, last) = match self.keep {
            Keep::Curve => return,
            // The moment before it is looked at too: the words compare the two.
            Keep::Moment(at) => (at.saturating_sub(1), at),
            Keep::Steps { from, to } => (from, to),
        };
        if moment < first || moment > last {
            return;
        }
        let now = self.named(look(), extent, payload_address);
        let before = std::mem::replace(&mut self.last, now);
        match self.keep {
            Keep::Moment(at) if moment == at => {
                let sentence = words::describe(moment, op, &before, &self.last);
                self.keep_still(moment, Some(op), sentence);
            }
            Keep::Steps { from, .. } if moment == from => self.start = Some(self.last.clone()),
            Keep::Steps { .. } => {
                let sentence = words::describe(moment, op, &before, &self.last);
                self.steps.push(Step::between(op, sentence, &before, &self.last));
            }
            _ => {}
        }
    }

    /// What was kept. A moment after the last operation is the last.
    pub fn finish(self) -> Recording {
        match self.keep {
            Keep::Curve => Recording::Curve(self.curve),
            Keep::Moment(at) => {
                let mut still = self.still.unwrap_or_else(|| Still {
                    trace: self.trace.clone(),
                    policy: self.policy.clone(),
                    at,
                    op: None,
                    words: words::beginning(at),
                    snapshot: self.last.clone(),
                    curve: Vec::new(),
                });
                still.curve = self.curve;
                Recording::Still(Box::new(still))
            }
            Keep::Steps { from, .. } => Recording::History(Box::new(History {
                shape: Shape::of(&self.policy, &self.last.index),
                trace: self.trace,
                policy: self.policy,
                from,
                start: self.start.unwrap_or_default(),
                steps: self.steps,
                curve: self.curve,
            })),
        }
    }

    /// Keeps track of whose each block is.
    fn follow(&mut self, op: Op, payload_address: Option<usize>, moment: usize) {
        let id = op.id();
        let old = self.places.remove(&id).and_then(|address| self.owners.remove(&address));
        self.live_bytes -= old.map_or(0, |owner| owner.payload);
        if let (Some(size), Some(address)) = (op.size(), payload_address) {
            let born = old.map_or(moment, |owner| owner.born);
            self.places.insert(id, address);
            self.owners.insert(address, Owner { id, payload: size, born });
            self.live_bytes += size;
        }
    }

    /// A snapshot with offsets and names. Most blocks are what they were in the last one, and their owners too, but for the payload
    /// that this operation touched.
    fn named(&mut self, raw: Raw, extent: usize, touched: Option<usize>) -> Snapshot {
        if let (None, Some((first, ..))) = (self.origin, raw.blocks.first()) {
            self.origin = Some(*first);
        }
        let origin = self.origin.unwrap_or(0);
        let mut known = self.last.blocks.iter().peekable();
        let mut owner = |address: usize, size: usize| {
            let offset = address - origin;
            while known.next_if(|block| block.offset < offset).is_some() {}
            match known.peek() {
                Some(block) if block.offset == offset && block.size == size && touched != Some(address) => {
                    block.owner.or_else(|| self.owners.get(&address).copied())
                }
                _ => self.owners.get(&address).copied(),
            }
        };
        let blocks = raw.blocks.iter().map(|&(address, size, state)| Block {
            offset: address - origin,
            size,
            state,
            owner: if state == State::Used { owner(address, size) } else { None },
        });
        let blocks = blocks.collect();
        let index = raw.index.iter().map(|entry| Entry {
            offset: entry.offset - origin,
            parent: entry.parent.map(|parent| parent - origin),
            ..*entry
        });
        Snapshot { extent, blocks, index: index.collect() }
    }

    fn keep_still(&mut self, at: usize, op: Option<Op>, words: String) {
        self.still = Some(Still {
            trace: self.trace.clone(),
            policy: self.policy.clone(),
            at,
            op,
            words,
            snapshot: self.last.clone(),
            curve: Vec::new(),
        });
    }
}
