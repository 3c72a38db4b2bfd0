//! Claim: `libcairn.so` keeps the rules of the C and C++ allocation functions, and its face is exactly what is
//! promised. Each rule is one program under `c/abi` or `c/cxx`.

mod conformance;
mod face;
mod faults;
mod reports;
mod static_library;
