//! The first line of a script: `#!INTERPRETER [ARGUMENT]`, read as the kernel reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How many bytes of a file the kernel looks at.
pub const HEAD_BYTES: usize = 256;

/// What the first line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Shebang {
    /// The program that runs the script.
    pub interpreter: PathBuf,
    /// What that program would look up in PATH in turn, where it is `env`.
    pub looked_up: Option<OsString>,
}

/// Reads the first line out of the first [`HEAD_BYTES`] bytes of a file; none if it isn't a script.
pub fn parse(head: &[u8]) -> Option<Shebang> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| matches!(byte, b'\n' | 0)).next()?.trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (interpreter, argument) = (&line[..end], line[end..].trim_ascii());
    if interpreter.is_empty() {
        return None;
    }
    let interpreter = PathBuf::from(OsStr::from_bytes(interpreter));
    let is_env = interpreter.file_name() == Some(OsStr::new("env"));
    Some(Shebang { looked_up: is_env.then(|| env_command(argument)).flatten(), interpreter })
}

/// The program among the arguments of `env`; none if they are beyond this simple reading.
fn env_command(argument: &[u8]) -> Option<OsString> {
    let split = argument.strip_prefix(b"-S").or_else(|| argument.strip_prefix(b"--split-string="));
    let split = split.or_else(|| argument.strip_prefix(b"-vS"));
    let Some(words) = split else {
        // Without -S, the kernel hands the whole rest of the line over as one word.
        return (!argument.is_empty() && !argument.starts_with(b"-"))
            .then(|| OsStr::from_bytes(argument).into());
    };
    let word = words
        .split(u8::is_ascii_whitespace)
        .find(|word| !word.is_empty() && (word.starts_with(b"-") || !word.contains(&b'=')))?;
    let plain = !word.iter().any(|byte| b"\\\"'$".contains(byte)) && !word.starts_with(b"-");
    plain.then(|| OsStr::from_bytes(word).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, Option<String>)> {
        parse(line.as_bytes()).map(|found| {
            let name = found.looked_up.map(|name| name.into_string().expect("UTF-8"));
            (found.interpreter.display().to_string(), name)
        })
    }

    #[test]
    fn reads_the_line_as_the_kernel_does() {
        assert_eq!(read("#!/bin/sh\necho"), Some(("/bin/sh".into(), None)));
        assert_eq!(read("#! \t/bin/sh -e -u\n"), Some(("/bin/sh".into(), None)));
        assert_eq!(read("#!/bin/sh"), Some(("/bin/sh".into(), None)));
        assert_eq!(read("#!\n"), None);
        assert_eq!(read("echo\n"), None);
    }

    #[test]
    fn looks_behind_env() {
        let env = |name: Option<&str>| Some(("/usr/bin/env".to_owned(), name.map(str::to_owned)));
        assert_eq!(read("#!/usr/bin/env python3\n"), env(Some("python3")));
        assert_eq!(read("#!/usr/bin/env -S python3 -u\n"), env(Some("python3")));
        assert_eq!(read("#!/usr/bin/env -S A=1 B=2 perl -w\n"), env(Some("perl")));
        assert_eq!(read("#!/usr/bin/env -S -i perl\n"), env(None));
        assert_eq!(read("#!/usr/bin/env -i\n"), env(None));
    }
}
