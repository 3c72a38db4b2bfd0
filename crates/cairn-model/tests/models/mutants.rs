//! Each ordering is in the table, and the model fails without it.

#![cfg(not(any(shuttle, miri)))]

use std::process::Command;

use cairn_model::mutants::{MUTANTS, Tool};

/// Runs one test of this program in a process of its own, as the mutant if there is one; gives whether it passed, and what it said.
#[cfg(loom)]
fn run(test: &str, mutant: Option<&str>) -> (bool, String) {
    let this = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(this);
    // A mutant may also end as a thread that waits for ever, which loom tells after so many steps.
    command.args(["--exact", test]).env("LOOM_MAX_BRANCHES", "10000").env_remove("CAIRN_MUTANT");
    if let Some(name) = mutant {
        command.env("CAIRN_MUTANT", name);
    }
    let output = command.output().expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("running 1 test"), "there is no test {test}");
    (output.status.success(), said)
}

#[test]
#[cfg(loom)]
fn each_is_caught() {
    // Two at a time, since each is one thread.
    let survivors: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = [0, 1]
            .map(|first| {
                scope.spawn(move || {
                    let caught = |name, test| !run(test, Some(name)).0;
                    let ours = MUTANTS.iter().filter(|mutant| mutant.seen_by == Tool::Loom);
                    let mine = ours.skip(first).step_by(2);
                    mine.filter(|mutant| !caught(mutant.name, mutant.test)).collect::<Vec<_>>()
                })
            })
            .into();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(survivors.is_empty(), "the model misses nothing without\n{survivors:#?}");
}

#[test]
#[cfg(loom)]
fn a_name_that_does_not_exist_harms_nothing() {
    let (passed, said) = run("key::two_threads", Some("no-such-name"));
    assert!(passed, "{said}");
}

/// Those that loom doesn't see. Miri chooses at random, so a fault may need some seeds; without a fault no seed finds one.
#[test]
#[cfg(not(loom))]
#[ignore = "needs the nightly toolchain with Miri"]
fn miri_sees_the_others() {
    let miri = |test: &str, mutant: &str| {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "miri", "test", "-p", "cairn-model", "--test", "models", "--target-dir"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/miri-mutants"));
        command.args(["--", "--exact", test]).env("RUSTFLAGS", "--cfg cairn_mutants");
        // A variable of the environment would be that of the moment in which the test was built.
        let flags = "-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-many-seeds=0..3 -Zmiri-env-set=CAIRN_MUTANT=";
        command.env("MIRIFLAGS", format!("{flags}{mutant}")).env_remove("CAIRN_MUTANT");
        let output = command.output().expect("cargo runs");
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(said.contains("running 1 test"), "Miri ran no test {test}:\n{said}");
        (output.status.success(), said)
    };
    for row in MUTANTS.iter().filter(|row| row.seen_by == Tool::Miri) {
        let (passed, said) = miri(row.test, "none");
        assert!(passed, "{} fails without a mutant:\n{said}", row.test);
        let (passed, said) = miri(row.test, row.name);
        assert!(
            !passed && said.contains("Undefined Behavior"),
            "Miri misses nothing without {}:\n{said}",
            row.name
        );
    }
}

/// What the sources say: each name with its file, and each ordering that has none.
#[cfg(not(loom))]
mod sources {
    use super::MUTANTS;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    fn sources() -> Vec<(PathBuf, String)> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate is in crates");
        let mut dirs =
            ["cairn-core/src", "cairn-alloc/src", "cairn-malloc/src"].map(|dir| crates.join(dir)).to_vec();
        let mut found = Vec::new();
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("a directory of sources").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).expect("a source");
                    found.push((path.strip_prefix(crates).expect("under crates").to_owned(), text));
                }
            }
        }
        found
    }

    /// The lines of code, without comments and without the switch itself.
    fn code() -> impl Iterator<Item = (PathBuf, usize, String)> {
        // Audits look at what others are changing and believe what they see twice; no model has them.
        let of_audits = |path: &Path| {
            path.components().any(|part| part.as_os_str() == "audit" || part.as_os_str() == "audit.rs")
                || path == Path::new("cairn-core/src/os/threads.rs")
        };
        let ours = move |path: &PathBuf| {
            !of_audits(path)
                && !path.starts_with("cairn-core/src/sync")
                && path != Path::new("cairn-core/src/sync.rs")
        };
        sources().into_iter().filter(move |(path, _)| ours(path)).flat_map(|(path, text)| {
            text.lines()
                .map(|line| line.split("//").next().unwrap_or_default().to_owned())
                .enumerate()
                .map(|(number, line)| (path.clone(), number + 1, line))
                .collect::<Vec<_>>()
        })
    }

    #[test]
    fn each_name_has_a_row_and_each_row_a_name() {
        let mut named = Vec::new();
        for (path, number, line) in code() {
            for call in ["ord!(\"", "planted!(\""] {
                for rest in line.split(call).skip(1) {
                    let name = rest.split('"').next().expect("split gives one").to_owned();
                    assert!(
                        MUTANTS
                            .iter()
                            .any(|row| row.name.split('/').next() == Some(&name)
                                && path == Path::new(row.file)),
                        "{}:{number}: \"{name}\" is not in the table of cairn-model/src/mutants.rs",
                        path.display()
                    );
                    assert!(!named.contains(&name), "{}:{number}: \"{name}\" is used twice", path.display());
                    named.push(name);
                }
            }
        }
        for row in MUTANTS {
            let name = row.name.split('/').next().expect("split gives one");
            assert!(named.iter().any(|named| named == name), "no source has \"{name}\"");
        }
    }

    #[test]
    fn each_ordering_has_a_name() {
        let strong = ["Acquire", "Release", "AcqRel", "SeqCst"];
        for (path, number, line) in code() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            let unnamed = words.filter(|word| strong.contains(word)).count() > line.matches("ord!(").count();
            assert!(!unnamed, "{}:{number}: an ordering without a name: {line}", path.display());
        }
    }
}
