//! Real programs as loads, under preload. One that isn't installed is skipped by name.
//!
//! ```text
//!   scripts      python3, lua, perl, ruby, sqlite3     one process, one thread
//!   tools        ghostscript, z3                       one process, one thread
//!   git          git log, git pack-objects             one process, one thread
//!   compilers    g++, clang                            one file, the driver and its child
//!   cargo        cargo and rustc on a small crate      several processes and threads
//!   servers      redis-server, postgres                a script starts the server, a client without the preload loads it
//! ```
//!
//! Each load runs for about a second on glibc at scale 1, and prints a result that depends neither on the allocator nor
//! on the time: it is compared over all runs. What a load needs is made once, in the scratch directory, without any preload;
//! a load leaves nothing there that would change its next run.

mod cargo;
mod compilers;
mod git;
mod place;
mod rustc_image;
mod scripts;
mod servers;
mod tools;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::catalogue::Load;
use place::Place;

/// A program found and its inputs written, or the reason why it can't be used here.
type Ready = anyhow::Result<Result<Load, String>>;

/// One of the programs.
struct Program {
    /// The load's name.
    name: &'static str,
    /// The Debian packages that bring all it needs.
    packages: &'static [&'static str],
    /// Looks for it and writes its inputs. An error is one of this program: an input that can't be written.
    prepare: fn(&Place) -> Ready,
}

const PROGRAMS: &[Program] = &[
    Program { name: "python3", packages: &["python3"], prepare: scripts::python },
    Program { name: "lua", packages: &["lua5.4"], prepare: scripts::lua },
    Program { name: "perl", packages: &["perl"], prepare: scripts::perl },
    Program { name: "ruby", packages: &["ruby"], prepare: scripts::ruby },
    Program { name: "sqlite3", packages: &["sqlite3"], prepare: scripts::sqlite },
    Program { name: "g++", packages: &["g++"], prepare: compilers::gcc },
    Program { name: "clang", packages: &["clang", "g++"], prepare: compilers::clang },
    Program { name: "z3", packages: &["z3"], prepare: tools::z3 },
    Program { name: "ghostscript", packages: &["ghostscript"], prepare: tools::ghostscript },
    Program { name: "git-log", packages: &["git"], prepare: git::log },
    Program { name: "git-pack", packages: &["git"], prepare: git::pack },
    Program { name: "redis", packages: &["redis-server", "redis-tools"], prepare: servers::redis },
    Program { name: "postgres", packages: &["postgresql"], prepare: servers::postgres },
    Program { name: "cargo", packages: &["cargo"], prepare: cargo::build },
];

/// The Debian packages of all programs here, in alphabetical order, each once.
pub fn packages() -> Vec<&'static str> {
    let mut all: Vec<_> = PROGRAMS.iter().flat_map(|program| program.packages).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The loads that `wanted` chooses by name and whose programs are there, and a sentence for each that isn't.
/// `scale` 1 is a full run, `scratch` an empty directory that outlives the loads.
pub fn prepare(
    scratch: &Path,
    scale: f64,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<(Vec<Load>, Vec<String>)> {
    let place = Place::new(scratch, scale);
    let mut loads = Vec::new();
    let mut skipped = Vec::new();
    for program in PROGRAMS.iter().filter(|program| wanted(program.name)) {
        match (program.prepare)(&place)? {
            Ok(load) => loads.push(Load { name: program.name.to_owned(), ..load }),
            Err(reason) => skipped.push(format!(
                "{}: {reason}; on Debian: apt-get install {}",
                program.name,
                program.packages.join(" ")
            )),
        }
    }
    Ok((loads, skipped))
}
