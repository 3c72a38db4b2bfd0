//! Runs a trace on a heap, checks what the heap gives, and measures it.
