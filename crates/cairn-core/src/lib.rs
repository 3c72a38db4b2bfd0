//! The small parts every Cairn heap is built from.
//!
//! This is the lowest rung of the ladder: nothing here knows what a size class or a slab is, nothing here
//! allocates, and nothing here needs the standard library. Each part is one file:
//!
//! | module | the one thing it does |
//! |---|---|
//! | [`sync`] | the only switch between the real atomics and the model checker's |
//! | [`lock`] | a lock of four bytes that sleeps in the kernel and never allocates |
//! | [`avl`] | a balanced tree whose nodes live wherever their owner keeps them |
//! | [`list`] | a doubly linked list, likewise |
//! | [`audit`] | what the audit of a tree or a list says |
//! | [`os`] | memory from the operating system, and facts about the machine |
//! | [`hint`] | asks the compiler to keep an address in a register |
//! | [`count`] | counts what threads share, in a build that was made for it, and is nothing in all others |
//! | [`fault`] | one line on stderr, made without allocating, and the end |
//! | [`backtrace`] | where a thread is, likewise |
//! | [`weak`] | references to functions that a process may lack |
//!
//! `os`, `fault` and `backtrace` are there by the feature `os`; without it a waiting [`lock`] spins, and nothing needs an operating system.
#![no_std]

pub mod audit;
pub mod avl;
#[cfg(feature = "os")]
pub mod backtrace;
pub mod count;
#[cfg(feature = "os")]
pub mod fault;
pub mod hint;
pub mod list;
pub mod lock;
#[cfg(feature = "os")]
pub mod os;
pub mod sync;
pub mod weak;
