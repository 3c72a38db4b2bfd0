//! Claims of hardened mode (docs/safety.md): each fault of `c/heap_faults.c` is named, stopped at the instruction, or made harmless,
//! and real programs do the same as without.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use cairn_tests::command::Finished;
use cairn_tests::compare::Case;
use cairn_tests::{command, compile, cprogram, programs};

/// Runs one fault in hardened mode; None if there is no compiler.
#[track_caller]
fn fault(name: &str) -> Option<Finished> {
    let program = compile::program("heap_faults.c", &[])?;
    let mut run = cprogram::preloaded(&program, &[name]);
    Some(command::run(run.env("CAIRN_MODE", "hardened"), Duration::from_secs(60)))
}

/// The fault ends the process by SIGABRT, after a message that begins like this.
#[track_caller]
fn named(name: &str, begin: &str) {
    let Some(finished) = fault(name) else { return };
    let first = finished.err().lines().next().unwrap_or_default().to_owned();
    assert!(first.starts_with(begin), "{name}: expected {begin:?}\n{finished:?}\n{}", finished.err());
    assert_eq!(finished.status.signal(), Some(libc::SIGABRT), "{name}: {}", finished.status);
}

/// The fault ends the process at the instruction.
#[track_caller]
fn stopped(name: &str) {
    let Some(finished) = fault(name) else { return };
    assert_eq!(
        finished.status.signal(),
        Some(libc::SIGSEGV),
        "{name}: {}\n{}",
        finished.status,
        finished.out()
    );
}

/// The fault goes unnoticed, and does no harm.
#[track_caller]
fn harmless(name: &str) {
    let Some(finished) = fault(name) else { return };
    finished.expect_success();
    assert!(finished.out().starts_with("harmless: "), "{name}: {}", finished.out());
}

#[test]
fn a_double_free_is_named_at_once() {
    for name in
        ["double-at-once", "double-later", "double-by-thread", "double-after-thread", "double-aligned"]
    {
        named(name, "cairn: double free of 0x");
    }
    named("double-large", "cairn: double free of 0x");
    named("double-huge", "cairn: double free of 0x");
}

#[test]
fn what_is_no_block_is_not_freed() {
    named("interior", "cairn: free of an address inside a block: 0x");
    named("misaligned", "cairn: free of an address inside a block: 0x");
    named("interior-large", "cairn: free of 0x");
    named("stack", "cairn: free of 0x");
    named("global", "cairn: free of 0x");
    named("realloc-freed", "cairn: realloc of a block that was freed before: 0x");
    named("wrong-size", "cairn: free of 0x");
}

#[test]
fn one_byte_behind_a_block_is_found_when_it_is_freed() {
    let small = ["overflow-1", "overflow-1-odd", "overflow-nul", "overflow-nul-odd", "overflow-9"];
    for name in small.into_iter().chain(["overflow-1-4000", "overflow-large-odd"]) {
        named(name, "cairn: overflow of 0x");
    }
}

#[test]
fn guard_pages_stop_who_leaves_a_slab_or_a_large_block() {
    for name in ["overflow-large-1", "overflow-large-page", "underflow-large-page", "run-away"] {
        stopped(name);
    }
}

#[test]
fn a_write_after_free_is_found() {
    named("write-after-free", "cairn: write after free into 0x");
    for size in [200, 3000, 32760] {
        for at in ["first", "middle", "last"] {
            named(&format!("write-after-free-{size}-{at}"), "cairn: write after free into 0x");
        }
    }
    stopped("write-after-free-large");
    stopped("read-after-free-large");
}

#[test]
fn nothing_stale_is_left_and_nothing_can_be_foreseen() {
    for name in ["stale-read", "stale-next-owner", "reuse-at-once", "neighbours", "forged-list"] {
        harmless(name);
    }
}

#[test]
fn what_a_thread_gets_first_after_it_only_freed_is_random() {
    for name in ["first-after-65-frees", "first-after-70-frees", "first-after-80-frees"] {
        harmless(name);
    }
}

/// The thread is inside the engine when it finds the fault, and has no heap yet, or none any more.
#[test]
fn a_handler_allocates_although_its_thread_has_no_heap() {
    let options = ["-pthread", "-rdynamic", "-Wl,--unresolved-symbols=ignore-all"];
    let Some(program) = compile::program("abi/bad_free.c", &options) else { return };
    for how in ["free-elsewhere", "free-at-thread-end"] {
        for address in ["stack", "global", "freed-large", "inside-large", "freed", "inside"] {
            let mut run = cprogram::preloaded(&program, &[how, address, "handler"]);
            let finished = command::run(run.env("CAIRN_MODE", "hardened"), Duration::from_secs(60));
            let message = finished.err();
            assert!(message.starts_with("cairn: "), "{how} {address}: {message:?} ({})", finished.status);
            assert_eq!(finished.status.code(), Some(7), "{how} {address}: the handler ran to its end");
        }
    }
}

