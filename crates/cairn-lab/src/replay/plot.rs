//! The plot of a replay.
