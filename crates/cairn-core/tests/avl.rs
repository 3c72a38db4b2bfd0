//! The tree against a `BTreeSet`, with an audit after every operation; and the audit against broken trees.
#![cfg(not(loom))]

use cairn_core::avl::{Nodes, Tree};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Default)]
struct Node {
    key: u32,
    left: Option<usize>,
    right: Option<usize>,
    parent: Option<usize>,
    height: u8,
}

/// Nodes in an array, ordered by (key, index); counts how often a height is written.
#[derive(Clone, Default)]
struct Table {
    nodes: Vec<Node>,
    height_writes: usize,
}

impl Table {
    fn with_keys(keys: impl IntoIterator<Item = u32>) -> Self {
        // What is left over in a node that is in no tree must not matter.
        let stale = Node { left: Some(0), right: Some(0), parent: Some(0), height: 200, key: 0 };
        Self { nodes: keys.into_iter().map(|key| Node { key, ..stale }).collect(), height_writes: 0 }
    }

    fn key(&self, n: usize) -> (u32, usize) {
        (self.nodes[n].key, n)
    }
}

impl Nodes for Table {
    type Id = usize;
    fn left(&self, n: usize) -> Option<usize> {
        self.nodes[n].left
    }
    fn set_left(&mut self, n: usize, to: Option<usize>) {
        self.nodes[n].left = to;
    }
    fn right(&self, n: usize) -> Option<usize> {
        self.nodes[n].right
    }
    fn set_right(&mut self, n: usize, to: Option<usize>) {
        self.nodes[n].right = to;
    }
    fn parent(&self, n: usize) -> Option<usize> {
        self.nodes[n].parent
    }
    fn set_parent(&mut self, n: usize, to: Option<usize>) {
        self.nodes[n].parent = to;
    }
    fn height(&self, n: usize) -> u8 {
        self.nodes[n].height
    }
    fn set_height(&mut self, n: usize, to: u8) {
        self.height_writes += 1;
        self.nodes[n].height = to;
    }
    fn less(&self, a: usize, b: usize) -> bool {
        self.key(a) < self.key(b)
    }
}

/// Numbers that look random and are the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn in_order(tree: &Tree<usize>, table: &Table) -> Vec<usize> {
    let mut seen = Vec::new();
    let mut at = tree.first(table);
    while let Some(n) = at {
        seen.push(n);
        at = tree.next(table, n);
    }
    seen
}

/// Compares everything that can be asked of the tree with the model.
fn agree(tree: &Tree<usize>, table: &Table, model: &BTreeSet<(u32, usize)>) {
    tree.check(table).unwrap();
    assert_eq!(tree.len(), model.len());
    assert_eq!(tree.is_empty(), model.is_empty());
    assert_eq!(tree.first(table), model.first().map(|&(_, n)| n));
    assert_eq!(tree.last(table), model.last().map(|&(_, n)| n));
}

/// One run of random insertions and removals over `size` nodes with keys below `keys`.
fn random_run(seed: u64, size: usize, keys: usize, operations: usize) {
    let mut dice = Dice(seed * 2 + 1);
    for _ in 0..16 {
        dice.below(2);
    }
    let mut table = Table::with_keys((0..size).map(|_| dice.below(keys) as u32));
    let mut tree = Tree::new();
    let mut model = BTreeSet::new();
    for operation in 0..operations {
        // Grow in the first half, shrink in the second.
        let growing = dice.below(operations) > operation;
        let n = dice.below(size);
        let here = table.key(n);
        if model.contains(&here) {
            if !growing || dice.below(4) == 0 {
                tree.remove(&mut table, n);
                model.remove(&here);
            }
        } else if growing || dice.below(4) == 0 {
            tree.insert(&mut table, n);
            model.insert(here);
        }
        agree(&tree, &table, &model);
        let wanted = dice.below(keys + 1) as u32;
        let best = tree.first_where(&table, |table, n| table.nodes[n].key >= wanted);
        assert_eq!(best, model.range((wanted, 0)..).next().map(|&(_, n)| n));
        if model.contains(&here) {
            assert_eq!(tree.next(&table, n), model.range((here.0, here.1 + 1)..).next().map(|&(_, n)| n));
            assert_eq!(tree.prev(&table, n), model.range(..here).next_back().map(|&(_, n)| n));
        }
    }
    assert_eq!(in_order(&tree, &table), model.iter().map(|&(_, n)| n).collect::<Vec<_>>());
    while let Some((key, n)) = model.pop_first() {
        assert_eq!(tree.first(&table).map(|n| table.key(n)), Some((key, n)));
        tree.remove(&mut table, n);
        agree(&tree, &table, &model);
    }
}

