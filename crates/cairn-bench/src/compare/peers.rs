//! The allocators under comparison: Cairn, glibc, the peers that [`crate::prepare`] builds, and whatever else is named.
//!
//! What was prepared is remembered in a file beside the products (`target/peers/prepared.json`), so that `--no-prepare` and
//! `cairn bench list` know it without asking cargo.
//!
//! Some are measured only if they are asked for by name, since they are made to find faults and not to be fast: Cairn in hardened
//! mode, and what peers/hardened.sh has put into `target/peers/hardened`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::prepare::{self, Prepared};

/// The one that nothing has to be preloaded for.
pub const GLIBC: &str = "glibc";
/// Ours.
const CAIRN: &str = "cairn";
/// The same library in hardened mode. Only if it is asked for.
const HARDENED: &str = "cairn-hardened";
/// The folder, beside those of the other peers, with what hardened mode is compared with. Only if it is asked for.
const HARDENED_PEERS: &str = "hardened";

/// The options that say which allocators are measured.
#[derive(Debug, Default, Args)]
pub struct Choice {
    /// Only these allocators, by name, separated by commas (the reference, glibc, should be among them). Some are measured only if they
    /// are named: cairn-hardened, which is Cairn in hardened mode, and those that peers/hardened.sh builds: scudo, hardened_malloc,
    /// mimalloc2-secure, mimalloc3-secure
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub peers: Vec<String>,
    /// More allocators; a name that begins with "cairn" counts as one of ours, any other as a peer
    #[arg(long, value_delimiter = ',', value_name = "NAME=PATH,…")]
    pub libs: Vec<Peer>,
    /// Measure this libcairn.so (preloaded only: it has no part at the Rust door) instead of the checkout's
    #[arg(long, value_name = "PATH")]
    pub cairn: Option<PathBuf>,
    /// The program cairn-workload, if it is neither built by the preparation nor beside this program
    #[arg(long, value_name = "PATH")]
    pub workload: Option<PathBuf>,
    /// Take what an earlier preparation has built, and build nothing
    #[arg(long)]
    pub no_prepare: bool,
}

/// An allocator that programs can be run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name in tables.
    pub name: String,
    /// Its version; empty if nobody told.
    #[serde(default)]
    pub version: String,
    /// The shared object to preload; none for the C library's own.
    pub library: Option<PathBuf>,
    /// The workload program with the allocator's crate as its global allocator; none if it has no crate.
    #[serde(default)]
    pub rust: Option<PathBuf>,
    /// Variables that its authors advise to set for programs that run on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
}

/// What was found, and what to do about the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The program `cairn-workload`.
    pub workload: PathBuf,
    /// Those that are there, in the order of the tables.
    pub peers: Vec<Peer>,
    /// One sentence for each that is not.
    pub missing: Vec<String>,
}

impl Peer {
    /// The C library's own allocator.
    pub fn glibc() -> Peer {
        let version = prepare::glibc_version();
        Peer { name: GLIBC.to_owned(), version, library: None, rust: None, environment: Vec::new() }
    }

    /// A library to preload.
    pub fn preloaded(name: &str, library: PathBuf) -> Peer {
        let version = String::new();
        Peer { name: name.to_owned(), version, library: Some(library), rust: None, environment: Vec::new() }
    }

    /// Whether it is measured against the others, instead of being one of those to measure against.
    pub fn is_ours(name: &str) -> bool {
        name.starts_with("cairn")
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let (name, path) = text.split_once('=').ok_or("must be NAME=PATH, such as mine=/opt/libmine.so")?;
        if name.is_empty() || name.contains(['|', ' ']) {
            return Err("the name before = must not be empty and have no blanks or bars".to_owned());
        }
        let path = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
        Ok(Peer::preloaded(name, path))
    }
}

