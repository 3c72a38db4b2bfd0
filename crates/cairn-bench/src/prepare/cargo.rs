//! Runs cargo, as it would run from a fresh shell, and writes down what it says.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::messages::{Message, reason};

/// One call of `cargo build --release`.
#[derive(Debug)]
pub struct Build<'a> {
    /// The folder of the workspace.
    pub workspace: &'a Path,
    /// The package to build, alone.
    pub package: &'a str,
    /// Where cargo puts what it builds.
    pub target: &'a Path,
    /// Variables for compilers and build scripts.
    pub variables: Vec<(String, String)>,
    /// The file that takes what is said.
    pub log: &'a Path,
}

impl Build<'_> {
    /// Builds, and tells of each package that is done. Cargo itself knows what is still fresh.
    ///
    /// # Errors
    /// The line of the log that names the cause.
    pub fn run(&self, done: &dyn Fn(&str)) -> anyhow::Result<Vec<Message>> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let log = File::create(self.log).with_context(|| self.log.display().to_string())?;
        let mut child = command()
            .args(["build", "--release", "--message-format=json-render-diagnostics", "-p", self.package])
            .arg("--target-dir")
            .arg(self.target)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("can't start cargo; Rust is installed as https://rustup.rs tells")?;
        let lines = BufReader::new(child.stdout.take().context("cargo has no output")?).lines();
        let mut messages = Vec::new();
        for message in lines.map_while(Result::ok).filter_map(|line| Message::read(&line)) {
            if let Message::Compiled { package, .. } = &message {
                done(package);
            }
            messages.push(message);
        }
        if !child.wait()?.success() {
            bail!(reason(&String::from_utf8_lossy(&fs::read(self.log)?)));
        }
        Ok(messages)
    }
}

/// The target folder of the workspace at `checkout`, wherever cargo is told to have it.
///
/// # Errors
/// What cargo says against it.
pub fn target_of(checkout: &Path) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = command()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .envs(std::env::var_os("CARGO_TARGET_DIR").map(|target| ("CARGO_TARGET_DIR", target)))
        .current_dir(checkout)
        .output()
        .context("can't start cargo; Rust is installed as https://rustup.rs tells")?;
    if !output.status.success() {
        bail!(
            "cargo metadata in {}: {}",
            checkout.display(),
            reason(&String::from_utf8_lossy(&output.stderr))
        );
    }
    Ok(serde_json::from_slice::<Metadata>(&output.stdout)?.target_directory)
}

/// Cargo without what an outer `cargo run` or `cargo test` left in the environment: build scripts would see the outer package's
/// name and folder, and every variable that changes between two ways of calling would make cargo build again.
fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether a variable is one that cargo sets for the programs it starts, or one that is set for measured programs.
fn leaks(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_FEATURE_"];
    const NAMES: [&str; 12] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_MANIFEST_LINKS",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "CARGO_TARGET_TMPDIR",
        "CARGO_MAKEFLAGS",
        "OUT_DIR",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_cargos_variables_are_told_from_the_users() {
        for name in
            ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_BIN_EXE_cairn", "OUT_DIR", "LD_LIBRARY_PATH"]
        {
            assert!(leaks(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "RUSTFLAGS",
            "PATH",
            "CARGO_BUILD_JOBS",
            "CARGO_REGISTRIES_X_INDEX",
        ] {
            assert!(!leaks(name), "{name}");
        }
        // The test itself runs under cargo.
        let removed: Vec<_> = command()
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        assert!(removed.contains(&OsString::from("CARGO_MANIFEST_DIR")), "{removed:?}");
    }

    #[test]
    fn a_workspace_without_the_package_fails_with_cargos_reason() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("src")).unwrap();
        fs::write(scratch.path().join("src/lib.rs"), "").unwrap();
        fs::write(scratch.path().join("Cargo.toml"), "[package]\nname = \"one\"\n[workspace]\n").unwrap();
        fs::write(
            scratch.path().join("Cargo.lock"),
            "version = 4\n[[package]]\nname = \"one\"\nversion = \"0.0.0\"\n",
        )
        .unwrap();
        let log = scratch.path().join("logs/other");
        let target = scratch.path().join("target");
        let build = Build {
            workspace: scratch.path(),
            package: "other",
            target: &target,
            variables: Vec::new(),
            log: &log,
        };
        let error = build.run(&|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("error: ") && error.contains("other"), "{error}");
        assert!(log.is_file());
    }
}