#[test]
fn behaves_like_a_sorted_set() {
    if cfg!(miri) {
        return random_run(1, 10, 20, 60);
    }
    for seed in 1..=60 {
        random_run(seed, 12, 6, 200);
        random_run(seed, 60, 1_000, 300);
    }
    random_run(99, 2_000, 100, 6_000);
}

/// Every order of insertion of `size` nodes, and for each of them every order of removal when `size` is small.
fn all_orders(size: usize, visit: &mut impl FnMut(&[usize])) {
    fn go(order: &mut Vec<usize>, fixed: usize, visit: &mut impl FnMut(&[usize])) {
        if fixed == order.len() {
            return visit(order);
        }
        for i in fixed..order.len() {
            order.swap(fixed, i);
            go(order, fixed + 1, visit);
            order.swap(fixed, i);
        }
    }
    go(&mut (0..size).collect(), 0, visit);
}

#[test]
fn every_order_of_a_few_nodes() {
    let size = if cfg!(miri) { 3 } else { 5 };
    all_orders(size, &mut |coming| {
        let mut table = Table::with_keys(0..size as u32);
        let mut full = Tree::new();
        for &n in coming {
            full.insert(&mut table, n);
            full.check(&table).unwrap();
        }
        all_orders(size, &mut |going| {
            let (mut table, mut tree) = (table.clone(), full.clone());
            for &n in going {
                tree.remove(&mut table, n);
                tree.check(&table).unwrap();
            }
            assert!(tree.is_empty());
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "35,280 removals are too many for Miri")]
fn every_single_removal_from_every_seven() {
    all_orders(7, &mut |coming| {
        let mut table = Table::with_keys(0..7);
        let mut full = Tree::new();
        coming.iter().for_each(|&n| full.insert(&mut table, n));
        for n in 0..7 {
            let (mut table, mut tree) = (table.clone(), full.clone());
            tree.remove(&mut table, n);
            tree.check(&table).unwrap();
            let rest: Vec<_> = (0..7).filter(|&other| other != n).collect();
            assert_eq!(in_order(&tree, &table), rest);
        }
    });
}

/// Rebalancing stops early: some two height writes an insertion in the mean, however large the tree is.
#[test]
fn the_way_up_is_short() {
    let size = if cfg!(miri) { 40 } else { 50_000 };
    let mut dice = Dice(12345);
    let mut table = Table::with_keys((0..size).map(|_| dice.below(1 << 30) as u32));
    let mut tree = Tree::new();
    for n in 0..size {
        tree.insert(&mut table, n);
    }
    assert!(table.height_writes < size * 4, "{} height writes for {size} insertions", table.height_writes);
    table.height_writes = 0;
    for n in 0..size {
        tree.remove(&mut table, n);
    }
    assert!(table.height_writes < size * 3, "{} height writes for {size} removals", table.height_writes);
}

/// Seven nodes in a full tree: 3 at the top, then 1 and 5, then 0, 2, 4 and 6.
fn seven() -> (Tree<usize>, Table) {
    let mut table = Table::with_keys(0..7);
    let mut tree = Tree::new();
    for n in [3, 1, 5, 0, 2, 4, 6] {
        tree.insert(&mut table, n);
    }
    tree.check(&table).unwrap();
    (tree, table)
}

/// What the audit says after `harm` was done to a tree in order.
fn verdict(harm: impl FnOnce(&mut Table)) -> &'static str {
    let (tree, mut table) = seven();
    harm(&mut table);
    tree.check(&table).unwrap_err().what
}

#[test]
fn the_audit_finds_each_kind_of_harm() {
    assert_eq!(verdict(|table| table.nodes[3].parent = Some(6)), "the root has a parent");
    assert_eq!(verdict(|table| table.nodes[4].parent = Some(1)), "a child names another parent");
    assert_eq!(verdict(|table| table.nodes[5].parent = None), "a child names another parent");
    assert_eq!(verdict(|table| table.nodes[1].right = Some(4)), "a child names another parent");
    assert_eq!(
        verdict(|table| table.nodes[1].right = Some(0)),
        "a node is the left and the right child at once"
    );
    assert_eq!(verdict(|table| table.nodes[2].height = 2), "a child is as high as its parent");
    assert_eq!(verdict(|table| table.nodes[3].height = 4), "a height is wrong");
    assert_eq!(verdict(|table| table.nodes[0].key = 9), "a node is not less than its successor");
    assert_eq!(verdict(|table| table.nodes[3].key = 0), "a node is not less than its successor");
    assert_eq!(verdict(|table| table.nodes[6].key = 4), "a node is not less than its successor");
    assert_eq!(
        verdict(|table| table.nodes[6].left = Some(6)),
        "a child names another parent",
        "a node that is its own child"
    );
    assert_eq!(
        verdict(|table| {
            table.nodes[2].right = Some(3);
            table.nodes[3].parent = Some(2);
        }),
        "the root has a parent",
        "a ring through the root"
    );
}

#[test]
fn the_audit_finds_what_was_lost_or_smuggled_in() {
    assert_eq!(
        verdict(|table| table.nodes[5].right = None),
        "fewer nodes are linked than the tree claims to have"
    );
    // The root of a tree of one, seen by a tree that believes it has two.
    let mut table = Table::with_keys(0..3);
    let mut two = Tree::new();
    two.insert(&mut table, 0);
    two.insert(&mut table, 1);
    table.nodes[0] = Node { key: 0, height: 1, ..Node::default() };
    assert_eq!(two.check(&table).unwrap_err().what, "fewer nodes are linked than the tree claims to have");
    // A third node that no insertion put there.
    two.insert(&mut table, 2);
    two.remove(&mut table, 2);
    let mut table = Table::with_keys(0..3);
    let mut two = Tree::new();
    two.insert(&mut table, 1);
    two.insert(&mut table, 0);
    table.nodes[2] = Node { key: 2, height: 1, parent: Some(1), ..Node::default() };
    table.nodes[1].right = Some(2);
    assert_eq!(two.check(&table).unwrap_err().what, "more nodes are linked than the tree claims to have");
}

#[test]
fn the_audit_finds_a_tree_out_of_balance() {
    let (tree, mut table) = seven();
    // 6 -> 5 -> 4 in a row, with right heights and links.
    table.nodes[5] = Node { key: 5, left: Some(4), right: None, parent: Some(6), height: 2 };
    table.nodes[6] = Node { key: 6, left: Some(5), right: None, parent: Some(3), height: 3 };
    table.nodes[3].right = Some(6);
    table.nodes[3].height = 4;
    assert_eq!(tree.check(&table).unwrap_err().what, "a node is out of balance");
}

#[test]
#[cfg_attr(miri, ignore = "20,000 trees are too many for Miri")]
fn an_audit_of_random_garbage_comes_to_an_end() {
    let mut dice = Dice(4242);
    let mut found = 0;
    for _ in 0..20_000 {
        let (tree, mut table) = seven();
        for _ in 0..1 + dice.below(6) {
            let target = dice.below(8);
            let target = (target < 7).then_some(target);
            let node = &mut table.nodes[dice.below(7)];
            match dice.below(4) {
                0 => node.left = target,
                1 => node.right = target,
                2 => node.parent = target,
                _ => node.height = dice.below(256) as u8,
            }
        }
        found += usize::from(tree.check(&table).is_err());
    }
    assert!(found > 15_000, "{found} of 20,000 broken trees were found");
}
