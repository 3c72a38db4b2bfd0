//! A heap of paper: blocks and an index without any memory, so that the pictures are tested on every shape of index and every state of a
//! block, whatever the real policies do.

use cairn_lab::history::{Entry, History, Keep, Op, Raw, Recorder, Recording, State, Still};

/// Which index the toy keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One list, the last freed first; freed blocks wait and are merged when nothing fits.
    Waiting,
    /// One list, the last freed first.
    List,
    /// Lists by powers of two.
    Bins,
    /// A balanced tree by size and place.
    Tree,
    /// One list that begins elsewhere after each allocation.
    Rover,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Waiting, Kind::List, Kind::Bins, Kind::Tree, Kind::Rover];

    /// The name of the policy.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Waiting => "toy-waiting",
            Kind::List => "toy-list",
            Kind::Bins => "toy-segregated",
            Kind::Tree => "toy-tree",
            Kind::Rover => "toy-rover",
        }
    }
}

/// Where the first payload lies.
const ORIGIN: usize = 0x7000_0010;

/// The heap.
struct Toy {
    kind: Kind,
    /// Payload address, size, state.
    blocks: Vec<(usize, usize, State)>,
    /// Payload addresses of the free blocks, in the order of the list.
    order: Vec<usize>,
}

impl Toy {
    fn extent(&self) -> usize {
        self.blocks.iter().map(|block| block.1).sum()
    }

    fn allocate(&mut self, payload: usize) -> usize {
        let size = (payload + 8).next_multiple_of(16).max(32);
        let fits = |toy: &Toy| {
            let candidates = toy.index();
            candidates.into_iter().find(|entry| entry.size >= size).map(|entry| entry.offset)
        };
        let mut found = fits(self);
        if found.is_none() && self.kind == Kind::Waiting {
            self.merge_all();
            found = fits(self);
        }
        let Some(address) = found else {
            let address = self.blocks.last().map_or(ORIGIN, |block| block.0 + block.1);
            self.blocks.push((address, size, State::Used));
            return address;
        };
        let place = self.place(address);
        self.order.retain(|other| *other != address);
        let rest = self.blocks[place].1 - size;
        if rest >= 32 {
            self.blocks[place].1 = size;
            self.blocks.insert(place + 1, (address + size, rest, State::Free));
            self.order.insert(0, address + size);
        }
        self.blocks[place].2 = State::Used;
        if self.kind == Kind::Rover && self.order.len() > 2 {
            self.order.rotate_left(2);
        }
        address
    }

    fn free(&mut self, address: usize) {
        let place = self.place(address);
        self.blocks[place].2 = State::Waiting;
        if self.kind == Kind::Waiting {
            self.order.insert(0, address);
        } else {
            self.merge(place);
        }
    }

    /// Merges one block with its free neighbours.
    fn merge(&mut self, mut place: usize) {
        self.blocks[place].2 = State::Free;
        for other in [place + 1, place.wrapping_sub(1)] {
            if self.blocks.get(other).is_some_and(|block| block.2 == State::Free) {
                let (left, right) = (place.min(other), place.max(other));
                let gone = self.blocks.remove(right);
                self.blocks[left].1 += gone.1;
                let addresses = [gone.0, self.blocks[left].0];
                self.order.retain(|address| !addresses.contains(address));
                place = left;
            }
        }
        self.order.insert(0, self.blocks[place].0);
    }

    fn merge_all(&mut self) {
        self.order.clear();
        let mut merged: Vec<(usize, usize, State)> = Vec::new();
        for block in self.blocks.drain(..) {
            match merged.last_mut() {
                Some(last) if last.2 != State::Used && block.2 != State::Used => last.1 += block.1,
                _ => merged.push(block),
            }
        }
        for block in merged.iter_mut().filter(|block| block.2 != State::Used) {
            block.2 = State::Free;
            self.order.push(block.0);
        }
        self.blocks = merged;
    }

    fn place(&self, address: usize) -> usize {
        self.blocks.binary_search_by_key(&address, |block| block.0).expect("a block begins there")
    }

