//! Which file is the program, and can the library be preloaded into it?
//!
//! The file is found as `execvp` finds it. Then it is judged: the loader ignores a preload that can't work, or says
//! something unclear, and the program would run without Cairn unnoticed. What can't be judged (a file that may be
//! run but not read) is given the benefit of the doubt.

use std::env;
use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, faccessat, getgid, getuid};
use object::elf as constants;
use object::read::ReadCache;

use crate::elf::{self, Elf, Machine};
use crate::failure::{CANNOT_RUN, Failure, NOT_FOUND};
use crate::script::{self, Shebang};

/// How many interpreters of interpreters the kernel follows.
const DEPTH_MAX: usize = 5;
/// Where the C library looks when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Finds `name` and makes sure that Cairn can be preloaded into it; returns the path to execute.
pub fn find(name: &OsStr) -> Result<PathBuf, Failure> {
    let path = locate(name)?;
    judge(&path, 0)?;
    Ok(path)
}

/// Finds a program as `execvp` does: a name with a slash is a path, any other is looked up in PATH.
fn locate(name: &OsStr) -> Result<PathBuf, Failure> {
    let shown = name.to_string_lossy();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match obstacle(&path) {
            None => Ok(path),
            Some(Obstacle::Missing) => Err(Failure::new(NOT_FOUND, format!("{shown} doesn't exist"))),
            Some(Obstacle::Other(why)) => Err(Failure::new(CANNOT_RUN, format!("{shown} {why}"))),
        };
    }
    if name.is_empty() {
        return Err(Failure::new(NOT_FOUND, "the name of the program is empty"));
    }
    let mut refused = None;
    for directory in env::split_paths(&env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())) {
        // An empty entry is the current directory; the slash keeps the result a path.
        let path =
            if directory.as_os_str().is_empty() { Path::new(".").join(name) } else { directory.join(name) };
        match obstacle(&path) {
            None => return Ok(path),
            Some(Obstacle::Missing) => {}
            Some(Obstacle::Other(why)) => refused = refused.or(Some(format!("{} {why}", path.display()))),
        }
    }
    Err(match refused {
        Some(sentence) => Failure::new(CANNOT_RUN, sentence),
        None => Failure::new(NOT_FOUND, format!("there is no program named {shown} in PATH")),
    })
}

/// Why a path can't be executed.
enum Obstacle {
    Missing,
    Other(String),
}

fn obstacle(path: &Path) -> Option<Obstacle> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            return Some(match errno {
                Errno::ENOENT | Errno::ENOTDIR => Obstacle::Missing,
                _ => Obstacle::Other(format!("can't be reached: {}", errno.desc())),
            });
        }
    };
    if found.is_dir() {
        return Some(Obstacle::Other("is a directory, not a program".into()));
    }
    if !found.is_file() {
        return Some(Obstacle::Other("is not a regular file".into()));
    }
    let allowed = faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS).is_ok();
    (!allowed).then(|| Obstacle::Other("may not be executed (chmod +x makes a file a program)".into()))
}

/// Judges the file at `path`, which is the program itself or an interpreter of it.
fn judge(path: &Path, depth: usize) -> Result<(), Failure> {
    let shown = path.display();
    let cannot = |why: String| Err(Failure::new(CANNOT_RUN, format!("{shown} {why}")));
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let mut head = Vec::new();
    if file.by_ref().take(script::HEAD_BYTES as u64).read_to_end(&mut head).is_err() {
        return Ok(());
    }
    if let Some(shebang) = script::parse(&head) {
        return if depth == DEPTH_MAX {
            cannot("has too many interpreters, each run by the next".into())
        } else {
            judge_interpreter(path, &shebang, depth)
        };
    }
    if !head.starts_with(&constants::ELFMAG) {
        // The kernel may know the format, and /bin/sh runs what nobody knows.
        return Ok(());
    }
    match elf::read(&ReadCache::new(&mut file)) {
        Err(why) => cannot(format!("is damaged and can't be run: {why}")),
        Ok(found) => {
            judge_elf(path, &found)?;
            match file.metadata().ok().and_then(|metadata| privilege(path, &metadata)) {
                Some(why) => cannot(format!(
                    "is {why}, and for such a program the loader ignores LD_PRELOAD, so it can't run on Cairn"
                )),
                None => Ok(()),
            }
        }
    }
}

