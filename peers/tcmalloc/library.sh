#!/bin/sh
# google/tcmalloc as a shared object. Its authors link it into programs and have no shared object; this one is what comes nearest:
# the objects that its Rust crate compiled, and tcmalloc.cc once more, without the switch that hides malloc and operator new.
# No call goes through a table: symbols bind inside (-Bsymbolic), TLS is initial-exec. The C++ library is linked in, as in the
# programs of its authors, so that a C program doesn't pay for loading one.
#
# SOURCE is the directory of libtcmalloc-sys, BUILT what its build script made (patched sources and archive), WORK a directory
# for what is in between, LIBRARY the result.
set -eu
sources="$BUILT/patched_deps/c_src"
$CXX -std=c++17 -O3 -DNDEBUG -DTCMALLOC_INTERNAL_8K_PAGES -DNOMINMAX -fPIC -ftls-model=initial-exec \
    -ffunction-sections -fdata-sections -w -I "$sources/abseil-cpp" -I "$sources/tcmalloc" \
    -c "$sources/tcmalloc/tcmalloc/tcmalloc.cc" -o "$WORK/tcmalloc.o"
# The crate's own bridge to Rust holds tcmalloc.cc without malloc; nothing asks for it, so the linker leaves it in the archive.
$CXX -shared -O3 -o "$LIBRARY" "$WORK/tcmalloc.o" "$BUILT/libtcmalloc.a" \
    -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,--gc-sections -static-libstdc++ -lpthread
