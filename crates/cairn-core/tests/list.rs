//! The list against a `VecDeque`, with an audit after every operation; and the audit against broken lists.
#![cfg(not(loom))]

use cairn_core::list::{Links, List};
use std::collections::VecDeque;

#[derive(Default)]
struct Table(Vec<(Option<u8>, Option<u8>)>);

impl Links for Table {
    type Id = u8;
    fn next(&self, n: u8) -> Option<u8> {
        self.0[usize::from(n)].1
    }
    fn set_next(&mut self, n: u8, to: Option<u8>) {
        self.0[usize::from(n)].1 = to;
    }
    fn prev(&self, n: u8) -> Option<u8> {
        self.0[usize::from(n)].0
    }
    fn set_prev(&mut self, n: u8, to: Option<u8>) {
        self.0[usize::from(n)].0 = to;
    }
}

#[test]
fn behaves_like_a_queue_with_two_ends() {
    let mut links = Table(vec![(Some(9), Some(9)); 20]);
    let mut list = List::new();
    let mut model = VecDeque::new();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..if cfg!(miri) { 60 } else { 5_000 } {
        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let n = (dice >> 40) as u8 % 20;
        match (model.iter().position(|&other| other == n), (dice >> 60) % 4) {
            (None, 0 | 1) => {
                list.push_first(&mut links, n);
                model.push_front(n);
            }
            (None, _) => {
                list.push_last(&mut links, n);
                model.push_back(n);
            }
            (Some(_), 0) => assert_eq!(list.pop_first(&mut links), model.pop_front()),
            (Some(place), _) => {
                list.remove(&mut links, n);
                model.remove(place);
            }
        }
        assert_eq!(list.check(&links), Ok(model.len()));
        assert_eq!((list.first(), list.last()), (model.front().copied(), model.back().copied()));
        assert_eq!(list.is_empty(), model.is_empty());
        let mut seen = Vec::new();
        let mut at = list.first();
        while let Some(n) = at {
            seen.push(n);
            at = links.next(n);
        }
        assert!(seen.iter().eq(&model), "{seen:?} is not {model:?}");
    }
}

#[test]
fn the_audit_finds_each_kind_of_harm() {
    let verdict = |harm: fn(&mut Table)| {
        let mut links = Table(vec![(None, None); 6]);
        let mut list = List::new();
        (0..5).for_each(|n| list.push_last(&mut links, n));
        assert_eq!(list.check(&links), Ok(5));
        harm(&mut links);
        list.check(&links).unwrap_err().what
    };
    let wrong_link = "a node of a list does not name the one before it";
    assert_eq!(verdict(|links| links.0[0].0 = Some(4)), wrong_link, "the first names one before it");
    assert_eq!(verdict(|links| links.0[3].0 = Some(1)), wrong_link, "a link back that skips one");
    assert_eq!(verdict(|links| links.0[1].1 = Some(3)), wrong_link, "a link on that skips one");
    assert_eq!(verdict(|links| links.0[4].1 = Some(0)), wrong_link, "a ring");
    assert_eq!(verdict(|links| links.0[4].1 = Some(2)), wrong_link, "a ring that leaves the first out");
    let wrong_end = "a list does not end at its last node";
    assert_eq!(verdict(|links| links.0[2].1 = None), wrong_end, "cut in the middle");
    assert_eq!(
        verdict(|links| {
            links.0[4].1 = Some(5);
            links.0[5] = (Some(4), None);
        }),
        wrong_end,
        "one more behind the last"
    );
}
