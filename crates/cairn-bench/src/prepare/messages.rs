//! What cargo and the compilers say, read for what matters: where things were built, and why they were not.

use std::path::PathBuf;

use serde::Deserialize;

/// One line of `cargo build --message-format=json`, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A package is compiled, or was still fresh.
    Compiled {
        /// The package's name.
        package: String,
        /// The folder of its sources.
        sources: PathBuf,
        /// The program, if one came out.
        program: Option<PathBuf>,
        /// All files that came out.
        files: Vec<PathBuf>,
    },
    /// A package's build script ran, or its results were still fresh.
    Scripted {
        /// The package's name.
        package: String,
        /// The folder of the script's results.
        results: PathBuf,
    },
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    executable: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
}

impl Message {
    /// Reads a line; `None` if it is about something else.
    pub fn read(line: &str) -> Option<Message> {
        let line: Line = serde_json::from_str(line).ok()?;
        let package = package_name(&line.package_id?)?.to_owned();
        match line.reason.as_str() {
            "compiler-artifact" => Some(Message::Compiled {
                package,
                sources: line.manifest_path?.parent()?.to_path_buf(),
                program: line.executable,
                files: line.filenames,
            }),
            "build-script-executed" => Some(Message::Scripted { package, results: line.out_dir? }),
            _ => None,
        }
    }
}

/// The name in a package id, `registry+https://…#name@1.2.3` or, where the folder has the package's name,
/// `path+file:///…/name#1.2.3`.
fn package_name(id: &str) -> Option<&str> {
    let (place, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => place.rsplit('/').next(),
    }
}

/// Words that begin a line which names a cause, and words inside of one.
const CAUSES: [&str; 5] = ["error[", "configure: error:", "CMake Error:", "make: ***", "sh: "];
const CAUSES_INSIDE: [&str; 4] = [": error:", ": fatal error:", ": not found", "undefined reference"];

/// Words that begin a line which only tells that something failed further up.
const SUMMARIES: [&str; 4] = [
    "error: could not compile",
    "error: failed to run custom build command",
    "error: aborting",
    "error: build failed",
];

/// The line of a log that says best why it ended badly: the first that names a cause; else the first error at all; else the
/// last that isn't empty.
pub fn reason(log: &str) -> String {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_cause = |line: &&str| {
        CAUSES.iter().any(|word| line.starts_with(word))
            || CAUSES_INSIDE.iter().any(|word| line.contains(word))
    };
    let is_error = |line: &&str| {
        let summary = SUMMARIES.iter().any(|word| line.starts_with(word));
        line.starts_with("error") && !summary
    };
    // CMake names the place in one line and the cause in the next that isn't empty.
    if let Some(cause) = lines().skip_while(|line| !line.starts_with("CMake Error at")).nth(1) {
        return cause.to_owned();
    }
    let found = lines().find(is_cause).or_else(|| lines().find(is_error)).or_else(|| lines().next_back());
    let Some(cause) = found else { return "it said nothing".to_owned() };
    // How many more errors there are tells whether it is a trifle.
    match lines().find_map(|line| line.strip_prefix("error: ").filter(|rest| rest.contains("previous error")))
    {
        Some(summary) => format!("{cause}; {summary}"),
        None => cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_lines_are_read() {
        let compiled = r#"{"reason":"compiler-artifact","package_id":"path+file:///x/peers/rpmalloc#peer-rpmalloc@0.0.0",
            "manifest_path":"/x/peers/rpmalloc/Cargo.toml","target":{"kind":["bin"]},"filenames":["/t/workload-rpmalloc"],
            "executable":"/t/workload-rpmalloc","fresh":true}"#;
        assert_eq!(
            Message::read(compiled),
            Some(Message::Compiled {
                package: "peer-rpmalloc".to_owned(),
                sources: "/x/peers/rpmalloc".into(),
                program: Some("/t/workload-rpmalloc".into()),
                files: vec!["/t/workload-rpmalloc".into()],
            })
        );
        let scripted = r#"{"reason":"build-script-executed","package_id":
            "registry+https://github.com/rust-lang/crates.io-index#tikv-jemalloc-sys@0.7.1+5.3.1-0-g8","linked_libs":[],
            "out_dir":"/t/build/tikv-jemalloc-sys-1/out"}"#;
        assert_eq!(
            Message::read(scripted),
            Some(Message::Scripted {
                package: "tikv-jemalloc-sys".to_owned(),
                results: "/t/build/tikv-jemalloc-sys-1/out".into()
            })
        );
        assert_eq!(Message::read(r#"{"reason":"build-finished","success":false}"#), None);
        assert_eq!(Message::read("warning: not JSON"), None);
    }

    #[test]
    fn names_are_taken_from_both_kinds_of_ids() {
        assert_eq!(package_name("path+file:///x/crates/cairn-alloc#0.1.0"), Some("cairn-alloc"));
        assert_eq!(package_name("registry+https://h/i#rpmalloc-sys@0.2.3+b0"), Some("rpmalloc-sys"));
        assert_eq!(package_name("nothing"), None);
    }

    #[test]
    fn the_cause_is_preferred_to_the_summary() {
        let rust = "   Compiling ferroc v1\nerror[E0599]: no method named `sub_ptr` found\n  --> src/slab.rs\n\n\
                    error: could not compile `ferroc` (lib) due to 20 previous errors\n";
        assert_eq!(
            reason(rust),
            "error[E0599]: no method named `sub_ptr` found; could not compile `ferroc` (lib) due to 20 previous errors"
        );
        let script = "error: failed to run custom build command for `x-sys`\n  --- stderr\n  a.c:1:10: fatal error: nothing.h: No such file\n";
        assert_eq!(reason(script), "a.c:1:10: fatal error: nothing.h: No such file");
        let cmake = "-- The C compiler\nCMake Error at CMakeLists.txt:771 (include):\n  include could not find requested file:\n\n    x.cmake\n";
        assert_eq!(reason(cmake), "include could not find requested file:");
        assert_eq!(reason("one\ntwo\n\n"), "two");
        assert_eq!(
            reason("error: no such package\nerror: could not compile `a`\n"),
            "error: no such package"
        );
        assert_eq!(reason(" \n"), "it said nothing");
    }
}