/// A fault in the last one of several regions, see `c/life/many_regions.c`: its signal and the begin of its message, if it has one.
#[track_caller]
fn found_in_a_further_region(name: &str, signal: i32, begin: &str) {
    let Some(program) = compile::program("life/many_regions.c", &["-w"]) else { return };
    let mut run = cprogram::preloaded(&program, &[name]);
    command::limit_address_space(run.env("CAIRN_MODE", "hardened"), 1 << 30);
    let finished = command::run(&mut run, Duration::from_secs(60));
    assert_eq!(finished.status.signal(), Some(signal), "{name}: {}\n{}", finished.status, finished.err());
    assert!(finished.err().starts_with(begin), "{name}: expected {begin:?}\n{}", finished.err());
}

#[test]
fn what_is_promised_holds_in_every_region() {
    found_in_a_further_region("double", libc::SIGABRT, "cairn: double free of 0x");
    found_in_a_further_region("double-large", libc::SIGABRT, "cairn: double free of 0x");
    found_in_a_further_region("interior", libc::SIGABRT, "cairn: free of an address inside a block: 0x");
    found_in_a_further_region("overflow", libc::SIGABRT, "cairn: overflow of 0x");
    found_in_a_further_region("overflow-large", libc::SIGSEGV, "");
    found_in_a_further_region("write-after-free", libc::SIGABRT, "cairn: write after free into 0x");
    found_in_a_further_region("read-after-free-large", libc::SIGSEGV, "");
}

/// The interpreter itself: `python3` in `PATH` may be a script that picks one.
fn interpreter() -> Option<String> {
    let mut ask = std::process::Command::new(programs::need("python3")?);
    ask.args(["-c", "import sys; print(sys.executable)"]);
    Some(command::run(&mut ask, Duration::from_secs(20)).expect_success().out().trim().to_owned())
}

/// A case in hardened mode. The run without the library takes no notice of the variable.
fn hardened(program: impl AsRef<std::ffi::OsStr>) -> Case {
    Case::new(program).env("CAIRN_MODE", "hardened")
}

#[test]
fn python_does_the_same() {
    let Some(python) = interpreter() else { return };
    let script = "
import json, re, threading, decimal, subprocess, sys
data = {str(i): [i, str(i) * (i % 50), {'a': i / 3}] for i in range(20000)}
text = json.dumps(data)
assert json.loads(text) == data
print(len(text), len(re.findall('1[0-9]+7', text)))
sums = []
def work(n):
    sums.append(sum(len(str(decimal.Decimal(i) ** 7)) for i in range(n)))
threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(sums))
print(subprocess.run([sys.executable, '-c', 'print(sum(range(10**5)))'], capture_output=True).stdout)
a = bytearray()
for i in range(200000): a += b'x' * (i % 37)
print(len(a))
";
    // Each object is a block of its own.
    let _ = hardened(python).args(["-c", script]).env("PYTHONMALLOC", "malloc").seconds(120).compare();
}

#[test]
fn perl_and_sqlite_do_the_same() {
    if let Some(perl) = programs::need("perl") {
        let script = r#"my %h; for my $i (1..60000) { $h{$i % 7000} .= "x" x ($i % 90); delete $h{$i % 501} }
            print scalar(keys %h), " ", length(join "", sort values %h), "\n""#;
        let _ = hardened(perl).args(["-e", script]).seconds(120).compare();
    }
    if let Some(sqlite) = programs::need("sqlite3") {
        let script = "create table t(a integer primary key, b text);
            with recursive c(x) as (select 1 union all select x + 1 from c where x < 30000)
            insert into t select x, substr('abcdefghijklmnopqrstuvwxyz', x % 20, x % 7) || x from c;
            create index i on t(b); delete from t where a % 3 = 0; vacuum;
            select count(*), max(b), sum(length(b)) from t; select group_concat(b) from (select b from t order by b limit 50);";
        let _ = hardened(sqlite).args([":memory:", script]).seconds(120).compare();
    }
}

#[test]
fn the_compiler_and_git_do_the_same() {
    if let Some(cc) = programs::need("cc") {
        let source =
            "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\nint main(void) { return 0; }\n";
        let args = ["-O2", "-S", "-o", "-", "a.c"];
        let _ = hardened(cc).args(args).file("a.c", source).seconds(120).reaches("cc1").compare();
    }
    if let (Some(bash), Some(_)) = (programs::need("bash"), programs::need("git")) {
        let script = "set -e
            export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
            export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE=2024-01-01T00:00:00Z GIT_COMMITTER_DATE=2024-01-01T00:00:00Z
            git -c init.defaultBranch=main init -q s; cd s; git config gc.auto 0
            for i in 1 2 3 4 5 6 7 8; do seq $i $((i * 900)) > f$i; git add -A; git commit -q -m $i; done
            git log --stat --format='%H %s'; git fsck --full 2>&1; git rev-list --all --objects | sort";
        let _ = hardened(bash).args(["-c", script]).seconds(120).reaches("git").ignore("s/.git").compare();
    }
}

#[test]
fn reports_count_what_is_live() {
    let Some(python) = interpreter() else { return };
    let script = "x = [bytes(1000) for i in range(5000)]; y = bytearray(3 << 20)";
    let mut run = cprogram::preloaded(python.as_ref(), &["-c", script]);
    run.env("CAIRN_MODE", "hardened").env("PYTHONMALLOC", "malloc").env("CAIRN_STATS", "1");
    let finished = command::run(&mut run, Duration::from_secs(60));
    finished.expect_success();
    assert!(finished.err().contains("live"), "{}", finished.err());
}
