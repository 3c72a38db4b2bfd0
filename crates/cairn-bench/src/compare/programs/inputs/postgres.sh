#!/bin/sh
# Starts postgres on the allocator that is measured, runs pgbench and some reports, stops it. Arguments: the directory of
# postgres' programs, a directory of its own with a database in `template`, the number of transactions of each client, the number of
# rows of the reports; then the words that start a program as the user who owns the database (none if that is us).
#
# Only the server gets the preload; this shell drops it before it starts anything else. The server is a child that is waited for, and
# waits for its own, so their time and memory count in the run; so does the time of pgbench and psql, which are the same
# programs on the same allocator (glibc) in all runs. The largest process, whose memory is reported, is a backend.
preload=$LD_PRELOAD
unset LD_PRELOAD PGOPTIONS PGSERVICE PGDATABASE PGHOST PGPORT PGUSER
bin=$1 dir=$2 transactions=$3 rows=$4
shift 4
cd "$dir" || exit 1

# The database of the last run is used again if that ended well: pgbench makes its tables anew.
if ! [ -e usable ]; then
    rm -rf data && "$@" cp -a template data || exit 1
fi
rm -f usable socket/.s.* log
# The user may not be allowed to read the library where it is, and the dynamic loader would only warn.
if [ -n "$preload" ] && ! "$@" test -r "$preload"; then
    cp "$preload" library.so && chmod a+r library.so && preload=$dir/library.so || exit 1
fi
"$@" env LD_PRELOAD="$preload" "$bin/postgres" -D "$dir/data" -k "$dir/socket" -c listen_addresses= -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off -c shared_buffers=16MB -c work_mem=64MB \
    -c max_parallel_workers_per_gather=0 -c jit=off -c max_connections=20 -c logging_collector=off > log 2>&1 &
server=$!

fail() {
    kill -INT "$server" 2> /dev/null
    wait "$server"
    status=$?
    grep -E 'PANIC|FATAL|ERROR|terminated|preload' log | tail -n 3 >&2
    echo "$1; the server ended with status $status" >&2
    exit 1
}

tries=0
until "$bin/pg_isready" -q -h "$dir/socket" -U postgres; do
    tries=$((tries + 1))
    kill -0 "$server" 2> /dev/null && [ "$tries" -lt 1500 ] || fail "the server did not start"
    sleep 0.02
done

bench() { "$bin/pgbench" -h "$dir/socket" -U postgres "$@" postgres > client.log 2>&1 || { tail -n 2 client.log >&2; fail "pgbench failed"; }; }
bench -i -q -I dtgp
bench -n -c 4 -j 1 -t "$transactions" --random-seed=7
"$bin/psql" -h "$dir/socket" -U postgres -X -q -A -t -v ON_ERROR_STOP=1 -v rows="$rows" -f reports.sql postgres 2>> log || fail "psql failed"
kill -INT "$server"
wait "$server" || { tail -n 3 log >&2; echo "the server ended badly" >&2; exit 1; }
grep -q 'terminated by signal' log && { grep 'terminated by signal' log >&2; exit 1; }
: > usable
