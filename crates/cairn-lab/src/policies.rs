//! The table of placement policies, each as a heap that can be chosen at run time.
//!
//! A heap's policy and configuration are types. Here they get names: [`POLICIES`] × [`SETUPS`], and a heap of any
//! of them is an [`AnyHeap`]. A new policy is one line in [`POLICIES`].
//!
//! ```text
//!   Policy ──make(setup, memory)──► Box<dyn AnyHeap> = Heap<Pool, P, C>        memory: Pool, one reservation
//! ```
//! Tools that look at a heap use the one that counts (`Meter = Tally`); a timed run uses the one that doesn't
//! ([`Policy::make_plain`]), and runs whole inside one call, [`AnyHeap::race`], so that each operation is a direct call.

mod any;
mod pool;
mod setup;

pub use any::{AnyHeap, Counts};
pub use pool::Memory;
pub use setup::{HEADER, SETUPS, Setup};

use cairn_heap::{
    BestFit, BestFitTree, FirstFit, FirstFitAddress, Heap, NextFit, Placement, Segregated, Tally, TwoLevel,
    WorstFit,
};

use pool::Pool;
use setup::Lab;

/// A placement policy.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub what: &'static str,
    counting: fn(Setup, Pool) -> Box<dyn AnyHeap>,
    plain: fn(Setup, Pool) -> Box<dyn AnyHeap>,
}

const fn policy<P: Placement + 'static>() -> Policy {
    Policy { name: P::NAME, what: P::ABOUT, counting: heap::<P, Tally>, plain: heap::<P, ()> }
}

/// All policies.
pub const POLICIES: &[Policy] = &[
    policy::<FirstFit>(),
    policy::<FirstFitAddress>(),
    policy::<NextFit>(),
    policy::<BestFit>(),
    policy::<WorstFit>(),
    policy::<BestFitTree>(),
    policy::<Segregated>(),
    policy::<TwoLevel>(),
];

impl Policy {
    /// The policy of this name.
    ///
    /// # Errors
    /// One sentence that lists the names.
    pub fn named(name: &str) -> Result<&'static Policy, String> {
        POLICIES.iter().find(|policy| policy.name == name).ok_or_else(|| {
            let names: Vec<&str> = POLICIES.iter().map(|policy| policy.name).collect();
            format!("there is no policy '{name}'; there are: {}", names.join(", "))
        })
    }

    /// An empty heap that counts what it does.
    pub fn make(&self, setup: Setup, memory: &Memory) -> Box<dyn AnyHeap> {
        (self.counting)(setup, memory.pool())
    }

    /// An empty heap that counts nothing: for timing.
    pub fn make_plain(&self, setup: Setup, memory: &Memory) -> Box<dyn AnyHeap> {
        (self.plain)(setup, memory.pool())
    }
}

/// A heap with this policy, meter and configuration. One arm for each setup: the constants become types here.
fn heap<P: Placement + 'static, M: any::Count>(setup: Setup, pool: Pool) -> Box<dyn AnyHeap> {
    match setup {
        Setup::Standard => Box::new(Heap::<Pool, P, Lab<M, 16, false, false>>::new(pool)),
        Setup::Deferred => Box::new(Heap::<Pool, P, Lab<M, 16, true, false>>::new(pool)),
        Setup::Textbook => Box::new(Heap::<Pool, P, Lab<M, 16, false, true>>::new(pool)),
        Setup::Align8 => Box::new(Heap::<Pool, P, Lab<M, 8, false, false>>::new(pool)),
    }
}
