//! Servers: the server runs on the measured allocator, its clients on glibc.
//!
//! A shell script starts the server, loads it from a client, stops it, and waits for it: `inputs/redis.sh`, `inputs/postgres.sh`.
//! `wait4` counts children that were waited for, so the CPU time is the server's and the clients' together (the clients'
//! is the same for every allocator and can't be told apart), and the peak memory is that of the largest process: the server
//! or one of its backends, which are made larger than any client.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::Ready;
use super::place::{Place, find, is_executable, load, word};
use crate::compare::catalogue::{Load, Threads};

pub fn redis(place: &Place) -> Ready {
    for name in ["redis-server", "redis-benchmark", "redis-cli"] {
        if find(&[name]).is_none() {
            return Ok(Err(format!("{name} is not installed")));
        }
    }
    let dir = place.directory("redis")?;
    let script = place.input("redis.sh", include_str!("inputs/redis.sh"))?;
    let requests = place.count(60_000, 2_000).to_string();
    let words = ["sh", &script, &word(&dir), &requests];
    let about = "redis-server under redis-benchmark and a script; \"glibc\" replaces its jemalloc";
    Ok(Ok(Load { threads: Threads::Many, ..load(about, &words) }))
}

pub fn postgres(place: &Place) -> Ready {
    let Some(bin) = postgres_programs() else {
        return Ok(Err(
            "initdb, postgres, pgbench, and psql are not in PATH or /usr/lib/postgresql".to_owned()
        ));
    };
    let dir = place.directory("postgres")?;
    place.directory("postgres/socket")?;
    let owner = match Owner::needed() {
        Ok(owner) => owner,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Some(owner) = &owner {
        place.let_others_through()?;
        for dir in [&dir, &dir.join("socket")] {
            chown(dir, Some(owner.user), Some(owner.group))
                .with_context(|| format!("can't give {} to the user postgres", dir.display()))?;
        }
    }
    let prefix = owner.map(|owner| owner.prefix()).unwrap_or_default();
    if let Err(reason) = make_database(&bin, &dir, &prefix) {
        return Ok(Err(reason));
    }
    place.input("postgres/reports.sql", include_str!("inputs/reports.sql"))?;
    let script = place.input("postgres.sh", include_str!("inputs/postgres.sh"))?;
    let (transactions, rows) = (place.count(600, 10).to_string(), place.count(60_000, 2_000).to_string());
    let mut words = vec!["sh", &script];
    let (bin, dir) = (word(&bin), word(&dir));
    words.extend([bin.as_str(), &dir, &transactions, &rows]);
    words.extend(prefix.iter().map(String::as_str));
    let about = "the server under pgbench and some reports";
    Ok(Ok(Load { threads: Threads::Many, ..load(about, &words) }))
}

/// The directory of PostgreSQL's programs: Debian keeps them by version, outside of PATH.
fn postgres_programs() -> Option<PathBuf> {
    let complete = |bin: &PathBuf| {
        ["initdb", "postgres", "pgbench", "psql", "pg_isready"]
            .iter()
            .all(|name| is_executable(&bin.join(name)))
    };
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|list| list.flatten().map(|entry| entry.path().join("bin")).filter(complete).collect())
        .unwrap_or_default();
    versions.sort_unstable();
    versions.pop().or_else(|| find(&["initdb"])?.parent().map(Path::to_owned).filter(complete))
}

/// The database that each first run copies.
fn make_database(bin: &Path, dir: &Path, prefix: &[String]) -> Result<(), String> {
    let template = word(&dir.join("template"));
    let initdb = word(&bin.join("initdb"));
    let words =
        [&initdb, "-D", &template, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"];
    let mut words = prefix.iter().map(String::as_str).chain(words);
    let program = words.next().expect("there is at least initdb");
    let output = Command::new(program).args(words).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("initdb failed: {}", complaint.lines().last().unwrap_or("it gave no reason")))
}

/// Whom the database belongs to when root runs the suite: postgres refuses root.
struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// Another user if we are root, else nobody else.
    fn needed() -> Result<Option<Owner>, String> {
        // SAFETY: geteuid has no precondition and always succeeds.
        if unsafe { libc::geteuid() } != 0 {
            return Ok(None);
        }
        if find(&["setpriv"]).is_none() {
            return Err("postgres refuses root, and setpriv is not installed (package util-linux)".to_owned());
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = ["postgres", "nobody"].iter().find_map(|name| Owner::named(&users, name));
        owner
            .map(Some)
            .ok_or_else(|| "postgres refuses root, and there is no user postgres or nobody".to_owned())
    }

    fn named(users: &str, name: &str) -> Option<Owner> {
        let fields =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| line[0] == name)?;
        Some(Owner { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
    }

    /// The words before a program that is to run as this user.
    fn prefix(&self) -> Vec<String> {
        [
            "setpriv".to_owned(),
            format!("--reuid={}", self.user),
            format!("--regid={}", self.group),
            "--clear-groups".to_owned(),
            "--".to_owned(),
        ]
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_found_by_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nold\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        let owner = Owner::named(users, "nobody").unwrap();
        assert_eq!((owner.user, owner.group), (65534, 65533));
        assert!(Owner::named(users, "postgres").is_none());
        assert!(owner.prefix().contains(&"--reuid=65534".to_owned()));
    }
}
