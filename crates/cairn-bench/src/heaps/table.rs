//! The table of all heaps that are compared.

use cairn_heap::{
    BestFit, BestFitTree, Deferred, Fast, FirstFit, FirstFitAddress, Map, NextFit, Region, Segregated,
    Standard, TwoLevel, WorstFit,
};

use super::measure::Contender;
use super::ours::{Deferred8, Fast8, Ours, Standard8};
use super::peers;

/// The versions are those of Cargo.lock; a test holds them to it.
pub(super) const PEERS: [(&str, &str); 5] = [
    ("talc", "5.1.1"),
    ("rlsf", "0.2.3"),
    ("dlmalloc", "0.2.14"),
    ("linked_list_allocator", "0.10.6"),
    ("buddy_system_allocator", "0.13.0"),
];

/// One policy over a region and over a mapping, with coalescing at once and deferred.
macro_rules! ours {
    ($list:ident, $align:literal, $standard:ty, $deferred:ty, $($policy:ty => $name:literal),*) => {
        $(
            $list.push(Contender::here::<Ours<Region, $policy, $standard>, $align>(
                concat!("cairn ", $name), "region", true));
            $list.push(Contender::here::<Ours<Region, $policy, $deferred>, $align>(
                concat!("cairn ", $name, " deferred"), "region", true));
        )*
        $(
            $list.push(Contender::here::<Ours<Map, $policy, $standard>, $align>(
                concat!("cairn ", $name, " map"), "mmap", true));
            $list.push(Contender::here::<Ours<Map, $policy, $deferred>, $align>(
                concat!("cairn ", $name, " deferred map"), "mmap", true));
        )*
    };
}

/// The peers and then ours, with a configuration of this alignment.
macro_rules! all {
    ($align:literal, $standard:ty, $deferred:ty, $fast:ty) => {{
        let mut list = vec![
            Contender::here::<peers::talc::Talc, $align>(PEERS[0].0, PEERS[0].1, false),
            Contender::here::<peers::rlsf::Rlsf, $align>(PEERS[1].0, PEERS[1].1, false),
            Contender::here::<peers::dlmalloc::Dlmalloc, $align>(PEERS[2].0, PEERS[2].1, false),
            Contender::here::<peers::linked_list::LinkedList, $align>(PEERS[3].0, PEERS[3].1, false),
            Contender::here::<peers::buddy::Buddy, $align>(PEERS[4].0, PEERS[4].1, false),
            Contender::glibc(),
        ];
        ours!(list, $align, $standard, $deferred,
            FirstFit => "first-fit", FirstFitAddress => "first-fit-address", NextFit => "next-fit",
            BestFit => "best-fit", WorstFit => "worst-fit", BestFitTree => "best-fit-tree",
            Segregated => "segregated", TwoLevel => "two-level");
        // The configuration for speed, with the policies that are made for it.
        list.push(Contender::here::<Ours<Region, Segregated, $fast>, $align>("cairn segregated fast", "region", true));
        list.push(Contender::here::<Ours<Region, TwoLevel, $fast>, $align>("cairn two-level fast", "region", true));
        list
    }};
}

/// All heaps for blocks of this alignment, 8 or 16.
pub fn contenders(align: usize) -> Vec<Contender> {
    match align {
        8 => all!(8, Standard8, Deferred8, Fast8),
        _ => all!(16, Standard, Deferred, Fast),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_built() {
        let lock = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        for (name, version) in PEERS {
            assert!(
                lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")),
                "{name} {version} is not what Cargo.lock has"
            );
        }
    }

    #[test]
    fn names_differ() {
        let names: std::collections::HashSet<_> = contenders(16).iter().map(|c| c.name).collect();
        assert_eq!(names.len(), contenders(8).len());
    }
}
