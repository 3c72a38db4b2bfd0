//! `libcairn.so` on disk: the loader can only preload a file, and the library is carried inside this program.
//!
//! It is written once into a directory of the user's own, under a name made from its content, so versions don't
//! disturb each other and a program that still runs keeps the file it has. Where a file exists already, every
//! byte is compared. The directory must be ours alone to write: whoever can change the file runs code in
//! every program that the user starts with `cairn run`.

use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use crate::failure::{Failure, OURS, USAGE};
use crate::preload;

/// The library, built by build.rs.
static CONTENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libcairn.so"));

/// Names a library to use instead of ours.
pub const VARIABLE: &str = "CAIRN_LIBRARY";

/// The absolute path of the library to preload: `chosen`, else `CAIRN_LIBRARY`, else our own.
pub fn locate(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    let from_environment = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let (path, source) = match (chosen, from_environment) {
        (Some(path), _) => (path.to_owned(), "--library"),
        (None, Some(path)) => (path, VARIABLE),
        (None, None) => return keep(CONTENT),
    };
    let wrong = |why: String| Failure::new(USAGE, format!("{source} names {}: {why}", path.display()));
    let content = fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    if !crate::elf::is_library_for_us(&content) {
        return Err(wrong("it is not a shared library for this machine".into()));
    }
    // Programs may change their directory before they start others.
    let absolute = std::path::absolute(&path).map_err(|error| wrong(error.to_string()))?;
    if preload::can_name(&absolute) { Ok(absolute) } else { keep(&content) }
}

/// Makes sure that a file with this content lies in the first directory that will do.
fn keep(content: &[u8]) -> Result<PathBuf, Failure> {
    let mut refusals = Vec::new();
    for (base, name) in candidates() {
        let directory = base.join(name);
        match prepare(&base, &directory).and_then(|()| place(&directory, content)) {
            Ok(path) => return Ok(path),
            Err(why) => refusals.push(format!("{} ({why})", directory.display())),
        }
    }
    Err(Failure::new(
        OURS,
        format!(
            "libcairn.so can't be stored in any of: {}; set XDG_CACHE_HOME to a directory of yours, or {VARIABLE} to a libcairn.so",
            refusals.join(", ")
        ),
    ))
}

/// Where the library may be stored, best first: a base directory, and the name of ours in it.
fn candidates() -> Vec<(PathBuf, String)> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".cache")));
    let ours = format!("cairn-{}", geteuid());
    let mut all: Vec<_> = cache.into_iter().map(|base| (base, "cairn".to_owned())).collect();
    all.extend(["/tmp", "/var/tmp"].map(|base| (PathBuf::from(base), ours.clone())));
    all
}

/// Makes `directory` and checks that only we can write to it; the error is the reason why it won't do.
fn prepare(base: &Path, directory: &Path) -> Result<(), String> {
    if !preload::can_name(directory) {
        return Err("the loader can't take a path with a space, a colon or a dollar sign".into());
    }
    let text = |error: io::Error| error.to_string();
    let uid = geteuid().as_raw();
    if !base.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(text)?;
    }
    // Another user's base (sudo may keep HOME) is not ours to fill, and its owner could exchange our directory.
    if !matches!(fs::metadata(base).map_err(text)?.uid(), owner if owner == uid || owner == 0) {
        return Err("its parent belongs to another user".into());
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(text(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(directory).map_err(text)?;
    if !found.is_dir() {
        return Err("it is not a directory".into());
    }
    if found.uid() != uid {
        return Err("it belongs to another user".into());
    }
    if found.mode() & 0o022 != 0 {
        return Err("others may write to it".into());
    }
    if statvfs(directory).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        return Err("its file system allows no programs".into());
    }
    Ok(())
}

/// Finds or writes the file with this content; the error is the reason why it can't be done.
fn place(directory: &Path, content: &[u8]) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    let path = directory.join(format!("libcairn-{:016x}.so", hasher.finish()));
    if !holds(&path, content) {
        write_whole(directory, &path, content).map_err(|error| error.to_string())?;
    }
    Ok(path)
}

/// Whether `path` is a plain file of ours with exactly this content, which others may read.
fn holds(path: &Path, content: &[u8]) -> bool {
    let plain = |found: &fs::Metadata| {
        found.is_file() && found.uid() == geteuid().as_raw() && found.mode() & 0o777 == MODE
    };
    fs::symlink_metadata(path).is_ok_and(|found| plain(&found) && found.len() == content.len() as u64)
        && fs::read(path).is_ok_and(|read| read == content)
}

/// Permission bits of the stored library.
const MODE: u32 = 0o644;

/// Writes under a temporary name and renames, so that nobody ever sees a part of the library.
fn write_whole(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".libcairn-").tempfile_in(directory)?;
    file.write_all(content)?;
    let handle: &File = file.as_file();
    handle.set_permissions(Permissions::from_mode(MODE))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
