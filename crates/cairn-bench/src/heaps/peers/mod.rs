//! The peers: one adapter each, which uses the crate as its documentation recommends where one thread uses the heap.

pub mod buddy;
pub mod dlmalloc;
pub mod glibc;
pub mod linked_list;
pub mod rlsf;
pub mod talc;
