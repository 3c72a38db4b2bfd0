#!/bin/sh
# jemalloc as a shared object: its own configure and make with their defaults, as its INSTALL.md tells (-O3 -funroll-loops,
# hidden visibility, initial-exec TLS, operator new overridden). Statistics, on by default, are off as in its Rust crate.
#
# SOURCE is the directory of tikv-jemalloc-sys, WORK a directory for what is in between, LIBRARY the result.
set -eu
version=$(basename "$SOURCE")
version=${version#*+} # 5.3.1-0-g…, which configure can't find out without a git checkout
cp -r "$SOURCE/jemalloc/." "$WORK"
cp "$SOURCE/configure/configure" "$WORK/configure"
cd "$WORK"
sh ./configure --with-version="$version" --enable-doc=no --enable-static=no --disable-stats
make -j "$JOBS" build_lib_shared
cp -L lib/libjemalloc.so "$LIBRARY"
