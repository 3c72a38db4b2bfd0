//! Builds the allocators under comparison, and the programs that measure them: what `cairn bench prepare` does.
//!
//! ```text
//!   peers/<name>/        a package: the workloads with the peer's crate as global allocator ──► target/peers/<name>/workload
//!        library.sh      the peer's own way to a shared object, from the same sources       ──► target/peers/<name>/lib<name>.so
//!   crates/cairn-malloc  Cairn's shared object                                              ──► target/peers/cairn/libcairn.so
//!   crates/cairn-workload                                                                   ──► target/release/cairn-workload
//! ```
//! All that is said on the way goes to `target/peers/<name>/log`. A peer that can't be built is named with the reason and left
//! out; Cairn and the workloads must build. A second call has nothing to do and takes two or three seconds: cargo knows what is
//! fresh of the programs, a stamp of what they were made from what is fresh of the shared objects. See `peers/README.md` for
//! each peer's settings.

mod cargo;
mod checkout;
mod command;
mod library;
mod messages;
mod recipes;
mod tools;
mod versions;

pub use command::{Prepare, Progress};
pub use versions::glibc as glibc_version;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use cargo::Build;
use library::{Library, check_that_it_serves, place};
use messages::Message;
use recipes::{RECIPES, Recipe};

/// What to prepare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these allocators; all of them if it is empty.
    pub only: Vec<String>,
}

/// An allocator that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Its version, in words.
    pub version: String,
    /// The shared object to preload.
    pub library: PathBuf,
    /// The workloads with its crate as global allocator; none if it has no crate.
    pub rust_workload: Option<PathBuf>,
    /// Variables that its authors advise to set for programs that run on it.
    pub environment: Vec<(String, String)>,
}

/// An allocator that is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its name.
    pub name: String,
    /// Why not, and where more is told.
    pub reason: String,
}

/// What was prepared.
#[derive(Clone, Debug, Serialize)]
pub struct Prepared {
    /// The workloads on the C functions, and the launcher.
    pub workload: PathBuf,
    /// The allocators to measure, Cairn first.
    pub ready: Vec<Ready>,
    /// The allocators that are left out.
    pub failed: Vec<Failed>,
}

/// Cairn's own name.
const CAIRN: &str = "cairn";
/// The package of its shared object.
const LIBRARY: &str = "cairn-malloc";
/// The name of the one that comes from Debian, its files, and the packages that have had it.
const GPERFTOOLS: &str = "gperftools";
const GPERFTOOLS_FILE: &str = "libtcmalloc_minimal.so.4";
const GPERFTOOLS_PACKAGES: [&str; 2] = ["libtcmalloc-minimal4", "libtcmalloc-minimal4t64"];
/// Where Debian puts libraries, on the architectures that Cairn knows.
const FOLDERS: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/// The names of all allocators that can be prepared, in the order of the tables.
pub fn names() -> Vec<&'static str> {
    let built = RECIPES.iter().map(|recipe| recipe.name);
    std::iter::once(CAIRN).chain(built).chain([GPERFTOOLS]).collect()
}

/// Builds everything that isn't there yet.
///
/// # Errors
/// If there is no checkout, an unknown name is asked for, or Cairn or the workloads themselves don't build. A peer that doesn't
/// is no error, see [`Prepared::failed`].
pub fn prepare(options: &Options, progress: &Progress) -> anyhow::Result<Prepared> {
    if let Some(unknown) = options.only.iter().find(|name| !names().contains(&name.as_str())) {
        bail!("no allocator named {unknown} can be prepared; there are: {}", names().join(", "));
    }
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let workshop = Workshop::open(progress)?;
    let workload = workshop.workload()?;
    let mut prepared = Prepared { workload, ready: Vec::new(), failed: Vec::new() };
    if wanted(CAIRN) {
        prepared.ready.push(workshop.cairn(&prepared.workload)?);
    }
    for recipe in RECIPES.iter().filter(|recipe| wanted(recipe.name)) {
        match workshop.peer(recipe, &prepared.workload) {
            Ok(ready) => prepared.ready.push(ready),
            Err(error) => {
                prepared.failed.push(Failed { name: recipe.name.to_owned(), reason: format!("{error:#}") })
            }
        }
    }
    if wanted(GPERFTOOLS) {
        match gperftools() {
            Ok(ready) => prepared.ready.push(ready),
            Err(error) => {
                prepared.failed.push(Failed { name: GPERFTOOLS.to_owned(), reason: error.to_string() })
            }
        }
    }
    progress.finish();
    Ok(prepared)
}

/// What is needed to count what threads share.
#[derive(Clone, Debug)]
pub struct Counting {
    /// The workloads on the C functions, and the launcher.
    pub workload: PathBuf,
    /// Cairn's shared object as it ships,
    pub plain: PathBuf,
    /// and one that counts (`--cfg cairn_count`).
    pub counting: PathBuf,
}