/// Judges the program that runs the script at `path`.
fn judge_interpreter(path: &Path, shebang: &Shebang, depth: usize) -> Result<(), Failure> {
    let interpreter = &shebang.interpreter;
    let script = |failure: Failure| {
        Failure::new(
            failure.status,
            format!("{} can't be run: its interpreter {}", path.display(), failure.sentence),
        )
    };
    match obstacle(interpreter) {
        None => judge(interpreter, depth + 1).map_err(script)?,
        Some(Obstacle::Missing) => {
            return Err(script(Failure::new(NOT_FOUND, format!("{} doesn't exist", interpreter.display()))));
        }
        Some(Obstacle::Other(why)) => {
            return Err(script(Failure::new(CANNOT_RUN, format!("{} {why}", interpreter.display()))));
        }
    }
    let Some(name) = &shebang.looked_up else { return Ok(()) };
    let behind_env = |failure: Failure| {
        Failure::new(
            failure.status,
            format!("{} can't be run through env: {}", path.display(), failure.sentence),
        )
    };
    let found = locate(name).map_err(behind_env)?;
    judge(&found, depth + 1).map_err(behind_env)
}

/// Judges the headers of a binary.
fn judge_elf(path: &Path, found: &Elf) -> Result<(), Failure> {
    let shown = path.display();
    let fail = |status, why: String| Err(Failure::new(status, format!("{shown} {why}")));
    if found.machine != Machine::OURS {
        return fail(
            CANNOT_RUN,
            format!("is built for {}, and this Cairn can only run {} programs", found.machine, Machine::OURS),
        );
    }
    if found.kind != constants::ET_EXEC && found.kind != constants::ET_DYN {
        return fail(CANNOT_RUN, "is an object file or a core dump, not a program".into());
    }
    let Some(loader) = &found.loader else {
        // The loader itself, given a program as its argument, does preload.
        let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if starts_with(&file, "ld-linux") || starts_with(&file, "ld-2.") {
            return Ok(());
        }
        let kind = if found.dynamic { "static-pie" } else { "static" };
        return fail(
            CANNOT_RUN,
            format!("is a {kind} program: it loads no libraries, so Cairn can't be preloaded into it"),
        );
    };
    for (prefix, library) in [("ld-musl", "musl"), ("ld-uClibc", "uClibc"), ("linker", "Android's bionic")] {
        if starts_with(loader, prefix) {
            return fail(
                CANNOT_RUN,
                format!("is built for the C library {library}, and libcairn.so needs glibc"),
            );
        }
    }
    if !loader.exists() {
        return fail(NOT_FOUND, format!("needs the loader {}, which doesn't exist here", loader.display()));
    }
    Ok(())
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(prefix.as_bytes()))
}

/// What makes the kernel start the program with more rights than we have; none if nothing does.
fn privilege(path: &Path, metadata: &Metadata) -> Option<&'static str> {
    let ignored = statvfs(path).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOSUID))
        || nix::sys::prctl::get_no_new_privs().unwrap_or(false);
    if ignored {
        return None;
    }
    let mode = metadata.mode();
    if mode & libc::S_ISUID != 0 && metadata.uid() != getuid().as_raw() {
        return Some("setuid");
    }
    // Without the execute bit, setgid means mandatory locking.
    if mode & (libc::S_ISGID | libc::S_IXGRP) == (libc::S_ISGID | libc::S_IXGRP)
        && metadata.gid() != getgid().as_raw()
    {
        return Some("setgid");
    }
    (!getuid().is_root() && has_capabilities(path)).then_some("endowed with capabilities")
}

/// Whether the file grants capabilities to whoever runs it.
fn has_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both names end in NUL, and with a size of 0 nothing is written through the null pointer.
    unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) > 0 }
}
