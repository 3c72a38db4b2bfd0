//! Draws a history of a heap.
