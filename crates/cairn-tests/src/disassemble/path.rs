//! The fast path of one function, found in its control-flow graph.
//!
//! ```text
//!      entry ──► cmp ──► ja ──► … ──► pop ──► ret        the way that never leaves: the fast path
//!                         │            │
//!                         └──► jmp ◄───┘                 the exit: a jump or a call into another function
//! ```
//! * The graph holds each instruction that can be reached from the entry without leaving the function. A call, a
//!   jump into another function, and a trap end the exploration: they are the *exits*.
//! * An instruction is *fast* iff a `ret` can be reached from it inside the graph. The fast instructions form the
//!   ways to return; if they form more than one, the fast path is the longest (most instructions, then most
//!   branches, then most accesses to memory), so that the counts are those of the worst case.
//! * A loop among the fast instructions is a fault, since then no longest way exists; so is the lack of any way.
//! * A jump into another function that every call takes (before any branch) is no exit: the function merely
//!   continues there. The linker and LLVM make such bridges when they merge equal functions.
//!
//! Cost: linear in the size of the function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use super::{Code, Flow, Instruction, Place};

/// No function with a fast path worth the name has more instructions before its calls.
const INSTRUCTIONS_MAX: usize = 4096;

/// What is counted on a fast path; no count may grow unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions, `ret` included.
    pub instructions: u32,
    /// Conditional branches.
    pub branches: u32,
    /// Reads of memory.
    pub loads: u32,
    /// Writes of memory.
    pub stores: u32,
    /// Different ways from the entry to a `ret`.
    pub ways: u32,
    /// Different places that the function may leave for.
    pub exits: u32,
}

impl Counts {
    /// The counts with their names, in the order in which they are written.
    pub fn named(&self) -> [(&'static str, u32); 6] {
        [
            ("instructions", self.instructions),
            ("branches", self.branches),
            ("loads", self.loads),
            ("stores", self.stores),
            ("ways", self.ways),
            ("exits", self.exits),
        ]
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.named().iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// A place outside the function that control may leave for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exit {
    /// The address, if it is known; of the memory word that holds it, if that is known; else of the instruction.
    pub address: u64,
    /// Its name.
    pub name: String,
}

/// The fast path of a function.
#[derive(Clone, Debug)]
pub struct FastPath {
    /// The counts.
    pub counts: Counts,
    /// The instructions, one line each, readable and equal in each build of the same source.
    pub listing: Vec<String>,
    /// All places that the function may leave for, each once.
    pub exits: Vec<Exit>,
    /// The lines of `listing` that access memory indivisibly.
    pub atomics: Vec<String>,
}

/// Why a function has no fast path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Each way through the function leaves it before a `ret`; the exits are named.
    AlwaysLeaves(Vec<Exit>),
    /// A way to return can go in circles; the text is an instruction of the circle.
    Loop(String),
    /// The function can't be read; the text says why.
    Unreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::AlwaysLeaves(exits) => {
                let names: Vec<&str> = exits.iter().map(|exit| exit.name.as_str()).collect();
                write!(
                    f,
                    "it has no fast path: every way to its end calls or jumps to {}",
                    names.join(" or ")
                )
            }
            Fault::Loop(at) => write!(f, "its fast path has a loop, through `{at}`"),
            Fault::Unreadable(why) => write!(f, "it can't be disassembled: {why}"),
        }
    }
}

/// Finds the fast path of the function that begins at `entry`.
pub fn fast_path(code: &dyn Code, entry: u64) -> Result<FastPath, Fault> {
    let graph = Graph::explore(code, entry)?;
    let exits: BTreeSet<Exit> = graph.nodes.values().flat_map(|node| node.exit.clone()).collect();
    let exits: Vec<Exit> = exits.into_iter().collect();
    let fast = graph.fast_instructions();
    if !fast.contains(&entry) {
        return Err(Fault::AlwaysLeaves(exits));
    }
    let order = graph.callers_first(&fast)?;
    let (path, ways) = graph.longest_way(entry, &order);

    let mut found = FastPath {
        counts: Counts { ways, exits: exits.len() as u32, ..Counts::default() },
        listing: Vec::new(),
        exits,
        atomics: Vec::new(),
    };
    for (at, address) in path.iter().enumerate() {
        let instruction = &graph.nodes[address].instruction;
        let line = graph.line(*address, path.get(at + 1).copied(), &fast);
        found.counts.instructions += 1;
        found.counts.branches += u32::from(matches!(instruction.flow, Flow::Branch(_)));
        found.counts.loads += instruction.loads;
        found.counts.stores += instruction.stores;
        found.listing.push(line);
    }
    // Not only the longest way: none may lock.
    let atomic = fast.iter().filter(|address| graph.nodes[address].instruction.atomic);
    found.atomics = atomic.map(|address| plain_text(&graph.nodes[address].instruction)).collect();
    Ok(found)
}

