#!/bin/sh
# rpmalloc as a shared object: the flags of its own build files for the library that overrides malloc (rpmallocwrap, "deploy").
# Only one of them is left out, -ffast-math, which would change floating point in the preloaded program and nothing in rpmalloc.
#
# SOURCE is the directory of rpmalloc-sys, WORK a directory for what is in between, LIBRARY the result.
set -eu
$CC -std=c11 -O3 -funroll-loops -DNDEBUG -D_GNU_SOURCE=1 -DENABLE_PRELOAD=1 -DENABLE_OVERRIDE=1 -DBUILD_DYNAMIC_LINK=1 \
    -DRPMALLOC_COMPILE=1 -funit-at-a-time -fstrict-aliasing -fno-math-errno -fno-trapping-math -fPIC -ftls-model=initial-exec \
    -w -I "$SOURCE/rpmalloc/rpmalloc" -shared "$SOURCE/rpmalloc/rpmalloc/rpmalloc.c" -o "$LIBRARY" \
    -Wl,-Bsymbolic -pthread -ldl
