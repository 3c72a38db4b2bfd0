//! The programs that building takes, and the Debian packages that hold them.

use std::path::PathBuf;
use std::process::Command;

/// A program, and the Debian package to install if it is missing.
pub type Tool = (&'static str, &'static str);

/// The C compiler of the system.
pub const CC: Tool = ("cc", "gcc");
/// The C++ compiler of the system; clang uses its library too.
pub const CXX: Tool = ("c++", "g++");
/// What snmalloc is built with.
pub const CMAKE: Tool = ("cmake", "cmake");
/// What jemalloc is built with, and CMake's way to run compilers.
pub const MAKE: Tool = ("make", "make");

/// The clang to install if there is none: Debian 12 has it beside its older default, and for Debian 13 it is the default.
const CLANG_PACKAGE: &str = "clang-19";
/// Endings of clang's names, the newest first; the plain name stands for whatever the distribution prefers.
const CLANG_ENDINGS: [&str; 7] = ["-22", "-21", "-20", "-19", "-18", "-17", ""];

/// A pair of compilers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compilers {
    /// For C.
    pub cc: String,
    /// For C++.
    pub cxx: String,
}

/// Which compilers a peer's authors advise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Any: the system's.
    System,
    /// Clang, a recent one.
    Clang,
}

impl Advice {
    /// The compilers to use, or what is missing.
    pub fn compilers(self) -> Result<Compilers, String> {
        match self {
            Advice::System => Ok(Compilers { cc: CC.0.to_owned(), cxx: CXX.0.to_owned() }),
            Advice::Clang => CLANG_ENDINGS
                .iter()
                .map(|ending| Compilers { cc: format!("clang{ending}"), cxx: format!("clang++{ending}") })
                .find(|pair| find(&pair.cc).is_some() && find(&pair.cxx).is_some())
                .ok_or_else(|| lacking("clang++", CLANG_PACKAGE)),
        }
    }
}

/// A sentence about the first of `tools` that isn't installed.
pub fn missing(tools: &[Tool]) -> Option<String> {
    tools
        .iter()
        .find(|(program, _)| find(program).is_none())
        .map(|(program, package)| lacking(program, package))
}

fn lacking(program: &str, package: &str) -> String {
    format!("there is no program {program}; on Debian: apt-get install {package}")
}

/// The path of a program, as a shell would find it.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The first line that a compiler says about itself.
pub fn version_of(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert_eq!(missing(&[("sh", "dash")]), None);
        let sentence = missing(&[("sh", "dash"), ("no-such-compiler", "imaginary")]).unwrap();
        assert!(sentence.contains("no-such-compiler") && sentence.ends_with("apt-get install imaginary"));
    }

    #[test]
    fn any_compiler_is_the_systems() {
        assert_eq!(Advice::System.compilers().unwrap(), Compilers { cc: "cc".into(), cxx: "c++".into() });
    }
}
