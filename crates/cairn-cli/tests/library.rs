//! The shared object on disk, and the settings.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{cairn, scratch, stdout};
use tempfile::TempDir;

/// The path that `cairn library` prints, with `cache` as the user's cache directory.
fn library(cache: &Path) -> PathBuf {
    path_of(cairn().env("XDG_CACHE_HOME", cache).arg("library"))
}

fn path_of(command: &mut Command) -> PathBuf {
    let printed = stdout(command);
    let path = PathBuf::from(printed.strip_suffix('\n').expect("a line"));
    assert!(path.is_absolute() && path.is_file(), "{}", path.display());
    assert!(!printed.contains([' ', ':', '$']), "{printed}");
    path
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn it_is_stored_once_and_safely() {
    let cache = scratch();
    let path = library(cache.path());
    let directory = cache.path().join("cairn");
    assert_eq!(path.parent(), Some(&*directory));
    assert_eq!(fs::metadata(&directory).expect("made").mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(&path).expect("made").mode() & 0o7777, 0o644);
    let inode = fs::metadata(&path).expect("made").ino();
    assert_eq!(library(cache.path()), path);
    assert_eq!(fs::metadata(&path).expect("kept").ino(), inode, "the file was written again");
    assert_eq!(names(&directory).len(), 1, "something was left behind");
}

#[test]
fn it_is_repaired() {
    let cache = scratch();
    let path = library(cache.path());
    let content = fs::read(&path).expect("the library");
    let mut changed = content.clone();
    changed[content.len() / 2] ^= 1;
    let elsewhere = cache.path().join("elsewhere");
    let damages: [&dyn Fn(); 5] = [
        &|| fs::write(&path, "").expect("ours"),
        &|| fs::write(&path, &changed).expect("ours"),
        &|| fs::remove_file(&path).expect("ours"),
        &|| fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("ours"),
        &|| {
            fs::rename(&path, &elsewhere).expect("ours");
            symlink(&elsewhere, &path).expect("ours");
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        assert_eq!(library(cache.path()), path, "damage {number}");
        let found = fs::symlink_metadata(&path).expect("there");
        assert!(found.is_file() && found.mode() & 0o777 == 0o644, "damage {number}");
        assert!(fs::read(&path).expect("there") == content, "damage {number}");
    }
}

#[test]
fn many_at_once_agree() {
    let cache = scratch();
    let children: Vec<_> = (0..16)
        .map(|_| {
            let mut command = cairn();
            command.env("XDG_CACHE_HOME", cache.path()).args(["run", "sh", "-c", "cat /proc/$$/maps; :"]);
            command.stdout(std::process::Stdio::piped()).spawn().expect("cairn starts")
        })
        .collect();
    for child in children {
        let result = child.wait_with_output().expect("cairn ends");
        assert!(result.status.success() && common::text(&result.stdout).contains("/cairn/libcairn-"));
    }
    assert_eq!(names(&cache.path().join("cairn")).len(), 1);
}

/// Asserts that `cache` is not used, and that another place is found.
fn avoids(cache: &Path) {
    let home = scratch();
    let path = path_of(cairn().env("XDG_CACHE_HOME", cache).env("HOME", home.path()).arg("library"));
    assert!(!path.starts_with(cache), "{}", path.display());
}

#[test]
fn a_place_that_will_not_do_is_passed_over() {
    let parent = scratch();
    for name in ["with space", "with:colon", "$LIB"] {
        let cache = parent.path().join(name);
        fs::create_dir(&cache).expect("a directory");
        avoids(&cache);
    }
    avoids(Path::new("/dev/null"));
    avoids(Path::new("/proc"));

    let in_cache = |make: &dyn Fn(&Path)| -> TempDir {
        let cache = scratch();
        make(&cache.path().join("cairn"));
        cache
    };
    let elsewhere = scratch();
    avoids(in_cache(&|path| symlink(elsewhere.path(), path).expect("a link")).path());
    assert!(names(elsewhere.path()).is_empty(), "it was written through a link");
    avoids(in_cache(&|path| fs::write(path, "").expect("a file")).path());
    let open = in_cache(&|path| {
        fs::create_dir(path).expect("a directory");
        fs::set_permissions(path, Permissions::from_mode(0o777)).expect("ours");
    });
    avoids(open.path());
    if nix::unistd::geteuid().is_root() {
        let foreign = in_cache(&|path| {
            fs::create_dir(path).expect("a directory");
            std::os::unix::fs::chown(path, Some(65_534), None).expect("root may");
        });
        avoids(foreign.path());
    }
}

#[test]
fn without_a_cache_directory_home_is_used() {
    let home = scratch();
    for variable in [None, Some(""), Some("relative/path")] {
        let mut command = cairn();
        command.env("HOME", home.path()).env_remove("XDG_CACHE_HOME").arg("library");
        if let Some(value) = variable {
            command.env("XDG_CACHE_HOME", value);
        }
        let path = path_of(&mut command);
        assert!(path.starts_with(home.path().join(".cache/cairn")), "{}", path.display());
    }
    let path = path_of(cairn().env_remove("HOME").env_remove("XDG_CACHE_HOME").arg("library"));
    assert!(path.starts_with("/tmp") || path.starts_with("/var/tmp"), "{}", path.display());
}

#[test]
fn another_library_can_be_chosen() {
    let cache = scratch();
    let own = library(cache.path());
    let directory = scratch();
    let other = directory.path().join("libother.so");
    fs::copy(&own, &other).expect("a copy");
    let show = ["sh", "-c", "echo $LD_PRELOAD"];
    let expected = format!("{}\n", other.display());
    assert_eq!(stdout(cairn().args(["run", "--library"]).arg(&other).args(show)), expected);
    assert_eq!(stdout(cairn().env("CAIRN_LIBRARY", &other).arg("run").args(show)), expected);
    // Relative paths must still be right when the program changes its directory.
    let mut relative = cairn();
    relative.current_dir(directory.path()).args(["run", "--library", "libother.so"]).args(show);
    assert_eq!(stdout(&mut relative), expected);
    // The loader could not be given this path, so it gets a copy.
    let spaced = directory.path().join("lib other.so");
    fs::copy(&own, &spaced).expect("a copy");
    let shown = stdout(
        cairn().env("XDG_CACHE_HOME", cache.path()).args(["run", "--library"]).arg(&spaced).args(show),
    );
    assert_eq!(shown, format!("{}\n", own.display()));
}

#[test]
fn the_printed_path_can_be_preloaded() {
    let cache = scratch();
    let path = library(cache.path());
    let result = common::output(common::clean("cat").env("LD_PRELOAD", &path).arg("/proc/self/maps"));
    assert!(common::text(&result.stdout).contains(path.to_str().expect("UTF-8")));
    assert_eq!(common::text(&result.stderr), "");
}

#[test]
fn every_setting_is_listed() {
    let table = stdout(cairn().arg("settings"));
    let document: serde_json::Value =
        serde_json::from_str(&stdout(cairn().args(["settings", "--json"]))).expect("JSON");
    let shown: Vec<&str> = document
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["name"].as_str().expect("a name"))
        .collect();
    let numbers = cairn_alloc::settings::SETTINGS.iter().map(|setting| setting.name);
    let words = cairn_alloc::settings::CHOICES.iter().map(|choice| choice.name);
    let expected: Vec<&str> =
        numbers.chain(words).chain(["CAIRN_LIBRARY", "CAIRN_STATS", "CAIRN_STATS_PARENT"]).collect();
    assert_eq!(shown, expected);
    for name in expected {
        assert!(table.contains(name), "{name} is missing in:\n{table}");
    }
    for setting in cairn_alloc::settings::SETTINGS {
        let entry = document.as_array().expect("a list").iter().find(|entry| entry["name"] == setting.name);
        assert_eq!(entry.expect("listed")["default"], setting.default);
    }
}

#[test]
fn version_and_help_are_there() {
    assert_eq!(stdout(cairn().arg("--version")), format!("cairn {}\n", env!("CARGO_PKG_VERSION")));
    let help = stdout(cairn().arg("--help"));
    assert!(["run", "settings", "library"].iter().all(|verb| help.contains(verb)), "{help}");
    let help = stdout(cairn().args(["run", "--help"]));
    assert!(["--stats", "--json", "125", "Examples"].iter().all(|part| help.contains(part)), "{help}");
}
