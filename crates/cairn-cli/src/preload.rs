//! The value of `LD_PRELOAD`: our library first, what the user had behind it.
//!
//! The loader splits the value at spaces and colons and knows no way to escape them; it also expands
//! `$ORIGIN`, `$LIB` and `$PLATFORM`. A path with one of these characters can't be given to it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The variable's name.
pub const VARIABLE: &str = "LD_PRELOAD";

/// Whether the loader would take `path` as one name, letter by letter.
pub fn can_name(path: &Path) -> bool {
    !path.as_os_str().as_bytes().iter().any(|byte| b" :$".contains(byte))
}

/// The new value: `library`, then the entries of `old` except `library` itself.
pub fn value(library: &Path, old: Option<&OsStr>) -> OsString {
    let ours = library.as_os_str().as_bytes();
    let old = old.map_or(&b""[..], OsStr::as_bytes);
    let others = old.split(|byte| b" :".contains(byte)).filter(|entry| !entry.is_empty() && *entry != ours);
    let entries: Vec<&[u8]> = std::iter::once(ours).chain(others).collect();
    OsString::from_vec(entries.join(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(old: &str) -> OsString {
        value(Path::new("/c/libcairn.so"), Some(OsStr::new(old)))
    }

    #[test]
    fn keeps_what_the_user_preloads() {
        assert_eq!(value_of("a.so b.so::c.so"), "/c/libcairn.so:a.so:b.so:c.so");
        assert_eq!(value(Path::new("/c/libcairn.so"), None), "/c/libcairn.so");
    }

    #[test]
    fn names_the_library_once() {
        assert_eq!(value_of("/c/libcairn.so"), "/c/libcairn.so");
        assert_eq!(value_of("a.so:/c/libcairn.so"), "/c/libcairn.so:a.so");
    }

    #[test]
    fn knows_what_the_loader_splits() {
        assert!(can_name(Path::new("/a/b-c.so")));
        for path in ["/a b/c", "/a:b", "/$LIB/c"] {
            assert!(!can_name(Path::new(path)), "{path}");
        }
    }
}