/// Builds Cairn twice, as it ships and so that it counts.
///
/// # Errors
/// If there is no checkout, or something doesn't build.
pub fn counting(progress: &Progress) -> anyhow::Result<Counting> {
    let workshop = Workshop::open(progress)?;
    let workload = workshop.workload()?;
    let plain = shared_object(&workshop.build_own(LIBRARY)?)?;
    let products = workshop.products("cairn-count");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg cairn_count";
    let variables = vec![("RUSTFLAGS".to_owned(), flags)];
    let (build, log) = (products.join("build"), products.join("log"));
    let counting = shared_object(&workshop.build(&workshop.checkout, LIBRARY, &build, variables, &log)?)?;
    for library in [&plain, &counting] {
        check_that_it_serves(library, &workload, &[]).with_context(|| library.display().to_string())?;
    }
    progress.finish();
    Ok(Counting { workload, plain, counting })
}

/// Cairn's shared object among what a build of [`LIBRARY`] made.
fn shared_object(messages: &[Message]) -> anyhow::Result<PathBuf> {
    files_of(messages, LIBRARY)
        .find(|file| file.extension().is_some_and(|ending| ending == "so"))
        .cloned()
        .context("cargo names no libcairn.so")
}

/// The folders that things are built from and into.
struct Workshop<'a> {
    checkout: PathBuf,
    target: PathBuf,
    progress: &'a Progress,
}

impl Workshop<'_> {
    fn open(progress: &Progress) -> anyhow::Result<Workshop<'_>> {
        let checkout = checkout::find()?;
        let target = cargo::target_of(&checkout)?;
        Ok(Workshop { checkout, target, progress })
    }

    /// The folder of a peer's products.
    fn products(&self, name: &str) -> PathBuf {
        self.target.join("peers").join(name)
    }

    /// The program that measures whatever is preloaded.
    fn workload(&self) -> anyhow::Result<PathBuf> {
        let messages = self.build_own("cairn-workload")?;
        program_of(&messages, "cairn-workload").context("cargo names no program cairn-workload")
    }

    fn cairn(&self, workload: &Path) -> anyhow::Result<Ready> {
        let built = shared_object(&self.build_own(LIBRARY)?)?;
        let products = self.products(CAIRN);
        let library = products.join("libcairn.so");
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let messages = self.build_peer(CAIRN, Vec::new())?;
        place(&built, &library)?;
        check_that_it_serves(&library, workload, &[])
            .map_err(|error| anyhow!("{}: {error:#}", library.display()))?;
        let rust_workload = Some(self.place_workload(CAIRN, &messages)?);
        Ok(Ready { name: CAIRN.to_owned(), version, library, rust_workload, environment: Vec::new() })
    }

    /// One peer: its program by cargo, its shared object by its script.
    fn peer(&self, recipe: &Recipe, workload: &Path) -> anyhow::Result<Ready> {
        if let Some(sentence) = tools::missing(recipe.tools) {
            bail!(sentence);
        }
        let compilers = recipe.compilers.compilers().map_err(|sentence| anyhow!(sentence))?;
        let mut variables = owned(recipe.building);
        variables
            .extend([("CC".to_owned(), compilers.cc.clone()), ("CXX".to_owned(), compilers.cxx.clone())]);
        let messages = self.build_peer(recipe.name, variables)?;

        let products = self.products(recipe.name);
        let log = products.join("log");
        let sources = sources_of(&messages, recipe.sources)
            .with_context(|| format!("cargo doesn't tell where {} is", recipe.sources))?;
        let script = self.checkout.join("peers").join(recipe.name).join("library.sh");
        if !script.is_file() {
            bail!("its crate builds, but there is no {} that makes a shared object of it", script.display());
        }
        let library = products.join(format!("lib{}.so", recipe.name));
        self.progress.step(&format!("{}: the shared object", recipe.name));
        Library {
            script: &script,
            sources,
            built: results_of(&messages, recipe.sources),
            products: &products,
            library: &library,
            compilers: &compilers,
            log: &log,
        }
        .make()
        .map_err(|error| anyhow!("{error:#} (making the shared object; the whole log: {})", log.display()))?;

        let environment = owned(recipe.running);
        check_that_it_serves(&library, workload, &environment)?;
        let rust_workload = Some(self.place_workload(recipe.name, &messages)?);
        let lock = std::fs::read_to_string(self.checkout.join("peers/Cargo.lock"))?;
        let of_crate = versions::locked(&lock, recipe.sources).unwrap_or_default();
        let version = recipe.told.version(recipe.sources, &of_crate, sources);
        Ok(Ready { name: recipe.name.to_owned(), version, library, rust_workload, environment })
    }

    /// A package of the main workspace, into the main target folder.
    fn build_own(&self, package: &str) -> anyhow::Result<Vec<Message>> {
        let log = self.products(CAIRN).join(format!("log-{package}"));
        self.build(&self.checkout, package, &self.target, Vec::new(), &log)
    }

    /// The package of a peer. All share one folder for what cargo builds, so that what they have in common is built once; but
    /// for those with RUSTC_BOOTSTRAP, a variable at whose change common crates are built again, and all that stands on them.
    fn build_peer(&self, name: &str, variables: Vec<(String, String)>) -> anyhow::Result<Vec<Message>> {
        let log = self.products(name).join("log");
        let alone = variables.iter().any(|(variable, _)| variable == "RUSTC_BOOTSTRAP");
        let target = if alone { self.products(name).join("build") } else { self.target.join("peers/build") };
        self.build(&self.checkout.join("peers"), &format!("peer-{name}"), &target, variables, &log)
    }

    fn build(
        &self,
        workspace: &Path,
        package: &str,
        target: &Path,
        variables: Vec<(String, String)>,
        log: &Path,
    ) -> anyhow::Result<Vec<Message>> {
        self.progress.step(package);
        Build { workspace, package, target, variables, log }
            .run(&|done| self.progress.detail(package, done))
            .map_err(|error| anyhow!("{error:#} (building {package}; the whole log: {})", log.display()))
    }

    fn place_workload(&self, name: &str, messages: &[Message]) -> anyhow::Result<PathBuf> {
        let package = format!("peer-{name}");
        let program =
            program_of(messages, &package).with_context(|| format!("cargo names no program of {package}"))?;
        let placed = self.products(name).join("workload");
        place(&program, &placed)?;
        Ok(placed)
    }
}

