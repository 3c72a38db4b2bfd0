#!/usr/bin/env bash
# Records the histograms in this folder anew, on the programs of this machine (docs/decisions/size-classes.md).
# A program that is missing is named and left out. Needs cc; takes a few minutes, one program at a time.
#
#   data/sizes/record.sh [FOLDER TO WRITE TO]
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC -o "$work/sizes.so" "$here/../../c/sizes.c" || exit 1
cd "$work" || exit 1

# keep NAME [PROGRAM]: of the processes of the last run (of that program), the one with the most small bytes becomes NAME.txt.
keep() {
    local largest
    largest=$(grep -h "^# ${2:-}" /dev/null run.* 2>/dev/null | sort -t: -k2 -n | tail -1)
    [ -n "$largest" ] || { echo "record.sh: $1 left no histogram (missing, or static?)" >&2; return; }
    cp "$(grep -lF "$largest" run.* | head -1)" "$out/$1.txt"
    echo "$1: ${largest#\# }" >&2
    rm -f run.*
}
# on PROGRAM ARGUMENTS: runs it under the recorder, silently; skips it if it is missing.
on() {
    command -v "$1" >/dev/null || { echo "record.sh: skipped, $1 is not here" >&2; return 0; }
    LD_PRELOAD=$work/sizes.so CAIRN_SIZES=$work/run "$@" >/dev/null 2>&1
    return 0
}

python=$(python3 -c 'import sys; print(sys.executable)')
cat > json_dict.py <<'END'
import json
rows = [{"id": i, "name": "row %d" % i, "tags": [str(i % 7), str(i % 11)], "at": i * 0.5} for i in range(60000)]
again = json.loads(json.dumps(rows))
index = {(r["name"], r["id"]): r for r in again}
print(len(index))
END
cat > modules.py <<'END'
import argparse, ast, asyncio, concurrent.futures, csv, ctypes, datetime, decimal, difflib, dis, doctest, email.mime.text
import http.server, importlib.metadata, inspect, json, logging.config, multiprocessing, pdb, pickle, pydoc, sqlite3, ssl
import tarfile, tempfile, typing, unittest.mock, urllib.request, xml.dom.minidom, xml.etree.ElementTree, zipfile
trees = [ast.parse(inspect.getsource(m)) for m in (argparse, ast, difflib, inspect, typing, pydoc)]
print(len(trees))
END
PYTHONMALLOC=malloc on "$python" json_dict.py; keep python-json
PYTHONMALLOC=malloc on "$python" modules.py; keep python-modules

cat > heavy.cpp <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>
using Value = std::variant<int, double, std::string, std::vector<int>>;
int main() {
    std::map<std::string, std::vector<Value>> all;
    std::regex words("[a-z]+");
    for (std::string line; std::getline(std::cin, line);)
        for (std::sregex_iterator i(line.begin(), line.end(), words), end; i != end; ++i) all[i->str()].push_back(1.5);
    std::vector<std::function<int()>> work;
    for (auto &entry : all) work.push_back([&] { return (int)entry.second.size(); });
    std::sort(work.begin(), work.end(), [](auto &a, auto &b) { return a() < b(); });
    std::cout << work.size();
}
END
on g++ -O2 -std=c++17 -c heavy.cpp -o heavy.o; keep cc1plus cc1plus

git init -q repository && (
    cd repository || exit
    git config user.email x@example.org && git config user.name x && git config gc.auto 0
    for i in $(seq 60); do
        mkdir -p "d$((i % 9))"
        for j in $(seq 30); do seq "$i" "$((i * j))" > "d$((i % 9))/f$((j * i % 97))"; done
        git add -A && git commit -qm "step $i"
    done
) >/dev/null 2>&1
on git -C repository gc --aggressive; keep git-gc

cat > work.sql <<'END'
create table t(id integer primary key, name text, score real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
insert into t select i, 'name ' || (i * 7919 % 200000), i * 0.25 from n;
create index by_name on t(name);
select count(*), sum(a.score) from t a join t b on a.name = b.name where b.id % 3 = 0;
END
on sqlite3 :memory: '.read work.sql'; keep sqlite3

cat > work.js <<'END'
const rows = [];
for (let i = 0; i < 200000; i++) rows.push({ id: i, name: 'row ' + i, tags: [i % 7, i % 11] });
const again = JSON.parse(JSON.stringify(rows));
const buffers = []; for (let i = 0; i < 20000; i++) buffers.push(Buffer.alloc(100 + i % 900, 1));
console.log(again.length, new Map(again.map(r => [r.name, r])).size, buffers.length);
END
on node work.js; keep node

cat > work.pl <<'END'
my %rows; for my $i (1 .. 100000) { $rows{"row $i"} = { id => $i, tags => [ $i % 7, "x$i" ] } }
my @sorted = sort { $rows{$a}{id} <=> $rows{$b}{id} } keys %rows; print scalar @sorted;
END
on perl work.pl; keep perl

cat > work.lua <<'END'
local t = {} for i = 1, 200000 do t["row " .. i] = { id = i, tags = { i % 7, "x" .. i } } end
END
on lua work.lua; keep lua

if command -v redis-benchmark >/dev/null; then
    on redis-server --port 7391 --save '' --appendonly no --daemonize no &
    sleep 1
    redis-benchmark -p 7391 -q -n 60000 -r 50000 -d 90 -t set,lpush,sadd,hset,zadd >/dev/null 2>&1
    redis-cli -p 7391 shutdown nosave >/dev/null 2>&1
    wait
    keep redis
fi

# Rust: cargo resolving this workspace, rustfmt on a large file, rustdoc. (rustc brings its own allocator.)
workspace=$here/../../../../Cargo.toml
cargo=$(rustup which cargo 2>/dev/null || command -v cargo)
on "$cargo" metadata --offline --format-version 1 --manifest-path "$workspace"; keep cargo
rustfmt=$(rustup which rustfmt 2>/dev/null || command -v rustfmt)
for i in $(seq 12); do echo "mod m$i {"; cat "$here"/../../../cairn-alloc/src/{pages,transfer,thread,region}.rs | grep -v '^//!'; echo "}"; done > large.rs
on "$rustfmt" --emit stdout --edition 2024 large.rs; keep rustfmt
