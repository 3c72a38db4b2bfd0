//! Runs a real program twice, without the library and on it, and fails on any difference that a user could see:
//! exit status, standard output, standard error, and the files it produced.
//!
//! Each run has a fresh directory, which is also its `HOME`. A small witness (`c/witness.c`) is preloaded in both
//! runs and tells for each process, children included, whose `malloc` it uses; so a case can demand that, say,
//! `cc1plus` ran on the library.

use crate::command::{self, Finished};
use crate::scratch::Scratch;
use crate::{compile, library};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

/// A program to run twice.
pub struct Case {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    files: Vec<(String, Vec<u8>)>,
    limit: Duration,
    reached: Vec<String>,
    normalise: fn(&str) -> String,
    ignored: Vec<String>,
    address_space: Option<u64>,
}

/// What the two runs did, after they were found equal.
#[derive(Debug)]
pub struct Pair {
    /// The run without the library.
    pub plain: Finished,
    /// The run on the library.
    pub cairn: Finished,
}

/// One run and what it left behind.
struct Trial {
    finished: Finished,
    out: String,
    err: String,
    files: BTreeMap<String, Vec<u8>>,
    /// Program and the object its malloc came from, for each process.
    processes: Vec<(String, String)>,
    scratch: Scratch,
}

impl Case {
    /// A case of a program, by path or name.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Case {
            program: PathBuf::from(program.as_ref()),
            args: Vec::new(),
            env: Vec::new(),
            files: Vec::new(),
            limit: Duration::from_secs(60),
            reached: Vec::new(),
            normalise: str::to_owned,
            ignored: Vec::new(),
            address_space: None,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// A file that stands in the directory before the program starts.
    pub fn file(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), text.as_ref().to_owned()));
        self
    }

    /// How long one run may take, in seconds; 60 if nothing is said.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// A program, by the name of its file, that must have run on the library; at least the case's own.
    pub fn reaches(mut self, program: &str) -> Self {
        self.reached.push(program.to_owned());
        self
    }

    /// Takes out of the output what differs from run to run, such as times.
    pub fn normalise(mut self, with: fn(&str) -> String) -> Self {
        self.normalise = with;
        self
    }

    /// Produced files whose path begins so are not compared.
    pub fn ignore(mut self, prefix: &str) -> Self {
        self.ignored.push(prefix.to_owned());
        self
    }

    /// Limits the address space of both runs, as `ulimit -v` does.
    pub fn address_space(mut self, bytes: u64) -> Self {
        self.address_space = Some(bytes);
        self
    }

    /// Runs both and compares. The program must succeed: two equal failures prove nothing.
    ///
    /// # Panics
    /// If they differ, one fails or hangs, or the library was not in use where it should have been.
    #[track_caller]
    pub fn compare(&self) -> Option<Pair> {
        let witness = compile::shared("witness.c", &["-Wl,-z,now"])?;
        let plain = self.trial(&witness, None);
        let cairn = self.trial(&witness, Some(library::shared_object()));
        self.check_reach(&plain, &cairn);
        plain.finished.expect_success();
        cairn.finished.expect_success();
        same_text("standard output", &self.program, &plain.out, &cairn.out);
        same_text("standard error", &self.program, &plain.err, &cairn.err);
        self.same_files(&plain, &cairn);
        Some(Pair { plain: plain.finished, cairn: cairn.finished })
    }

    #[track_caller]
    fn trial(&self, witness: &Path, library: Option<&Path>) -> Trial {
        let scratch = Scratch::new(&self.program.file_name().unwrap_or_default().to_string_lossy());
        let notes = Scratch::new("witness");
        let log = notes.path().join("processes");
        for (name, text) in &self.files {
            scratch.write(name, text);
        }
        let preload = env::join_paths(library.into_iter().chain([witness])).expect("paths without a colon");
        let mut command = Command::new(&self.program);
        library::hide_test_settings(&mut command)
            .args(&self.args)
            .current_dir(scratch.path())
            .env("HOME", scratch.path())
            .env("TMPDIR", notes.path())
            .env("LC_ALL", "C")
            .env("LD_PRELOAD", preload)
            .env("WITNESS_LOG", &log)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(bytes) = self.address_space {
            command::limit_address_space(&mut command, bytes);
        }
        let finished = command::run(&mut command, self.limit);
        let place = scratch.path().to_string_lossy().into_owned();
        let temporary = notes.path().to_string_lossy().into_owned();
        let clean =
            |text: String| (self.normalise)(&text.replace(&place, "<dir>").replace(&temporary, "<tmp>"));
        Trial {
            out: clean(finished.out()),
            err: clean(finished.err()),
            files: self.produced(scratch.path()),
            processes: processes(&log),
            finished,
            scratch,
        }
    }

    /// Every demanded program ran on the library in one run, and none in the other.
    #[track_caller]
    fn check_reach(&self, plain: &Trial, cairn: &Trial) {
        let library = library::shared_object().to_string_lossy();
        let own = fs::canonicalize(&self.program).unwrap_or_else(|_| self.program.clone());
        let own = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for program in self.reached.iter().chain([&own]) {
            let on_it = |process: &&(String, String)| process.1 == library && is_program(&process.0, program);
            assert!(
                cairn.processes.iter().any(|process| on_it(&process)),
                "{program} did not run on {library}; what did:\n{:#?}\n{}\n{}",
                cairn.processes,
                cairn.finished.status,
                cairn.err
            );
        }
        assert!(
            plain.processes.iter().all(|process| process.1 != library),
            "the run without the library had it"
        );
    }

    fn produced(&self, dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(dir, dir, &mut files);
        files.retain(|name, _| !self.ignored.iter().any(|prefix| name.starts_with(prefix)));
        files
    }

    #[track_caller]
    fn same_files(&self, plain: &Trial, cairn: &Trial) {
        let names = |trial: &Trial| trial.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(plain), names(cairn), "{} left other files", self.program.display());
        for (name, bytes) in &plain.files {
            let others = &cairn.files[name];
            let place =
                bytes.iter().zip(others).position(|(a, b)| a != b).unwrap_or(bytes.len().min(others.len()));
            assert!(
                bytes == others,
                "{} wrote another {name}: {} bytes without the library, {} on it, the first difference at byte {place} (in {})",
                self.program.display(),
                bytes.len(),
                others.len(),
                cairn.scratch.path().display()
            );
        }
    }
}

/// Whether a path is that of a program, which may carry the machine's name in front (`x86_64-linux-gnu-as`).
fn is_program(path: &str, program: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == program || name.strip_suffix(program).is_some_and(|machine| machine.ends_with('-'))
}

fn processes(log: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a test may read its own directory").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a listed file has a type");
        let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        if kind.is_dir() {
            collect(root, &path, files);
        } else if kind.is_file() {
            files.insert(name, fs::read(&path).unwrap_or_default());
        } else {
            files.insert(name, format!("{kind:?}").into_bytes());
        }
    }
}

/// Fails with the first line that differs.
#[track_caller]
fn same_text(what: &str, program: &Path, plain: &str, cairn: &str) {
    if plain == cairn {
        return;
    }
    let (mut before, mut after) = (plain.lines(), cairn.lines());
    for number in 1.. {
        let (a, b) = (before.next(), after.next());
        if a != b || a.is_none() {
            let (a, b) = (a.unwrap_or("(nothing)"), b.unwrap_or("(nothing)"));
            panic!(
                "{}: {what} differs in line {number}\nwithout the library: {a}\n     on the library: {b}",
                program.display()
            );
        }
    }
}