/// Debian's libtcmalloc-minimal, which is not built but found.
fn gperftools() -> anyhow::Result<Ready> {
    let library = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(GPERFTOOLS_FILE))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("no {GPERFTOOLS_FILE}; on Debian: apt-get install {}", GPERFTOOLS_PACKAGES[0])
        })?;
    let version =
        GPERFTOOLS_PACKAGES.iter().find_map(|package| versions::debian(package)).unwrap_or_default();
    Ok(Ready { name: GPERFTOOLS.to_owned(), version, library, rust_workload: None, environment: Vec::new() })
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The program that came out of `package`.
fn program_of(messages: &[Message], package: &str) -> Option<PathBuf> {
    messages.iter().find_map(|message| match message {
        Message::Compiled { package: name, program: Some(program), .. } if name == package => {
            Some(program.clone())
        }
        _ => None,
    })
}

/// All files that came out of `package`.
fn files_of<'a>(messages: &'a [Message], package: &'a str) -> impl Iterator<Item = &'a PathBuf> {
    messages.iter().flat_map(move |message| match message {
        Message::Compiled { package: name, files, .. } if name == package => files.as_slice(),
        _ => &[],
    })
}

/// The folder of the sources of `package`.
fn sources_of<'a>(messages: &'a [Message], package: &str) -> Option<&'a Path> {
    messages.iter().find_map(|message| match message {
        Message::Compiled { package: name, sources, .. } if name == package => Some(sources.as_path()),
        _ => None,
    })
}

/// The folder of the results of the build script of `package`.
fn results_of<'a>(messages: &'a [Message], package: &str) -> Option<&'a Path> {
    messages.iter().find_map(|message| match message {
        Message::Scripted { package: name, results } if name == package => Some(results.as_path()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused_before_anything_is_built() {
        let options = Options { only: vec!["nosuch".to_owned()] };
        let error = prepare(&options, &Progress::silent()).unwrap_err().to_string();
        assert!(
            error.contains("nosuch") && error.contains("mimalloc3") && error.contains("gperftools"),
            "{error}"
        );
    }

    #[test]
    fn names_are_unique_and_begin_with_ours() {
        let mut names = names();
        assert_eq!(names[0], CAIRN);
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn products_are_found_among_the_messages() {
        let compiled = |package: &str, program: Option<&str>, file: &str| Message::Compiled {
            package: package.to_owned(),
            sources: format!("/src/{package}").into(),
            program: program.map(PathBuf::from),
            files: vec![file.into()],
        };
        // A build script is a program of its package too, but cargo doesn't tell it as one.
        let messages = [
            compiled("x-sys", None, "/t/build-script"),
            Message::Scripted { package: "x-sys".to_owned(), results: "/t/out".into() },
            compiled("peer-x", Some("/t/workload-x"), "/t/workload-x"),
        ];
        assert_eq!(program_of(&messages, "peer-x").unwrap(), Path::new("/t/workload-x"));
        assert_eq!(program_of(&messages, "x-sys"), None);
        assert_eq!(sources_of(&messages, "x-sys").unwrap(), Path::new("/src/x-sys"));
        assert_eq!(results_of(&messages, "x-sys").unwrap(), Path::new("/t/out"));
        assert_eq!(results_of(&messages, "peer-x"), None);
        assert_eq!(files_of(&messages, "peer-x").collect::<Vec<_>>(), [Path::new("/t/workload-x")]);
    }
}