impl Choice {
    /// Builds what is missing, unless it is told not to, and finds all allocators; if some are named, those only.
    ///
    /// # Errors
    /// If Cairn or the workloads don't build, or an allocator that is asked for isn't there.
    pub fn find(&self) -> anyhow::Result<Found> {
        let found = if self.no_prepare { self.remembered() } else { self.prepared()? };
        self.choose(found)
    }

    /// What is there already; nothing is built.
    pub fn look(&self) -> anyhow::Result<Found> {
        self.choose(self.remembered())
    }

    fn prepared(&self) -> anyhow::Result<Found> {
        let known = prepare::names();
        let mut only: Vec<String> =
            self.peers.iter().filter(|name| known.contains(&name.as_str())).cloned().collect();
        let wants_ours = self.asks_for(HARDENED) && !self.asks_for(CAIRN);
        // No name at all would build everything. Ours takes seconds, and the workloads come with it.
        if wants_ours || (only.is_empty() && !self.peers.is_empty()) {
            only.push(CAIRN.to_owned());
        }
        let prepared = prepare::prepare(&prepare::Options { only }, &prepare::Progress::on_stderr())?;
        let found = Found::from(prepared);
        remember(&found);
        Ok(found)
    }

    fn asks_for(&self, name: &str) -> bool {
        self.peers.iter().any(|asked| asked == name)
    }

    /// Adds those that nobody gets who doesn't ask for them.
    fn add_asked(&self, found: &mut Found) {
        let ours = found.peers.iter().find(|peer| peer.name == CAIRN);
        if let Some(cairn) = ours.filter(|_| self.asks_for(HARDENED)) {
            let environment = vec![("CAIRN_MODE".to_owned(), "hardened".to_owned())];
            // At the Rust door there is no such mode to be had from the environment.
            let hardened = Peer { name: HARDENED.to_owned(), rust: None, environment, ..cairn.clone() };
            found.peers.insert(1, hardened);
        }
        let Some(folder) = peers_of(&found.workload).map(|peers| peers.join(HARDENED_PEERS)) else { return };
        for name in &self.peers {
            let library = folder.join(format!("lib{name}.so"));
            if library.is_file() && found.peers.iter().chain(&self.libs).all(|peer| peer.name != *name) {
                found.peers.push(Peer::preloaded(name, library));
            }
        }
    }

    fn remembered(&self) -> Found {
        let workload = self.workload.clone().unwrap_or_else(beside_this_program);
        let remembered = memory_of(&workload)
            .or_else(|| memory_of(&beside_this_program()))
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|text| serde_json::from_slice::<Found>(&text).ok());
        let mut found = remembered.unwrap_or_else(|| Found {
            workload: workload.clone(),
            peers: vec![Peer::glibc()],
            missing: vec![
                "cairn and the peers: nothing is prepared yet; do that with: cairn bench prepare".to_owned(),
            ],
        });
        // Somebody may have tidied up since.
        let there = |file: &Option<PathBuf>| file.as_ref().is_none_or(|file| file.is_file());
        found.peers.retain(|peer| there(&peer.library) && there(&peer.rust));
        found
    }

    /// Replaces and adds what the options name, and leaves the rest out.
    fn choose(&self, mut found: Found) -> anyhow::Result<Found> {
        if let Some(workload) = &self.workload {
            ensure!(workload.is_file(), "{} (given by --workload) is not a file", workload.display());
            found.workload = workload.canonicalize()?;
        }
        if let Some(path) = &self.cairn {
            ensure!(path.is_file(), "{} (given by --cairn) is not a file", path.display());
            found.peers.retain(|peer| peer.name != CAIRN);
            found.peers.insert(0, Peer::preloaded(CAIRN, path.canonicalize()?));
        }
        self.add_asked(&mut found);
        found.peers.extend(self.libs.iter().cloned());
        let mut names: Vec<&str> = found.peers.iter().map(|peer| peer.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!("two allocators are named {}; give the one in --libs another name", pair[0]);
        }
        if let Some(unknown) = self.peers.iter().find(|name| !names.contains(&name.as_str())) {
            let mut reasons = found.missing.iter();
            let why =
                reasons.find(|line| line.starts_with(unknown.as_str()) || line.starts_with("cairn and"));
            let why = why.map_or(String::new(), |line| format!(" ({line})"));
            let mut there = names.join(", ");
            if names.contains(&CAIRN) && !names.contains(&HARDENED) {
                there += &format!(", {HARDENED}");
            }
            bail!(
                "no allocator named {unknown} here{why}; there are: {there}; peers/hardened.sh builds scudo, hardened_malloc, \
                 mimalloc2-secure and mimalloc3-secure"
            );
        }
        if !self.peers.is_empty() {
            found.peers.retain(|peer| self.peers.contains(&peer.name));
            found.missing.clear();
        }
        Ok(found)
    }
}