    fn index(&self) -> Vec<Entry> {
        let entry = |address: &usize| Entry {
            offset: *address,
            size: self.blocks[self.place(*address)].1,
            list: 0,
            parent: None,
            level: 0,
        };
        let mut entries: Vec<Entry> = self.order.iter().map(entry).collect();
        match self.kind {
            Kind::Waiting | Kind::List | Kind::Rover => {}
            Kind::Bins => {
                for entry in &mut entries {
                    entry.list = entry.size.ilog2() as usize;
                }
                entries.sort_by_key(|entry| entry.list);
            }
            Kind::Tree => {
                entries.sort_by_key(|entry| (entry.size, entry.offset));
                grow_tree(&mut entries, None, 0);
            }
        }
        entries
    }
}

/// Makes a balanced tree of entries in order.
fn grow_tree(entries: &mut [Entry], parent: Option<usize>, level: usize) {
    if entries.is_empty() {
        return;
    }
    let (left, rest) = entries.split_at_mut(entries.len() / 2);
    let (root, right) = rest.split_first_mut().expect("the middle exists");
    (root.parent, root.level) = (parent, level);
    grow_tree(left, Some(root.offset), level + 1);
    grow_tree(right, Some(root.offset), level + 1);
}

/// Requests and frees that look random and are the same every time.
pub fn trace(count: usize) -> Vec<Op> {
    let mut seed = 0x9e37_79b9_u64;
    let mut draw = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut live, mut next, mut ops): (Vec<u32>, u32, Vec<Op>) = Default::default();
    while ops.len() < count {
        let deed = draw(10);
        if live.is_empty() || deed < 5 {
            let size = [1 + draw(40), 1 + draw(300), 16 * (1 + draw(60))][draw(3)];
            ops.push(Op::Allocate { id: next, size });
            live.push(next);
            next += 1;
        } else if deed == 5 {
            let id = live[draw(live.len())];
            ops.push(Op::Reallocate { id, size: 1 + draw(600) });
        } else {
            ops.push(Op::Free { id: live.swap_remove(draw(live.len())) });
        }
    }
    ops
}

/// Runs a trace on a toy; what is kept, and every snapshot's blocks as (payload address, size, state).
pub fn run(kind: Kind, ops: &[Op], keep: Keep) -> (Recording, Vec<Raw>) {
    let mut toy = Toy { kind, blocks: Vec::new(), order: Vec::new() };
    let mut recorder = Recorder::new("toy.rep", kind.name(), keep);
    let mut places = std::collections::HashMap::new();
    let mut seen = Vec::new();
    for op in ops {
        let now = match *op {
            Op::Allocate { id, size } => {
                places.insert(id, toy.allocate(size));
                Some(places[&id])
            }
            Op::Reallocate { id, size } => {
                let new = toy.allocate(size);
                toy.free(places.insert(id, new).expect("it is live"));
                Some(new)
            }
            Op::Free { id } => {
                toy.free(places.remove(&id).expect("it is live"));
                None
            }
        };
        let raw = Raw { blocks: toy.blocks.clone(), index: toy.index() };
        seen.push(raw.clone());
        recorder.note(*op, now, toy.extent(), move || raw);
    }
    (recorder.finish(), seen)
}

/// The whole life of a toy.
pub fn history(kind: Kind, count: usize) -> History {
    part(kind, count, 0, count)
}

/// A part of it.
pub fn part(kind: Kind, count: usize, from: usize, to: usize) -> History {
    match run(kind, &trace(count), Keep::Steps { from, to }).0 {
        Recording::History(history) => *history,
        other => panic!("steps were asked for, not {other:?}"),
    }
}

/// One moment of it.
pub fn still(kind: Kind, count: usize, at: usize) -> Still {
    match run(kind, &trace(count), Keep::Moment(at)).0 {
        Recording::Still(still) => *still,
        other => panic!("a moment was asked for, not {other:?}"),
    }
}
