//! Plants wrong decisions in a copy of the sources, one at a time, and looks whether the tests notice.
//!
//! `cargo run -p cairn-tests --bin mutate -- --help`

use cairn_tests::mutants::{self, Mutant};
use cairn_tests::{command, library, scratch};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs};

const USAGE: &str = "\
usage: mutate [--only WORD].. [--list] [--check] [--from STAGE] [--until STAGE] [--jobs N]

Plants each mutant of crates/cairn-tests/mutants/*.toml in a copy of the sources (target/mutate), builds it, and runs the tests:
those of cairn-core if it is there (core), the quick ones of cairn-alloc (quick), all of them (engine), the models if the file is in one
(models, by loom), then those with C programs on libcairn.so: the functions and the faults (abi), processes and threads (life). A mutant that a test or a compile-time assertion notices is caught.
Ends with 0 if all are.

  --only WORD   only mutants whose name or file contains the word
  --list        lists them and what each breaks
  --check       only checks that what each replaces stands exactly once in its file
  --from STAGE  the first stage to run: core (which is the first of all), quick, engine, models, abi, or life
  --until STAGE the last one (else life)
  --jobs N      compilers at a time";

struct Options {
    only: Vec<String>,
    list: bool,
    check: bool,
    from: String,
    until: String,
    jobs: Option<String>,
}

fn options() -> Result<Options, String> {
    let (from, until) = ("core".to_owned(), "life".to_owned());
    let mut options = Options { only: Vec::new(), list: false, check: false, from, until, jobs: None };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value\n\n{USAGE}"));
        match word.as_str() {
            "--only" => options.only.push(value()?),
            "--from" => options.from = value()?,
            "--until" => options.until = value()?,
            "--jobs" => options.jobs = Some(value()?),
            "--list" => options.list = true,
            "--check" => options.check = true,
            "--help" | "-h" => return Err(USAGE.to_owned()),
            _ => return Err(format!("unknown argument {word}\n\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            eprintln!("{words}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let mut mutants = mutants::all()?;
    let stale: Vec<String> =
        mutants.iter().filter_map(|mutant| mutant.planted(scratch::workspace()).err()).collect();
    if !stale.is_empty() {
        return Err(stale.join("\n\n"));
    }
    if !options.only.is_empty() {
        let fits = |m: &Mutant, word: &str| m.name.contains(word) || m.file.to_string_lossy().contains(word);
        mutants.retain(|mutant| options.only.iter().any(|word| fits(mutant, word)));
        if mutants.is_empty() {
            return Err("no mutant's name or file contains that word; --list shows all".to_owned());
        }
    }
    if options.list {
        mutants.iter().for_each(|m| println!("{:<44} {}: {}", m.name, m.file.display(), m.breaks));
    }
    if options.list || options.check {
        println!("{} mutants, each replaces what stands exactly once in its file", mutants.len());
        return Ok(true);
    }
    Field::new(&options)?.try_all(&mutants)
}

/// What became of a mutant.
#[derive(PartialEq)]
enum Fate {
    Caught(String),
    Survived,
    DidNotBuild(String),
}

/// One group of tests.
struct Stage {
    name: &'static str,
    arguments: String,
    /// Whether it sees anything of a file.
    sees: fn(&Path) -> bool,
    limit: Duration,
}

fn in_core(file: &Path) -> bool {
    file.starts_with("crates/cairn-core")
}

fn in_engine(file: &Path) -> bool {
    !file.starts_with("crates/cairn-malloc")
}

/// Whether a model takes the file in as it is (crates/cairn-model/src/shipped.rs).
fn in_models(file: &Path) -> bool {
    const NAMES: [&str; 10] = [
        "bin.rs",
        "living.rs",
        "fork.rs",
        "hands.rs",
        "inside.rs",
        "key.rs",
        "mode.rs",
        "registry.rs",
        "shelf.rs",
        "window.rs",
    ];
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let in_alloc = file.starts_with("crates/cairn-alloc")
        && !file.components().any(|part| part.as_os_str() == "hardened");
    file == Path::new("crates/cairn-core/src/lock.rs")
        || in_alloc && (NAMES.contains(&name) || file.to_string_lossy().contains("transfer"))
}

fn in_all(_: &Path) -> bool {
    true
}

const MODELS: &str = "models";
const ENGINE: &str = "-p cairn-alloc --features allocator-api2,allocator-api2-04";

/// The copy of the sources.
struct Field {
    tree: PathBuf,
    target: PathBuf,
    jobs: Option<String>,
    stages: Vec<Stage>,
}

impl Field {
    fn new(options: &Options) -> Result<Field, String> {
        let dir = scratch::target_dir().join("mutate");
        let stage = |name, arguments: &str, sees: fn(&Path) -> bool| Stage {
            name,
            arguments: arguments.to_owned(),
            sees,
            limit: Duration::from_secs(3600),
        };
        let mut stages = vec![
            stage("core", "-p cairn-core --lib --tests", in_core),
            stage(
                "quick",
                &format!("{ENGINE} --lib --test policies --test policies_spans --test play"),
                in_engine,
            ),
            stage("engine", &format!("{ENGINE} --tests"), in_engine),
            stage(MODELS, "-p cairn-model --test models", in_models),
            stage("abi", "-p cairn-tests --test abi --test hardened", in_all),
            stage("life", "-p cairn-tests --test life --test stress", in_all),
        ];
        let place = |name: &str| {
            let at = stages.iter().position(|stage| stage.name == name);
            at.ok_or_else(|| format!("there is no stage {name}\n\n{USAGE}"))
        };
        let (first, last) = (place(&options.from)?, place(&options.until)?);
        if first > last {
            return Err(format!("{} comes after {}\n\n{USAGE}", options.from, options.until));
        }
        stages.truncate(last + 1);
        stages.drain(..first);
        let field =
            Field { tree: dir.join("tree"), target: dir.join("target"), jobs: options.jobs.clone(), stages };
        copy(scratch::workspace(), &field.tree).map_err(|e| format!("cannot copy the sources: {e}"))?;
        Ok(field)
    }

    fn try_all(mut self, mutants: &[Mutant]) -> Result<bool, String> {
        self.measure()?;
        let (mut caught, mut failed) = (0, Vec::new());
        for (at, mutant) in mutants.iter().enumerate() {
            let begin = Instant::now();
            let fate = self.try_one(mutant)?;
            let words = match &fate {
                Fate::Caught(by) => format!("caught by {by}"),
                Fate::Survived => format!("SURVIVED ({})", mutant.breaks),
                Fate::DidNotBuild(error) => format!("DID NOT BUILD: {error}"),
            };
            let seconds = begin.elapsed().as_secs();
            println!("[{}/{}] {seconds:>3} s  {:<44} {words}", at + 1, mutants.len(), mutant.name);
            match fate {
                Fate::Caught(_) => caught += 1,
                Fate::Survived if mutant.equivalent.is_some() => {}
                _ => failed.push(mutant.name.as_str()),
            }
        }
        let expected = mutants.len() - caught - failed.len();
        println!("{caught} of {} mutants caught, {expected} known to be equivalent", mutants.len());
        if !failed.is_empty() {
            println!("not caught: {}", failed.join(", "));
        }
        Ok(failed.is_empty())
    }

    /// Without any mutant all tests must pass; how long that takes bounds the time that a mutant gets.
    fn measure(&mut self) -> Result<(), String> {
        for at in 0..self.stages.len() {
            self.test(&self.stages[at], "--no-run", Duration::from_secs(3600))?;
            let begin = Instant::now();
            let ended = self.test(&self.stages[at], "", self.stages[at].limit)?;
            if let Some(Ended { ok: false, output }) = ended {
                return Err(format!("the tests fail without any mutant:\n{output}"));
            }
            let stage = &mut self.stages[at];
            // It includes the building of a mutant.
            stage.limit = begin.elapsed() * 5 + Duration::from_secs(180);
            println!("{} tests pass without a mutant, in {} s", stage.name, begin.elapsed().as_secs());
        }
        Ok(())
    }

    fn try_one(&self, mutant: &Mutant) -> Result<Fate, String> {
        let (place, planted) = (self.tree.join(&mutant.file), mutant.planted(&self.tree)?);
        let failed = |e: std::io::Error| format!("{}: {e}", place.display());
        let right = fs::read(&place).map_err(failed)?;
        fs::write(&place, planted).map_err(failed)?;
        let fate = self.fate(&mutant.file);
        fs::write(&place, right).map_err(failed)?;
        fate
    }

    fn fate(&self, file: &Path) -> Result<Fate, String> {
        for stage in self.stages.iter().filter(|stage| (stage.sees)(file)) {
            match self.test(stage, "", stage.limit)? {
                None => return Ok(Fate::Caught(format!("a hang ({})", stage.name))),
                Some(Ended { ok: true, .. }) => {}
                Some(Ended { output, .. }) => return Ok(judge(stage, &output)),
            }
        }
        Ok(Fate::Survived)
    }

    /// Runs a stage in the copy; None if it hung.
    fn test(&self, stage: &Stage, more: &str, limit: Duration) -> Result<Option<Ended>, String> {
        let mut cargo: Command = library::nested_cargo();
        cargo.current_dir(&self.tree).env("RUST_BACKTRACE", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        let target = if stage.name == MODELS { "target-models" } else { "target" };
        cargo.arg("test").arg("--target-dir").arg(self.target.with_file_name(target));
        if let Some(jobs) = &self.jobs {
            cargo.arg("--jobs").arg(jobs).env("CARGO_BUILD_JOBS", jobs);
        }
        if stage.name == MODELS {
            cargo.env("RUSTFLAGS", "--cfg loom");
        }
        cargo.args(stage.arguments.split(' ')).args((!more.is_empty()).then_some(more));
        if stage.name == MODELS && more.is_empty() {
            // The models themselves, not what they do with orderings that are too weak.
            cargo.args(["--", "--skip", "each_is_caught"]);
        }
        let finished = command::try_run(&mut cargo, limit);
        Ok(finished.ok().map(|f| Ended { ok: f.status.success(), output: f.err() + &f.out() }))
    }
}

struct Ended {
    ok: bool,
    output: String,
}

/// What the output of a failed run tells.
fn judge(stage: &Stage, output: &str) -> Fate {
    let line = |has: &str| output.lines().find(|line| line.contains(has)).map(str::trim);
    if line("could not compile").is_some() {
        // An assertion that the compiler evaluates is a test as any other.
        return match line("evaluation panicked").or_else(|| line("evaluation of constant")) {
            Some(words) => Fate::Caught(format!("the compiler: {words}")),
            None => Fate::DidNotBuild(line("error").unwrap_or("no error shown").to_owned()),
        };
    }
    let failed = output.lines().find(|line| line.starts_with("test ") && line.ends_with("FAILED"));
    let words = failed.or_else(|| line("signal:")).or_else(|| line("error: test failed")).unwrap_or("?");
    let message = output.lines().find(|line| line.starts_with("cairn: ")).unwrap_or("");
    let words = format!("{}: {} {message}", stage.name, words.trim_end_matches(" ... FAILED"));
    Fate::Caught(words.chars().take(160).collect())
}

/// Copies what differs, so that an earlier copy's builds stay good.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let skipped = ["target", ".git", "artifacts", "peers"].iter().any(|skipped| name == *skipped);
        if skipped {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else if fs::read(to.join(&name)).ok() != Some(fs::read(&path)?) {
            fs::write(to.join(&name), fs::read(&path)?)?;
            fs::set_permissions(to.join(&name), fs::metadata(&path)?.permissions())?;
        }
    }
    Ok(())
}
