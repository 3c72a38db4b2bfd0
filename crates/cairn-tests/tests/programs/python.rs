//! Claim: python3, told to take every object from malloc, runs a busy script and its own regression tests.

use cairn_tests::command;
use cairn_tests::compare::Case;
use cairn_tests::programs;
use std::process::Command;
use std::time::Duration;

/// The interpreter itself: `python3` in `PATH` may be a script that picks one.
fn interpreter() -> Option<String> {
    let python = programs::need("python3")?;
    let mut ask = Command::new(python);
    ask.args(["-c", "import sys; print(sys.executable)"]);
    let answer = command::run(&mut ask, Duration::from_secs(20));
    Some(answer.expect_success().out().trim().to_owned())
}

const SCRIPT: &str = r#"
import collections, hashlib, json, re, sys, threading, zlib
class Node:
    def __init__(self, left, right): self.left, self.right = left, right
def tree(depth): return Node(tree(depth - 1), tree(depth - 1)) if depth else None
def count(node): return 1 + count(node.left) + count(node.right) if node else 0
digest = hashlib.sha256()
def say(*what):
    line = " ".join(map(str, what))
    digest.update(line.encode()); print(line)
say(count(tree(15)))
words = [("w%d" % (i * 7919 % 10007)) * (i % 40) for i in range(60000)]
counts = collections.Counter(words)
say(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:5])
document = {"rows": [{"id": i, "name": words[i], "tags": list(range(i % 20))} for i in range(8000)]}
text = json.dumps(document, sort_keys=True)
assert json.loads(text) == document
say(len(text), hashlib.sha256(text.encode()).hexdigest(), len(zlib.compress(text.encode())))
say(len(re.findall(r"w(\d)\d*\1", text)))
big = bytearray()
for i in range(3000): big += bytes([i % 256]) * 1000
say(hashlib.sha256(big).hexdigest(), 7 ** 9000 % 1000003)
results = {}
def work(n): results[n] = sum(len(str(i) * (i % 50)) for i in range(20000))
threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
[t.start() for t in threads]; [t.join() for t in threads]
say(sorted(results.items()))
print(digest.hexdigest(), file=sys.stderr)
with open("out.json", "w") as out: out.write(text)
sys.exit(0)
"#;

#[test]
fn a_script_gives_the_same() {
    let Some(python) = interpreter() else { return };
    let _ = Case::new(python)
        .args(["busy.py"])
        .file("busy.py", SCRIPT)
        .env("PYTHONMALLOC", "malloc")
        .env("PYTHONHASHSEED", "1")
        .compare();
}

#[test]
fn exit_status_and_traceback_pass_through() {
    let Some(python) = interpreter() else { return };
    let script = "import subprocess, sys\n\
        bad = subprocess.run([sys.executable, '-c', 'print(1); raise SystemExit(42)'], capture_output=True)\n\
        print(bad.returncode, bad.stdout)\n\
        bad = subprocess.run([sys.executable, '-c', 'import os; os.kill(os.getpid(), 15)'])\n\
        print(bad.returncode)\n\
        print(subprocess.run([sys.executable, '-c', '1/0'], capture_output=True).stderr)\n";
    let _ = Case::new(python).args(["-c", script]).env("PYTHONMALLOC", "malloc").compare();
}

/// Python's own tests of what an allocator can break.
#[test]
fn regression_tests_pass() {
    let Some(python) = interpreter() else { return };
    let mut ask = Command::new(&python);
    ask.args(["-c", "import test.test_gc, test.test_threading"]);
    if !command::run(&mut ask, Duration::from_secs(30)).status.success() {
        programs::skip("python3 has no regression tests (apt install libpython3-testsuite)");
        return;
    }
    let _ = Case::new(python)
        .args(["-m", "test", "-j2", "--timeout=200"])
        // These two ask which modules are loaded at start-up, which any installed package may change.
        .args([
            "-i",
            "*test_import_from_another_thread",
            "-i",
            "*test_main_thread_after_fork_from_nonmain_thread",
        ])
        .args(["test_threading", "test_fork1", "test_json", "test_gc", "test_dict", "test_list"])
        .env("PYTHONMALLOC", "malloc")
        .seconds(240)
        .normalise(results_only)
        .ignore(".python")
        .compare();
}

/// Regression tests print times and progress; what counts is which passed, and how many cases they ran.
fn results_only(text: &str) -> String {
    let telling = ["tests OK", "test failed", "failed:", "Total tests", "Result", "result:", "All "];
    let lines = text.lines().filter(|line| telling.iter().any(|part| line.contains(part)));
    lines.map(|line| format!("{line}\n")).collect()
}
