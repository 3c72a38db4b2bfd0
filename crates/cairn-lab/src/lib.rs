//! The laboratory: allocation traces, their replay on any placement policy, pictures of a heap, and lessons.
//!
//! | module | what it is |
//! |---|---|
//! | [`trace`] | an allocation trace: reads and writes malloc-lab `.rep` files |
//! | [`generate`] | traces of the classic shapes, from a seed |
//! | [`policies`] | the table of placement policies, each as a heap that can be chosen at run time |
//! | [`replay`] | runs a trace on a heap, checks contents and overlap, measures and scores |
//! | [`history`] | a heap's blocks and free index after each operation of a trace |
//! | [`picture`] | draws a history: SVG, PNG, terminal, one HTML page |
//! | [`lesson`] | short guided runs that compute everything they show |

pub mod generate;
pub mod history;
pub mod lesson;
pub mod picture;
pub mod policies;
pub mod replay;
pub mod trace;
