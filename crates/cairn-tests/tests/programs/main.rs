//! Claim: real programs do on `libcairn.so` exactly what they do without it: exit status, output, produced files.

mod bash;
mod cargo;
mod compilers;
mod git;
mod languages;
mod python;
mod redis;
