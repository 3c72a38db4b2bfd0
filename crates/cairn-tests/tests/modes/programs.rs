//! Real programs do the same in each mode as without the library.

use cairn_tests::compare::Case;
use cairn_tests::{command, programs};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Runs a program in each mode and compares.
#[track_caller]
fn same(program: &str, make: impl Fn(Case) -> Case) {
    let Some(path) = programs::need(program) else { return };
    same_at(&path, make);
}

#[track_caller]
fn same_at(path: &Path, make: impl Fn(Case) -> Case) {
    for (mode, rate) in [("debug", "5000"), ("sampled", "5000"), ("sampled", "1"), ("hardened", "5000")] {
        let case = Case::new(path).env("CAIRN_MODE", mode).env("CAIRN_SAMPLE_RATE", rate).seconds(120);
        let _ = make(case).compare();
    }
}

#[test]
fn python() {
    const SCRIPT: &str = "import json, re, threading, zlib\n\
        document = {'rows': [{'id': i, 'tags': list(range(i % 9))} for i in range(700)]}\n\
        text = json.dumps(document)\n\
        assert json.loads(text) == document\n\
        print(len(text), len(zlib.compress(text.encode())), len(re.findall(r'(\\d)\\1', text)))\n\
        found = {}\n\
        def work(n): found[n] = sum(len(str(i) * (i % 50)) for i in range(300))\n\
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]\n\
        [t.start() for t in threads]; [t.join() for t in threads]\n\
        print(sorted(found.items()))\n";
    let Some(python) = programs::need("python3") else { return };
    // The interpreter itself: `python3` in `PATH` may be a script that picks one.
    let mut ask = Command::new(python);
    ask.args(["-c", "import sys; print(sys.executable)"]);
    let answer = command::run(&mut ask, Duration::from_secs(20));
    same_at(Path::new(answer.expect_success().out().trim()), |case| {
        case.args(["-c", SCRIPT]).env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "1").ignore(".python")
    });
}

#[test]
fn perl() {
    const SCRIPT: &str = "my (%seen, @lines); srand(7); \
        for my $i (1 .. 6000) { my $k = 'key' . int(rand(900)); $seen{$k} .= chr(65 + $i % 26); push @lines, \"$k:$i\" if $i % 3 == 0; } \
        print join(',', map { \"$_=\" . length $seen{$_} } (sort { $a cmp $b } keys %seen)[0 .. 9]), \"\\n\"; \
        my $text = join \"\\n\", @lines; $text =~ s/(\\d+):(\\d+)/$2:$1/g; print length $text, \"\\n\";";
    same("perl", |case| case.args(["-e", SCRIPT]).env("PERL_HASH_SEED", "0"));
}

#[test]
fn sqlite3() {
    const SQL: &str = "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, note BLOB);\n\
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)\n\
          INSERT INTO person SELECT i, 'person' || (i * 7919 % 80021), zeroblob(i % 300) FROM n;\n\
        CREATE INDEX by_name ON person(name);\n\
        SELECT count(*), sum(length(note)), min(name), max(name) FROM person;\n\
        SELECT group_concat(name, ' ') FROM (SELECT name FROM person WHERE id % 97 = 0 ORDER BY name);\n\
        PRAGMA integrity_check;\n";
    same("sqlite3", |case| case.args([":memory:", ".read work.sql"]).file("work.sql", SQL));
}

#[test]
fn git() {
    const SCRIPT: &str = "set -e\n\
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org\n\
        export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE=2024-01-01T00:00:00Z GIT_COMMITTER_DATE=2024-01-01T00:00:00Z\n\
        git -c init.defaultBranch=main init -q source; cd source; git config pack.threads 1\n\
        for i in 1 2 3; do seq $i $((i * 900)) > f$i; git add -A; git commit -q -m \"commit $i\"; done\n\
        git log --stat --format='%H %s'; git gc -q; git fsck --full --strict 2>&1\n\
        git rev-list --all --objects | sort\n";
    if programs::need("git").is_some() {
        same("bash", |case| case.args(["-c", SCRIPT]).reaches("git").ignore("source/.git"));
    }
}

#[test]
fn gcc() {
    let mut text = String::from("#include <stdio.h>\n");
    for n in 0..40 {
        text += &format!(
            "static int f{n}(int x) {{ int s = {n}; for (int i = 0; i < x; i++) s += i * {n} % 7; return s; }}\n"
        );
    }
    text += "int main(void) { long s = 0;\n";
    for n in 0..40 {
        text += &format!("s += f{n}({n});\n");
    }
    text += "printf(\"%ld\\n\", s); return 0; }\n";
    same("gcc", |case| {
        case.args(["-O2", "-o", "made", "made.c", "-frandom-seed=1"]).file("made.c", &text).reaches("cc1")
    });
}
