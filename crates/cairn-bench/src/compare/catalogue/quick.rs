//! What `--quick` runs: a choice of allocators, less work in each load, and an end after a given time.
//!
//! It shows within five minutes that everything works and where things stand roughly. Loads of all kinds come in turn, so
//! that whatever time there is, each kind has its share; what is left out is named.

use std::time::Duration;

use super::{Kind, Load};
use crate::compare::peers::Peer;

/// The factor on all operation counts.
pub const SCALE: f64 = 0.1;
/// Turns of each allocator.
pub const RUNS: u32 = 2;
/// When the session stops. A run that has begun may go on, and the tables take a moment.
pub const LIMIT: Duration = Duration::from_secs(4 * 60 + 15);
/// When a run is ended.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The fastest, the newest, the leanest and the best known; and whatever the command line names.
const PEERS: [&str; 7] = ["cairn", "glibc", "mimalloc2", "mimalloc3", "snmalloc", "tcmalloc", "jemalloc"];

/// Real programs that are through in a second or two.
const PROGRAMS: [&str; 4] = ["python3", "sqlite3", "redis", "perl"];

/// Removes the peers that are not in the choice, and returns a sentence about each.
pub fn choose_peers(peers: &mut Vec<Peer>, named: &[Peer]) -> Vec<String> {
    let kept = |peer: &Peer| PEERS.contains(&peer.name.as_str()) || named.contains(peer);
    let left_out = peers.iter().filter(|peer| !kept(peer)).map(|peer| sentence(&peer.name)).collect();
    peers.retain(kept);
    left_out
}

/// Whether a real program is in the choice.
pub fn has_program(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// Removes the patterns that are not in the choice, puts the kinds in turn, and returns a sentence about each that is gone.
pub fn choose_loads(loads: &mut Vec<Load>) -> Vec<String> {
    let kept = |load: &Load| load.kind == Kind::Program || !super::WAITING.contains(&load.words[0].as_str());
    let mut left_out: Vec<String> =
        loads.iter().filter(|load| !kept(load)).map(|load| sentence(&load.name)).collect();
    loads.retain(kept);
    in_turn(loads);
    left_out.push(format!("real programs other than {}: not in a quick session", PROGRAMS.join(", ")));
    left_out
}

/// The sentence about what was left out.
pub fn sentence(name: &str) -> String {
    format!("{name}: not in a quick session")
}

/// The first of each kind, then the second of each kind, and so on.
fn in_turn(loads: &mut Vec<Load>) {
    let mut seen = [0usize; Kind::ALL.len()];
    let mut numbered: Vec<(usize, Load)> = loads
        .drain(..)
        .map(|load| {
            let number = &mut seen[load.kind as usize];
            *number += 1;
            (*number, load)
        })
        .collect();
    numbered.sort_by_key(|(number, load)| (*number, load.kind));
    loads.extend(numbered.into_iter().map(|(_, load)| load));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::patterns;

    #[test]
    fn kinds_come_in_turn_and_nothing_that_sleeps() {
        let mut loads = patterns(SCALE);
        let all = loads.len();
        let left_out = choose_loads(&mut loads);
        assert_eq!(loads.len() + left_out.len(), all + 1, "one sentence is about the programs");
        let kinds: Vec<Kind> = loads.iter().map(|load| load.kind).take(3).collect();
        assert_eq!(kinds, [Kind::OneThread, Kind::ManyThreads, Kind::RustDoor]);
        assert!(loads.iter().all(|load| load.words[0] != "after-free"));
    }

    #[test]
    fn a_peer_that_was_named_stays() {
        let peer = |name| Peer::preloaded(name, "/x.so".into());
        let mut peers = vec![Peer::glibc(), peer("rpmalloc"), peer("mine")];
        let left_out = choose_peers(&mut peers, &[peer("mine")]);
        assert_eq!(peers, [Peer::glibc(), peer("mine")]);
        assert_eq!(left_out, [sentence("rpmalloc")]);
    }
}
