//! Boxes of several sizes in vectors, lists and trees: built, walked, replaced in part, dropped.
//!
//! Models what Rust programs keep on the heap: nodes and records of 24, 40, 56 and 72 bytes, all of them 8 modulo 16.
//! The C functions must align to 16 and so round these sizes up; Rust says that 8 is enough, and an allocator that
//! listens can keep a quarter more boxes of 24 bytes in a page. Stresses allocation of known sizes and sized frees, which
//! the compiler can fold, and the locality of bulk: each round drops what the last one built and mixed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Args;

use crate::heap::resident_kib;
use crate::random::Random;
use crate::{Outcome, Point, Scale, Workload};

#[derive(Args)]
pub struct Boxes {
    /// Boxes of each kind
    #[arg(long, default_value_t = 200_000)]
    items: usize,
    /// How often everything is built and dropped
    #[arg(long, default_value_t = 5)]
    rounds: u64,
}

/// A node of a list: 24 bytes.
struct Link {
    next: Option<Box<Link>>,
    value: u64,
    weight: u64,
}

/// A node of a tree: 40 bytes.
struct Branch {
    left: Option<Box<Branch>>,
    right: Option<Box<Branch>>,
    key: u64,
    payload: [u64; 2],
}

const _: () = assert!(size_of::<Link>() == 24 && size_of::<Branch>() == 40);

/// Links in one list: long enough to be a list, short enough to be dropped by recursion.
const LIST: usize = 100;

/// A record of `WORDS` words.
type Record<const WORDS: usize> = Box<[u64; WORDS]>;

fn records<const WORDS: usize>(items: usize, random: &mut Random) -> Vec<Record<WORDS>> {
    (0..items).map(|_| Box::new([random.bits(); WORDS])).collect()
}

/// Replaces a third of them, at random places, by new boxes; gives how many.
fn replace_some<const WORDS: usize>(records: &mut [Record<WORDS>], random: &mut Random) -> u64 {
    let some = records.len() / 3;
    for _ in 0..some {
        let at = random.below(records.len());
        // A new box, which exists before the old one goes; not new contents for the old one.
        drop(std::mem::replace(&mut records[at], Box::new([random.bits(); WORDS])));
    }
    some as u64
}

/// All words of a record are the same, so a box that was written over shows.
fn sum<const WORDS: usize>(records: &[Record<WORDS>]) -> u64 {
    records.iter().fold(0, |sum, record| {
        assert_eq!(record[0], record[WORDS - 1], "a box lost what was written to it");
        sum.wrapping_add(record[0])
    })
}

fn list(length: usize, random: &mut Random) -> Option<Box<Link>> {
    (0..length).fold(None, |next, at| Some(Box::new(Link { next, value: at as u64, weight: random.bits() })))
}

/// Takes every second link out, as a queue loses what is done; gives how many are left.
fn thin(list: &mut Option<Box<Link>>) -> u64 {
    let (mut left, mut place) = (0, list);
    while let Some(link) = place {
        left += 1;
        link.next = link.next.take().and_then(|second| second.next);
        place = &mut link.next;
    }
    left
}

fn sum_of_list(list: &Option<Box<Link>>) -> u64 {
    let links = std::iter::successors(list.as_deref(), |link| link.next.as_deref());
    links.fold(0, |sum, link| sum.wrapping_add(link.value ^ (link.weight >> 60)))
}

/// A tree of that many nodes in a random shape.
fn tree(nodes: usize, random: &mut Random) -> Option<Box<Branch>> {
    let rest = nodes.checked_sub(1)?;
    // Uneven, but not so much that the depth exceeds a few dozen levels.
    let left = random.between(rest / 4, rest - rest / 4);
    let key = random.bits();
    let branch =
        Branch { left: tree(left, random), right: tree(rest - left, random), key, payload: [key; 2] };
    Some(Box::new(branch))
}

/// The number of nodes, each checked.
fn nodes(tree: &Option<Box<Branch>>) -> u64 {
    let Some(branch) = tree else { return 0 };
    assert_eq!(branch.payload, [branch.key; 2], "a node lost what was written to it");
    1 + nodes(&branch.left) + nodes(&branch.right)
}

