//! parts
#![no_std]
