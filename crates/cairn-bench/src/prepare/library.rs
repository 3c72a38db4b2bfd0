//! The shared object of a peer: made by its script in `peers/`, and only when something it is made from has changed.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::messages::reason;
use super::tools::{self, Compilers};

/// What a script needs to know.
#[derive(Debug)]
pub struct Library<'a> {
    /// `peers/<name>/library.sh`.
    pub script: &'a Path,
    /// The folder of the crate's sources.
    pub sources: &'a Path,
    /// The results of the crate's build script, if it has one.
    pub built: Option<&'a Path>,
    /// The folder of the peer's products.
    pub products: &'a Path,
    /// The result.
    pub library: &'a Path,
    /// What to compile with.
    pub compilers: &'a Compilers,
    /// The file that takes what is said; it is added to.
    pub log: &'a Path,
}

impl Library<'_> {
    /// Makes the shared object, unless it is there and all it was made from is still the same.
    ///
    /// # Errors
    /// The line of the log that names the cause.
    pub fn make(&self) -> anyhow::Result<()> {
        let stamp = self.products.join("library.stamp");
        let state = self.state()?;
        if self.library.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == state) {
            return Ok(());
        }
        let work = self.products.join("library.work");
        if work.exists() {
            fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
        }
        fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
        // A script that is interrupted leaves no half of a library behind.
        let fresh = work.join("fresh.so");
        self.run_script(&work, &fresh)?;
        fs::rename(&fresh, self.library).with_context(|| self.library.display().to_string())?;
        fs::write(&stamp, state).with_context(|| stamp.display().to_string())?;
        fs::remove_dir_all(&work).with_context(|| work.display().to_string())
    }

    fn run_script(&self, work: &Path, fresh: &Path) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log)?;
        let before = log.metadata()?.len() as usize;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let status = Command::new("sh")
            .arg(self.script)
            .env("SOURCE", self.sources)
            .env("BUILT", self.built.unwrap_or(Path::new("")))
            .env("WORK", work)
            .env("LIBRARY", fresh)
            .env("JOBS", jobs.to_string())
            .env("CC", &self.compilers.cc)
            .env("CXX", &self.compilers.cxx)
            .env_remove("MAKEFLAGS")
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .context("can't start sh")?;
        if !status.success() {
            let text = fs::read(self.log)?;
            bail!(reason(&String::from_utf8_lossy(&text[before.min(text.len())..])));
        }
        Ok(())
    }

    /// All that the library is made from, as text that is equal as long as nothing of it changes.
    fn state(&self) -> anyhow::Result<String> {
        let mut state = fs::read_to_string(self.script).with_context(|| self.script.display().to_string())?;
        writeln!(state, "sources {}", self.sources.display())?;
        for compiler in [&self.compilers.cc, &self.compilers.cxx] {
            writeln!(state, "{compiler} {}", tools::version_of(compiler))?;
        }
        for archive in self.archives()? {
            let data = archive.metadata()?;
            writeln!(state, "{} {} {:?}", archive.display(), data.len(), data.modified()?)?;
        }
        Ok(state)
    }

    /// The archives among the build script's results.
    fn archives(&self) -> anyhow::Result<Vec<PathBuf>> {
        let Some(built) = self.built else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir(built).with_context(|| built.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "a") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The functions that the shared object has to take over in every program. The rest of the family is checked by no caller that
/// every machine has.
const TAKEN_OVER: [&str; 4] = ["malloc", "calloc", "realloc", "free"];

/// Starts `program` with `library` preloaded and looks whether the loader binds its malloc there.
///
/// # Errors
/// A sentence about the first thing that isn't so.
pub fn check_that_it_serves(
    library: &Path,
    program: &Path,
    variables: &[(String, String)],
) -> anyhow::Result<()> {
    let output = Command::new(program)
        .arg("--help")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("LD_PRELOAD", library)
        .env("LD_BIND_NOW", "1")
        .env("LD_DEBUG", "bindings")
        .output()
        .with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("a program that it is preloaded into ends with {}", output.status);
    }
    match not_taken_over(&said, program, library) {
        None => Ok(()),
        Some(function) => bail!("preloaded, it doesn't take over {function}"),
    }
}

