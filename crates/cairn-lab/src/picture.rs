//! Draws a history of a heap.

pub mod png;