/// Cuts off subtrees of some levels below and grows new ones of `grown` nodes there; gives how many nodes are new.
fn regrow(tree: &mut Option<Box<Branch>>, levels: u32, grown: usize, random: &mut Random) -> u64 {
    match tree {
        Some(branch) if levels > 0 => {
            let left = regrow(&mut branch.left, levels - 1, grown, random);
            // The right side is regrown half as often, and stays old beside what is new.
            let right = if levels.is_multiple_of(2) {
                regrow(&mut branch.right, levels - 1, grown, random)
            } else {
                0
            };
            left + right
        }
        place => {
            *place = None;
            *place = self::tree(grown, random);
            grown as u64
        }
    }
}

/// What one round measured.
struct Round {
    boxes: u64,
    live_kib: u64,
    resident_kib: u64,
    /// The time for looking at memory, which doesn't count.
    aside: Duration,
}

fn round(items: usize, random: &mut Random) -> Round {
    let mut small: Vec<Record<3>> = records(items, random);
    let mut middle: Vec<Record<5>> = records(items, random);
    let mut large: Vec<Record<7>> = records(items, random);
    let mut largest: Vec<Record<9>> = records(items, random);
    let mut lists: Vec<_> = (0..items / LIST).map(|_| list(LIST, random)).collect();
    let mut branches = tree(items, random);
    let start = Instant::now();
    let lists_bytes = lists.len() * LIST * size_of::<Link>();
    let bytes = items * ((3 + 5 + 7 + 9) * 8 + size_of::<Branch>() + 4 * size_of::<usize>()) + lists_bytes;
    let (live_kib, resident_kib) = ((bytes / 1024) as u64, resident_kib());
    let aside = start.elapsed();
    let mut boxes = (items * 5 + lists.len() * LIST) as u64;

    assert_eq!(nodes(&branches), items as u64, "the tree lost nodes");
    let before = lists.iter().map(sum_of_list).fold(0, u64::wrapping_add);
    black_box(before ^ sum(&small) ^ sum(&middle) ^ sum(&large) ^ sum(&largest));

    boxes += replace_some(&mut small, random) + replace_some(&mut middle, random);
    boxes += replace_some(&mut large, random) + replace_some(&mut largest, random);
    let left: u64 = lists.iter_mut().map(thin).sum();
    assert_eq!(left, (lists.len() * LIST / 2) as u64, "the lists lost links");
    for list in lists.iter_mut().step_by(2) {
        *list = self::list(LIST, random);
        boxes += LIST as u64;
    }
    boxes += regrow(&mut branches, 6, items / 64, random);
    black_box(nodes(&branches));
    black_box(sum(&small) ^ sum(&middle) ^ sum(&large) ^ sum(&largest));
    black_box(lists.iter().map(sum_of_list).fold(0, u64::wrapping_add));
    Round { boxes, live_kib, resident_kib, aside }
}

impl Workload for Boxes {
    fn run(&self, scale: Scale) -> Outcome {
        let (rounds, items) = (scale.of(self.rounds), self.items.max(1));
        let random = &mut Random::new(1);
        let start = Instant::now();
        let done: Vec<Round> = (0..rounds).map(|_| round(items, random)).collect();
        let elapsed = start.elapsed() - done.iter().map(|round| round.aside).sum::<Duration>();
        let boxes = done.iter().map(|round| round.boxes).sum();
        let mut outcome = Outcome::new("boxes", "one box made, walked and dropped", boxes, elapsed);
        let point = |(at, round): (usize, &Round)| Point {
            at: format!("built, round {at}"),
            live_kib: round.live_kib,
            resident_kib: round.resident_kib,
        };
        // The first round shows the layout of a fresh heap, the last one that of a used one.
        let last = done.len() - 1;
        outcome.points =
            done.iter().enumerate().filter(|(at, _)| [0, last].contains(at)).map(point).collect();
        outcome
    }
}