/// The verb, padded, and the operands.
fn plain_text(instruction: &Instruction) -> String {
    format!("{:<8}{}", instruction.mnemonic, instruction.operands).trim_end().to_string()
}

struct Node {
    instruction: Instruction,
    /// The instructions of the graph that may come next.
    next: Vec<u64>,
    /// The place outside that may come next.
    exit: Option<Exit>,
}

struct Graph {
    nodes: BTreeMap<u64, Node>,
}

impl Graph {
    fn explore(code: &dyn Code, entry: u64) -> Result<Graph, Fault> {
        let ranges = bridged_functions(code, entry)?;
        let inside = |address: u64| ranges.iter().any(|range| range.contains(&address));
        let mut nodes = BTreeMap::new();
        let mut open = vec![entry];
        while let Some(address) = open.pop() {
            if nodes.contains_key(&address) {
                continue;
            }
            if nodes.len() == INSTRUCTIONS_MAX {
                return Err(Fault::Unreadable(format!(
                    "more than {INSTRUCTIONS_MAX} instructions before any call"
                )));
            }
            let instruction = code.decode(address).map_err(Fault::Unreadable)?;
            let (aims, mut exit) = aims_and_exit(code, &instruction);
            let (next, left): (Vec<u64>, Vec<u64>) = aims.into_iter().partition(|aim| inside(*aim));
            if let Some(aim) = left.first() {
                exit = Some(Exit { address: *aim, name: code.name_of(*aim) });
            }
            open.extend(&next);
            nodes.insert(address, Node { instruction, next, exit });
        }
        Ok(Graph { nodes })
    }

    /// The instructions from which a `ret` can be reached.
    fn fast_instructions(&self) -> BTreeSet<u64> {
        let mut before: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (address, node) in &self.nodes {
            for next in &node.next {
                before.entry(*next).or_default().push(*address);
            }
        }
        let returns = self.nodes.iter().filter(|(_, node)| node.instruction.flow == Flow::Return);
        let mut open: Vec<u64> = returns.map(|(address, _)| *address).collect();
        let mut fast = BTreeSet::new();
        while let Some(address) = open.pop() {
            if fast.insert(address) {
                open.extend(before.get(&address).into_iter().flatten());
            }
        }
        fast
    }

    /// The fast instructions in an order in which each stands before those that may follow it.
    fn callers_first(&self, fast: &BTreeSet<u64>) -> Result<Vec<u64>, Fault> {
        let fast_next = |address: &u64| self.nodes[address].next.iter().filter(|next| fast.contains(next));
        let mut waiting_for: BTreeMap<u64, u32> = fast.iter().map(|address| (*address, 0)).collect();
        for next in fast.iter().flat_map(fast_next) {
            *waiting_for.entry(*next).or_default() += 1;
        }
        let mut ready: Vec<u64> =
            waiting_for.iter().filter(|(_, n)| **n == 0).map(|(address, _)| *address).collect();
        let mut order = Vec::new();
        while let Some(address) = ready.pop() {
            order.push(address);
            for next in fast_next(&address) {
                let left = waiting_for.entry(*next).or_default();
                *left -= 1;
                if *left == 0 {
                    ready.push(*next);
                }
            }
        }
        // Whoever still waits stands in a circle or behind one, and waits for another who waits: going back from one
        // to the next, more often than there are instructions, ends in a circle.
        let waits = |address: &&u64| waiting_for[*address] > 0;
        let Some(mut in_circle) = fast.iter().find(waits) else { return Ok(order) };
        for _ in 0..fast.len() {
            let before =
                fast.iter().filter(waits).find(|before| self.nodes[*before].next.contains(in_circle));
            in_circle = before.unwrap_or(in_circle);
        }
        Err(Fault::Loop(plain_text(&self.nodes[in_circle].instruction)))
    }

