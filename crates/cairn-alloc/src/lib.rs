//! engine
#![no_std]
