//! What an audit says when it finds something wrong.

/// The first invariant that does not hold, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken<Id> {
    /// The node at which it shows; none if the structure as a whole is wrong.
    pub node: Option<Id>,
    /// The invariant, as a sentence that says what is wrong.
    pub what: &'static str,
}

impl<Id> Broken<Id> {
    /// Something that shows at one node.
    pub(crate) const fn at(node: Id, what: &'static str) -> Self {
        Self { node: Some(node), what }
    }

    /// Something that shows at no node in particular.
    pub(crate) const fn whole(what: &'static str) -> Self {
        Self { node: None, what }
    }
}
