//! Which version of each peer was built or found, for the report.

use std::ffi::CStr;
use std::path::Path;
use std::process::Command;

/// Where a peer's own version is told.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// It is the crate's.
    ByCrate,
    /// In the crate's version, after the plus sign: `0.7.1+5.3.1-0-g…`.
    AfterPlus,
    /// A number in a C header, such as 30403 for 3.4.3: the file and the name.
    Define(&'static str, &'static str),
    /// The first line of a file.
    FirstLine(&'static str),
    /// It has none; the crate's has to do.
    Nowhere,
}

impl Told {
    /// The version in words: the peer's own and, where it isn't the same, the crate's.
    pub fn version(self, name: &str, crate_version: &str, sources: &Path) -> String {
        let read = |file| std::fs::read_to_string(sources.join(file)).unwrap_or_default();
        let own = match self {
            Told::ByCrate => return crate_version.to_owned(),
            Told::AfterPlus => {
                crate_version.split_once('+').and_then(|(_, own)| own.split('-').next()).map(str::to_owned)
            }
            Told::Define(file, define) => number(&read(file), define).map(dotted),
            Told::FirstLine(file) => read(file).lines().next().map(|line| line.trim().to_owned()),
            Told::Nowhere => None,
        };
        let of_crate = crate_version.split('+').next().unwrap_or(crate_version);
        match own {
            Some(own) if !own.is_empty() => format!("{own} ({name} {of_crate})"),
            _ => format!("{name} {of_crate}"),
        }
    }
}

/// The number that a C header gives to `define`.
fn number(header: &str, define: &str) -> Option<u32> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some("#define") && words.next() == Some(define);
        is_it.then(|| words.next()?.parse().ok()).flatten()
    })
}

/// 30403 as 3.4.3, and 225, as old headers have it, as 2.2.5.
fn dotted(number: u32) -> String {
    let (major, minor, patch) = match number {
        0..1000 => (number / 100, number / 10 % 10, number % 10),
        _ => (number / 10_000, number / 100 % 100, number % 100),
    };
    format!("{major}.{minor}.{patch}")
}

/// The version of `package` in a Cargo.lock.
pub fn locked(lock: &str, package: &str) -> Option<String> {
    let wanted = format!("name = \"{package}\"");
    let line = lock.lines().skip_while(|line| *line != wanted).nth(1)?;
    Some(line.strip_prefix("version = \"")?.strip_suffix('"')?.to_owned())
}

/// The version of an installed Debian package.
pub fn debian(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version of the C library that this process runs on.
pub fn glibc() -> String {
    // SAFETY: it takes nothing and returns a string of the C library that lives as long as the process.
    unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_where_they_stand() {
        let lock = "[[package]]\nname = \"rpmalloc\"\nversion = \"0.2.2\"\n\n[[package]]\nname = \"rpmalloc-sys\"\nversion = \"0.2.3+b0\"\n";
        assert_eq!(locked(lock, "rpmalloc").unwrap(), "0.2.2");
        assert_eq!(locked(lock, "rpmalloc-sys").unwrap(), "0.2.3+b0");
        assert_eq!(locked(lock, "other"), None);
        assert_eq!(
            number("// x\n#define MI_MALLOC_VERSION 30403   // major\n", "MI_MALLOC_VERSION"),
            Some(30403)
        );
        assert_eq!(number("#define MI_MALLOC_VERSION_X 1\n", "MI_MALLOC_VERSION"), None);
        assert_eq!((dotted(30403).as_str(), dotted(225).as_str()), ("3.4.3", "2.2.5"));
    }

    #[test]
    fn a_version_tells_the_peers_own_and_the_crates() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("CHANGELOG"), "1.4.3\n\nFixed\n").unwrap();
        let version = |told: Told, of_crate| told.version("x-sys", of_crate, scratch.path());
        assert_eq!(version(Told::ByCrate, "0.7.6"), "0.7.6");
        assert_eq!(version(Told::AfterPlus, "0.7.1+5.3.1-0-g81"), "5.3.1 (x-sys 0.7.1)");
        assert_eq!(version(Told::FirstLine("CHANGELOG"), "0.2.3+b0"), "1.4.3 (x-sys 0.2.3)");
        assert_eq!(version(Told::FirstLine("nothing"), "0.2.3"), "x-sys 0.2.3");
        assert_eq!(version(Told::Nowhere, "0.1.14"), "x-sys 0.1.14");
    }

    #[test]
    fn the_c_library_has_a_version() {
        assert!(glibc().starts_with("2."), "{}", glibc());
    }
}