impl From<Prepared> for Found {
    fn from(prepared: Prepared) -> Found {
        let mut peers: Vec<Peer> = prepared
            .ready
            .into_iter()
            .map(|ready| Peer {
                name: ready.name,
                version: ready.version,
                library: Some(ready.library),
                rust: ready.rust_workload,
                environment: ready.environment,
            })
            .collect();
        // Ours first, then the one that everybody has.
        let ours = peers.iter().take_while(|peer| Peer::is_ours(&peer.name)).count();
        peers.insert(ours, Peer::glibc());
        let missing =
            prepared.failed.iter().map(|failed| format!("{}: {}", failed.name, failed.reason)).collect();
        Found { workload: prepared.workload, peers, missing }
    }
}

/// Writes down what is there, together with what was there before. Failure only means that `--no-prepare` knows less.
pub fn remember(found: &Found) {
    let Some(file) = memory_of(&found.workload) else { return };
    let before = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Found>(&text).ok());
    let mut all = found.clone();
    for peer in before.into_iter().flat_map(|before| before.peers) {
        if all.peers.iter().all(|other| other.name != peer.name) {
            all.peers.push(peer);
        }
    }
    if let Ok(text) = serde_json::to_vec_pretty(&all) {
        let _ = std::fs::write(file, text);
    }
}

/// The file that remembers, of the target folder in which this workload program lies (`target/release/…`).
fn memory_of(workload: &Path) -> Option<PathBuf> {
    peers_of(workload).map(|peers| peers.join("prepared.json"))
}

/// The folder of the built peers, of the same target folder.
fn peers_of(workload: &Path) -> Option<PathBuf> {
    let peers = workload.parent()?.parent()?.join("peers");
    peers.is_dir().then_some(peers)
}

fn beside_this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("cairn-workload")
}

