//! `cairn run`: become the program, or with statistics start it and wait.

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::execve;

use crate::args::Run;
use crate::failure::{CANNOT_RUN, Failure, NOT_FOUND, OURS, USAGE};
use crate::{library, preload, program, summary, supervise};

/// The shell that runs what the kernel doesn't know, as `execvp` does.
const SHELL: &CStr = c"/bin/sh";

/// Everything that `execve` is told.
pub struct Image {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Image {
    fn new(path: &Path, arguments: &[OsString], environment: Vec<CString>) -> Self {
        let arguments = arguments.iter().map(|argument| text(argument)).collect();
        Image { path: text(path.as_os_str()), arguments, environment }
    }

    /// Adds a variable, in place of the one of that name.
    pub fn set(&mut self, name: &str, value: &OsStr) {
        set(&mut self.environment, name, value);
    }

    /// Becomes the program; returns only if that is impossible.
    pub fn execute(&self) -> Errno {
        let Err(first) = execve(&self.path, &self.arguments, &self.environment);
        if first != Errno::ENOEXEC {
            return first;
        }
        let rest = self.arguments.iter().skip(1);
        let words: Vec<&CStr> = [SHELL, &self.path].into_iter().chain(rest.map(CString::as_c_str)).collect();
        let Err(second) = execve(SHELL, &words, &self.environment);
        second
    }

    /// The failure that an error of [`Image::execute`] means.
    pub fn failure(&self, errno: Errno) -> Failure {
        let status = if errno == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN };
        Failure::new(status, format!("{} can't be run: {}", self.path.to_string_lossy(), errno.desc()))
    }
}

/// Runs a program. Without statistics or audits, it returns only on failure.
pub fn run(options: Run) -> Result<(), Failure> {
    let Some(name) = options.command.first() else {
        return Err(Failure::new(
            USAGE,
            "no program was named; say for example: cairn run python3 -c 'print(\"hello\")'",
        ));
    };
    let path = program::find(name)?;
    let library = library::locate(options.library.as_deref())?;
    let mut environment: Vec<CString> = env::vars_os().map(|(name, value)| pair(&name, &value)).collect();
    let preloaded = preload::value(&library, env::var_os(preload::VARIABLE).as_deref());
    set(&mut environment, preload::VARIABLE, &preloaded);
    if let Some(mode) = &options.mode {
        set(&mut environment, cairn_alloc::settings::MODE.name, OsStr::new(mode));
    }
    if let Some(pause) = options.audit {
        set(&mut environment, cairn_alloc::settings::AUDIT_MS.name, OsStr::new(&pause.to_string()));
    }
    let image = Image::new(&path, &options.command, environment);
    if options.stats || options.json || options.stats_file.is_some() || options.audit.is_some() {
        with_statistics(image, &options)
    } else {
        Err(image.failure(image.execute()))
    }
}

/// Runs the program as a child, reports, and ends as the child did.
fn with_statistics(mut image: Image, options: &Run) -> Result<(), Failure> {
    let ours = |what: &str, error: std::io::Error| Failure::new(OURS, format!("{what}: {error}"));
    // Made before the program runs, so that a wrong path doesn't cost the run.
    let output = options.stats_file.as_ref().map(|path| {
        std::fs::File::create(path).map_err(|error| {
            Failure::new(USAGE, format!("--stats-file {} can't be written: {error}", path.display()))
        })
    });
    let mut output: Box<dyn std::io::Write> = match output.transpose()? {
        Some(file) => Box::new(file),
        None => Box::new(std::io::stderr()),
    };
    let report = tempfile::Builder::new()
        .prefix("cairn-stats-")
        .tempfile()
        .map_err(|error| ours("no temporary file can be made for the heap report", error))?;
    image.set("CAIRN_STATS", report.path().as_os_str());
    image.set("CAIRN_STATS_PARENT", OsStr::new(&std::process::id().to_string()));
    let outcome = supervise::run(&image)?;
    let summary = summary::Summary::new(&options.command, &outcome, report.path());
    // Removes the file now: ending by a signal, as we may have to, runs no destructor.
    drop(report);
    let statistics = options.stats || options.json || options.stats_file.is_some();
    let shown = match (statistics, options.json) {
        (false, _) => summary.audits(),
        (true, false) => summary.table(),
        (true, true) => summary.json(),
    };
    if let Err(error) = output.write_all(shown.as_bytes()).and_then(|()| output.flush()) {
        eprintln!("cairn: the statistics can't be written: {error}");
    }
    outcome.ending.mirror()
}

fn set(environment: &mut Vec<CString>, name: &str, value: &OsStr) {
    let entry = pair(OsStr::new(name), value);
    let prefix = [name.as_bytes(), b"="].concat();
    match environment.iter_mut().find(|old| old.to_bytes().starts_with(&prefix)) {
        Some(old) => *old = entry,
        None => environment.push(entry),
    }
}

fn pair(name: &OsStr, value: &OsStr) -> CString {
    let mut entry = name.to_owned();
    entry.push("=");
    entry.push(value);
    text(&entry)
}

/// A string for the kernel. All of ours came from the kernel, which knows none with NUL inside.
fn text(value: &OsStr) -> CString {
    CString::new(value.as_bytes()).expect("arguments, paths and variables hold no NUL")
}
