#!/bin/sh
# snmalloc as a shared object: its own CMake files, build type Release, target snmallocshim (the one without checks). It advises
# clang, and links with lld where it is found.
#
# SOURCE is the directory of snmalloc-sys, WORK a directory for what is in between, LIBRARY the result.
set -eu
cmake -S "$SOURCE/upstream" -B "$WORK" -DCMAKE_BUILD_TYPE=Release -DSNMALLOC_BUILD_TESTING=OFF -DSNMALLOC_STATIC_LIBRARY=OFF
cmake --build "$WORK" --parallel "$JOBS" --target snmallocshim
cp "$WORK/libsnmallocshim.so" "$LIBRARY"