impl Found {
    /// The program `cairn-workload`, which must be there before anything is run.
    ///
    /// # Errors
    /// If it isn't.
    pub fn workload(&self) -> anyhow::Result<&Path> {
        let file = &self.workload;
        ensure!(
            file.is_file(),
            "no program {}; leave --no-prepare away to have it built, or name it with --workload PATH",
            file.display()
        );
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_libraries_are_read_and_refused() {
        let peer: Peer = "mine=/bin/sh".parse().unwrap();
        assert_eq!(peer.name, "mine");
        assert!(peer.library.unwrap().is_absolute());
        assert!("mine".parse::<Peer>().unwrap_err().contains("NAME=PATH"));
        assert!("=/bin/sh".parse::<Peer>().is_err());
        assert!("mine=/nothing/here.so".parse::<Peer>().unwrap_err().contains("/nothing/here.so"));
    }

    fn found() -> Found {
        Found { workload: "w".into(), peers: vec![Peer::glibc()], missing: vec!["x: no compiler".to_owned()] }
    }

    #[test]
    fn names_are_checked_and_chosen() {
        let choice = |names: &[&str]| Choice {
            peers: names.iter().map(|&name| name.to_owned()).collect(),
            ..Choice::default()
        };
        assert_eq!(choice(&[GLIBC]).choose(found()).unwrap().peers, [Peer::glibc()]);
        let error = choice(&["x"]).choose(found()).unwrap_err().to_string();
        assert!(error.contains("no compiler") && error.contains(GLIBC), "{error}");
        let twin = Choice { libs: vec![Peer::preloaded(GLIBC, "/bin/sh".into())], ..Choice::default() };
        assert!(twin.choose(found()).is_err());
        let nowhere = Choice { cairn: Some("/nothing/here.so".into()), ..Choice::default() };
        assert!(nowhere.choose(found()).unwrap_err().to_string().contains("--cairn"));
    }

    #[test]
    fn what_was_prepared_is_remembered_and_what_is_gone_is_not_offered() {
        let target = tempfile::tempdir().unwrap();
        for folder in ["release", "peers"] {
            std::fs::create_dir(target.path().join(folder)).unwrap();
        }
        let workload = target.path().join("release/cairn-workload");
        let library = target.path().join("libmine.so");
        for file in [&workload, &library] {
            std::fs::write(file, "").unwrap();
        }
        let mine = Peer { version: "7".to_owned(), ..Peer::preloaded("mine", library.clone()) };
        remember(&Found { workload: workload.clone(), peers: vec![mine.clone()], missing: Vec::new() });
        remember(&Found { workload: workload.clone(), peers: vec![Peer::glibc()], missing: Vec::new() });
        let choice = Choice { workload: Some(workload), no_prepare: true, ..Choice::default() };
        assert_eq!(choice.find().unwrap().peers, [Peer::glibc(), mine]);
        std::fs::remove_file(library).unwrap();
        assert_eq!(choice.look().unwrap().peers, [Peer::glibc()]);
    }

    #[test]
    fn hardened_ones_are_there_for_who_asks() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("peers/hardened");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("libscudo.so"), "").unwrap();
        let cairn = Peer { rust: Some("/bin/sh".into()), ..Peer::preloaded(CAIRN, "/bin/sh".into()) };
        let workload = target.path().join("release/cairn-workload");
        let found = || Found { workload: workload.clone(), peers: vec![cairn.clone()], missing: Vec::new() };
        assert_eq!(Choice::default().choose(found()).unwrap().peers, std::slice::from_ref(&cairn));
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let asked = Choice { peers: names(&["scudo", HARDENED]), ..Choice::default() };
        let peers = asked.choose(found()).unwrap().peers;
        assert_eq!(peers.len(), 2);
        assert_eq!(peers[0].environment, [("CAIRN_MODE".to_owned(), "hardened".to_owned())]);
        assert!(peers[0].name == HARDENED && peers[0].rust.is_none() && peers[0].library == cairn.library);
        assert_eq!(peers[1], Peer::preloaded("scudo", folder.join("libscudo.so")));
        let error = Choice { peers: names(&["hardened_malloc"]), ..Choice::default() }.choose(found());
        assert!(error.unwrap_err().to_string().contains("peers/hardened.sh"));
    }

    #[test]
    fn glibc_comes_right_after_ours() {
        let ready = |name: &str| crate::prepare::Ready {
            name: name.to_owned(),
            version: String::new(),
            library: "/x.so".into(),
            rust_workload: None,
            environment: Vec::new(),
        };
        let ready = vec![ready("cairn"), ready("jemalloc")];
        let found = Found::from(Prepared { workload: "w".into(), ready, failed: Vec::new() });
        let names: Vec<&str> = found.peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["cairn", "glibc", "jemalloc"]);
    }

    #[test]
    fn ours_are_told_by_their_name() {
        assert!(Peer::is_ours("cairn") && Peer::is_ours("cairn-lists"));
        assert!(!Peer::is_ours("mimalloc") && !Peer::is_ours(GLIBC));
    }
}
