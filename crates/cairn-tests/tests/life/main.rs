//! Claim: the library works in every hour of a process's life and in every straits: before constructors, in
//! destructors, across fork, with little memory, few mappings and small stacks.

mod fork;
mod loading;
mod moves;
mod refusals;
mod straits;
mod threads;
