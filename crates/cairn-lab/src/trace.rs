//! An allocation trace: what a program asked of its heap, in order.
