#!/bin/sh
# The allocators that hardened mode is compared with, as shared objects: peers/hardened.sh [FOLDER]
#
# Without a FOLDER they go to target/peers/hardened, where `cairn bench --peers cairn-hardened,scudo,..` finds them by name. It prints what
# the table of faults (`cargo run --release -p cairn-tests --bin faults --`) and `cairn bench --libs` take. They are apart from the
# peers of `cairn bench prepare`, which are built to be fast.
#
#   mimalloc2-secure, mimalloc3-secure   the sources of libmimalloc-sys with MI_SECURE=4, which its feature `secure` sets; else as in mimalloc2/
#   hardened_malloc                      the sources and config-light.conf of hardened-malloc-sys, by clang (C23)
#   scudo                                Debian's libclang-rt-19-dev, as it is
set -eu
out=${1:-${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/peers/hardened}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
: >"$work/src/lib.rs"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "sources"
version = "0.0.0"
edition = "2024"
[dependencies]
libmimalloc-sys = "=0.1.49"
hardened-malloc-sys = "=16.0.2026071503"
[workspace]
TOML
cd "$work"
folder() {
    cargo metadata --format-version 1 | tr ',' '\n' | sed -n 's|.*"manifest_path":"\(.*/'"$1"'-[^/]*\)/Cargo.toml".*|\1|p' | head -n 1
}
libs=
for version in 2 3; do
    source=$(folder libmimalloc-sys)/c_src/mimalloc/v$version
    cc -std=gnu11 -O3 -DNDEBUG -DMI_BUILD_RELEASE -DMI_SECURE=4 -DMI_MALLOC_OVERRIDE=1 -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT \
        -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc -w -I "$source/include" \
        -shared "$source/src/static.c" -o "$out/libmimalloc$version-secure.so" -pthread
    libs="$libs,mimalloc$version-secure=$out/libmimalloc$version-secure.so"
done
crate=$(folder hardened-malloc-sys)
source=$crate/vendor/hardened-malloc
settings=$(sed -n 's/^\([A-Z_]*\) *= *\(.*\)$/-D\1=\2/p' "$crate/config-light.conf")
# shellcheck disable=SC2086 # one word a setting
clang-19 -O3 -fPIC -fvisibility=hidden -ftls-model=initial-exec -std=c23 -D_GNU_SOURCE -w $settings -I "$source/include" -I "$source" \
    -shared "$source/chacha.c" "$source/h_malloc.c" "$source/memory.c" "$source/pages.c" "$source/random.c" "$source/util.c" \
    -o "$out/libhardened_malloc.so" -pthread
libs="$libs,hardened_malloc=$out/libhardened_malloc.so"
scudo=$(ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-"$(uname -m)".so 2>/dev/null | tail -n 1)
if [ -n "$scudo" ]; then
    ln -sf "$scudo" "$out/libscudo.so"
    libs="$libs,scudo=$out/libscudo.so"
else
    echo "scudo: not installed (apt install libclang-rt-19-dev)" >&2
fi
echo "${libs#,}"
