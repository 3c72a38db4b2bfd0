#!/bin/sh
# mimalloc 2 as a shared object: the flags of its own CMake files for the shared library of a Release build, which its README
# tells to preload: -O3, NDEBUG, hidden visibility, initial-exec TLS, malloc and operator new overridden. The CMake files
# themselves can't be used, some of them aren't in the crate.
#
# SOURCE is the directory of libmimalloc-sys, LIBRARY the result.
set -eu
source="$SOURCE/c_src/mimalloc/v2"
$CC -std=gnu11 -O3 -DNDEBUG -DMI_BUILD_RELEASE -DMI_MALLOC_OVERRIDE=1 -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -fPIC \
    -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc -w -I "$source/include" \
    -shared "$source/src/static.c" -o "$LIBRARY" -pthread
