#!/bin/sh
# Builds a crate from nothing. Arguments: a directory with `crate` and a `toolchain/bin/rustc`, and the cargo to use.
# This shell and its helpers run without the preload; cargo and what it starts get it.
preload=$LD_PRELOAD
unset LD_PRELOAD RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET CARGO_MAKEFLAGS MAKEFLAGS
cd "$1/crate" || exit 1
rm -rf "$1/target"
export CARGO_HOME="$1/home" CARGO_TARGET_DIR="$1/target" CARGO_INCREMENTAL=0 RUSTC="$1/toolchain/bin/rustc"
LD_PRELOAD=$preload "$2" build --offline --quiet --jobs 2 || exit
cksum < "$1/target/debug/libstones.rlib"
