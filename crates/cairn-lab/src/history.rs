//! A heap's blocks and free index after each operation of a trace.