    /// The longest way from the entry to a `ret`, and how many ways there are.
    fn longest_way(&self, entry: u64, callers_first: &[u64]) -> (Vec<u64>, u32) {
        struct Best {
            /// Instructions, branches, accesses to memory from here to the `ret`.
            length: (u32, u32, u32),
            next: Option<u64>,
            ways: u32,
        }
        let mut best: BTreeMap<u64, Best> = BTreeMap::new();
        for address in callers_first.iter().rev() {
            let node = &self.nodes[address];
            let ways = node
                .next
                .iter()
                .filter_map(|next| best.get(next))
                .fold(0, |sum: u32, next| sum.saturating_add(next.ways));
            let next =
                node.next.iter().filter(|next| best.contains_key(next)).max_by_key(|next| best[next].length);
            let rest = next.map_or((0, 0, 0), |next| best[next].length);
            let is_branch = u32::from(matches!(node.instruction.flow, Flow::Branch(_)));
            let accesses = node.instruction.loads + node.instruction.stores;
            let length = (rest.0 + 1, rest.1 + is_branch, rest.2 + accesses);
            best.insert(*address, Best { length, next: next.copied(), ways: ways.max(1) });
        }
        let mut path = vec![entry];
        while let Some(next) = path.last().and_then(|address| best[address].next) {
            path.push(next);
        }
        (path, best[&entry].ways)
    }

    /// One line of the listing: the instruction and, for a branch, where its other side goes.
    fn line(&self, address: u64, followed: Option<u64>, fast: &BTreeSet<u64>) -> String {
        let node = &self.nodes[&address];
        let text = plain_text(&node.instruction);
        let target = match node.instruction.flow {
            Flow::Branch(target) => target,
            Flow::Jump(_) => return format!("{text:<8}onward"),
            _ => return text,
        };
        let other = [node.instruction.end(), target].into_iter().find(|side| Some(*side) != followed);
        let kind = if followed == Some(target) { "taken; else" } else { "if so," };
        let note = match other {
            Some(other) if fast.contains(&other) => "another way to return".to_string(),
            Some(other) => format!("leaves for {}", self.exits_from(other, node).join(" or ")),
            None => "nothing".to_string(),
        };
        format!("{text:<44}; {kind} {note}")
    }

    /// The names of the exits that can be reached from an instruction, or of the branch's own exit.
    fn exits_from(&self, address: u64, branch: &Node) -> Vec<String> {
        if !self.nodes.contains_key(&address) {
            return branch.exit.iter().map(|exit| exit.name.clone()).collect();
        }
        let mut seen = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut open = vec![address];
        while let Some(address) = open.pop() {
            if seen.insert(address) {
                names.extend(self.nodes[&address].exit.iter().map(|exit| exit.name.clone()));
                open.extend(&self.nodes[&address].next);
            }
        }
        names.into_iter().collect()
    }
}

/// The addresses that may come next, and the exit of an instruction that always leaves.
fn aims_and_exit(code: &dyn Code, instruction: &Instruction) -> (Vec<u64>, Option<Exit>) {
    let leaves_for = |place: &Place| match place {
        Place::Known(address) => Exit { address: *address, name: code.name_of(*address) },
        Place::Slot(slot) => Exit { address: *slot, name: format!("the {}", code.meaning_of(*slot)) },
        Place::Computed => Exit {
            address: instruction.address,
            name: format!("wherever `{} {}` goes", instruction.mnemonic, instruction.operands),
        },
    };
    match &instruction.flow {
        Flow::Next => (vec![instruction.end()], None),
        Flow::Branch(target) => (vec![instruction.end(), *target], None),
        Flow::Jump(target) => (vec![*target], None),
        Flow::Return => (vec![], None),
        Flow::JumpIndirect(place) | Flow::Call(place) => (vec![], Some(leaves_for(place))),
        Flow::Trap => {
            let name = format!("a trap (`{}`)", instruction.mnemonic);
            (vec![], Some(Exit { address: instruction.address, name }))
        }
    }
}

/// The function at `entry`, and those that it is a mere bridge to.
fn bridged_functions(code: &dyn Code, entry: u64) -> Result<Vec<Range<u64>>, Fault> {
    let unknown = || Fault::Unreadable(format!("no function begins at {entry:#x}"));
    let mut ranges = vec![code.function_at(entry).ok_or_else(unknown)?];
    let mut address = entry;
    for _ in 0..INSTRUCTIONS_MAX {
        let instruction = code.decode(address).map_err(Fault::Unreadable)?;
        address = match instruction.flow {
            Flow::Next => instruction.end(),
            Flow::Jump(target) => target,
            _ => break,
        };
        if ranges.iter().any(|range| range.contains(&address)) {
            continue;
        }
        match (instruction.flow, code.function_at(address)) {
            (Flow::Jump(_), Some(range)) => ranges.push(range),
            _ => break,
        }
    }
    Ok(ranges)
}
