#!/bin/sh
# Starts redis-server on the allocator that is measured, fills and reads it, stops it. Arguments: a directory of its own,
# the number of requests of each kind.
#
# Only the server gets the preload; this shell drops it before it starts anything else. The server is a child that is waited for,
# so its time and its memory count in the run; so does the time of redis-benchmark, which is the same program on the same
# allocator (glibc) in all runs. The largest process, whose memory is reported, is the server.
preload=$LD_PRELOAD
unset LD_PRELOAD
cd "$1" || exit 1
requests=$2

rm -f socket log
# Debian's server is linked with jemalloc. For the run on glibc, the C library is put in front of it.
LD_PRELOAD=${preload:-libc.so.6} redis-server --port 0 --unixsocket "$1/socket" --dir "$1" --save '' --appendonly no \
    --jemalloc-bg-thread no > log 2>&1 &
server=$!

fail() {
    kill "$server" 2> /dev/null
    wait "$server"
    status=$?
    tail -n 3 log >&2
    echo "$1; redis-server ended with status $status" >&2
    exit 1
}

tries=0
until [ -S socket ]; do
    tries=$((tries + 1))
    kill -0 "$server" 2> /dev/null && [ "$tries" -lt 3000 ] || fail "the server did not start"
    sleep 0.01
done

ask() { redis-cli -s socket "$@"; }
load() { redis-benchmark -s socket -c 20 -P 16 -q -r 60000 "$@" > /dev/null 2>> log || fail "redis-benchmark failed"; }

load -n "$requests" -d 180 -t set,get,lpush,rpush,lrange_100
load -n "$requests" -t sadd,hset,zadd,spop
# Values of many lengths under keys that are replaced: the heap of a cache that has run for a while.
load -n "$requests" eval "return redis.call('SET', 'key:' .. ARGV[1], string.rep('x', tonumber(ARGV[1]) % 1900))" 0 __rand_int__
ask llen mylist || fail "no answer"
ask eval "for i = 1, 1000 do redis.call('HSET', 'row:' .. i % 50, i, i * 7) end return redis.call('HLEN', 'row:7')" 0 || fail "no answer"
ask flushall || fail "no answer"
ask shutdown nosave 2> /dev/null
wait "$server" || { tail -n 3 log >&2; echo "the server ended badly" >&2; exit 1; }