/// The first function that the loader does not bind from `program` to `library`.
fn not_taken_over(said: &str, program: &Path, library: &Path) -> Option<&'static str> {
    let from_program = format!("binding file {} ", program.display());
    let to_library = format!(" to {} ", library.display());
    TAKEN_OVER.into_iter().find(|function| {
        let symbol = format!("symbol `{function}'");
        !said
            .lines()
            .any(|line| line.contains(&from_program) && line.contains(&to_library) && line.contains(&symbol))
    })
}

/// Puts `from` at `to`, unless the same is there already.
///
/// # Errors
/// What the file system says against it.
pub fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    let age = |path: &Path| path.metadata().and_then(|data| Ok((data.len(), data.modified()?))).ok();
    if let (Some(new), Some(old)) = (age(from), age(to))
        && new == old
    {
        return Ok(());
    }
    let fresh = to.with_extension("fresh");
    fs::copy(from, &fresh).with_context(|| format!("{} to {}", from.display(), fresh.display()))?;
    File::open(&fresh)?.set_modified(from.metadata()?.modified()?)?;
    // Renamed, because a program that runs can't be written to.
    fs::rename(&fresh, to).with_context(|| to.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_made_once_until_its_script_changes() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let compilers = Compilers { cc: "true".to_owned(), cxx: "true".to_owned() };
        let (script, library, log) = (at("library.sh"), at("libx.so"), at("log"));
        let make = |text: &str| {
            fs::write(&script, text).unwrap();
            let recipe = Library {
                script: &script,
                sources: scratch.path(),
                built: None,
                products: scratch.path(),
                library: &library,
                compilers: &compilers,
                log: &log,
            };
            recipe.make()
        };
        let script_text = format!("echo made >> {}; echo one > \"$LIBRARY\"", at("count").display());
        make(&script_text).unwrap();
        make(&script_text).unwrap();
        assert_eq!(fs::read_to_string(at("count")).unwrap(), "made\n", "the second call has nothing to do");
        make(&script_text.replace("one", "two")).unwrap();
        assert_eq!(fs::read_to_string(&library).unwrap(), "two\n");
        let error = make("echo 'x.c:1: error: no such thing' >&2; exit 1").unwrap_err();
        assert_eq!(error.to_string(), "x.c:1: error: no such thing");
        assert_eq!(fs::read_to_string(&library).unwrap(), "two\n", "a failure leaves what was there");
    }

    #[test]
    fn the_loaders_words_tell_who_serves() {
        let line = |function: &str, to: &str| {
            format!("  7: binding file /p [0] to {to} [0]: normal symbol `{function}' [G]\n")
        };
        let all: String = TAKEN_OVER.iter().map(|function| line(function, "/l.so")).collect();
        let check = |said: &str| not_taken_over(said, Path::new("/p"), Path::new("/l.so"));
        assert_eq!(check(&all), None);
        assert_eq!(check(&all.replace("`free'", "`other'")), Some("free"));
        assert_eq!(check(&line("malloc", "/lib/libc.so.6")), Some("malloc"));
    }

    #[test]
    fn nothing_preloaded_is_noticed() {
        let error =
            check_that_it_serves(Path::new("/nothing/here.so"), Path::new("/bin/true"), &[]).unwrap_err();
        assert!(error.to_string().contains("malloc"), "{error}");
    }

    #[test]
    fn placing_is_done_once_and_repeated_after_a_change() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("a"), scratch.path().join("b"));
        fs::write(&from, "1").unwrap();
        place(&from, &to).unwrap();
        let first = to.metadata().unwrap().modified().unwrap();
        place(&from, &to).unwrap();
        assert_eq!(to.metadata().unwrap().modified().unwrap(), first);
        fs::write(&from, "22").unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "22");
    }
}
