//! Real programs as loads: Python, the C++ compiler, SQLite. One that isn't installed is skipped by name.
//!
//! Each prints a result that doesn't depend on the allocator, which is compared over all runs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::catalogue::{Kind, Load, Threads};

/// The loads whose programs are there, and a sentence for each other.
pub fn prepare(scratch: &Path) -> anyhow::Result<(Vec<Load>, Vec<String>)> {
    let mut loads = Vec::new();
    let mut skipped = Vec::new();
    for (program, package, load) in [
        ("python3", "python3", python as fn(&Path) -> anyhow::Result<Option<Load>>),
        ("g++", "g++", compiler),
        ("sqlite3", "sqlite3", sqlite),
    ] {
        match load(scratch)? {
            Some(load) => loads.push(load),
            None => skipped.push(format!("{program}: not found or not working; apt-get install {package}")),
        }
    }
    Ok((loads, skipped))
}

fn python(scratch: &Path) -> anyhow::Result<Option<Load>> {
    // The interpreter itself, and not a script that only finds it: that would be measured too.
    let Some(interpreter) = output_of("python3", &["-c", "import sys; print(sys.executable)"]) else {
        return Ok(None);
    };
    let script = input(scratch, "work.py", include_str!("inputs/work.py"))?;
    Ok(Some(Load {
        settings: vec!["PYTHONMALLOC=malloc".to_owned(), "PYTHONHASHSEED=0".to_owned()],
        ..program("python3", "JSON, dicts, strings; PYTHONMALLOC=malloc", &[&interpreter, "-I", &script])
    }))
}

fn compiler(scratch: &Path) -> anyhow::Result<Option<Load>> {
    if output_of("g++", &["-dumpversion"]).is_none() {
        return Ok(None);
    }
    let source = input(scratch, "heavy.cpp", &heavy_source(3))?;
    let words = ["g++", "-std=c++17", "-O1", "-S", &source, "-o", "/dev/null"];
    Ok(Some(program("g++", "g++ -O1 on a file full of templates (the peak is cc1plus)", &words)))
}

fn sqlite(scratch: &Path) -> anyhow::Result<Option<Load>> {
    if output_of("sqlite3", &["-version"]).is_none() {
        return Ok(None);
    }
    let script = input(scratch, "work.sql", include_str!("inputs/work.sql"))?;
    let read = format!(".read {script}");
    Ok(Some(program(
        "sqlite3",
        "in memory: inserts, indexes, joins",
        &["sqlite3", "-batch", ":memory:", &read],
    )))
}

fn program(name: &str, about: &str, words: &[&str]) -> Load {
    Load {
        name: name.to_owned(),
        about: about.to_owned(),
        kind: Kind::Program,
        threads: Threads::One,
        settings: Vec::new(),
        words: words.iter().map(|&word| word.to_owned()).collect(),
    }
}

fn input(scratch: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = scratch.join(name);
    std::fs::write(&path, text).with_context(|| format!("can't write the input {}", path.display()))?;
    Ok(path.display().to_string())
}

/// What a program prints, if it is there and ends well.
fn output_of(program: &str, words: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(words).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// C++ that keeps a compiler busy: `parts` families of types, each with its own containers and algorithms.
fn heavy_source(parts: usize) -> String {
    let mut text = String::from(
        "#include <algorithm>\n#include <functional>\n#include <map>\n#include <memory>\n#include <string>\n\
         #include <unordered_map>\n#include <variant>\n#include <vector>\n\
         template <int N> struct Tower { Tower<N - 1> below; int stones[N]; int sum() const \
         { int s = below.sum(); for (int i : stones) s += i; return s; } };\n\
         template <> struct Tower<0> { int sum() const { return 0; } };\n",
    );
    for part in 0..parts {
        let _ = write!(
            text,
            "struct Stone{part} {{ std::string name; double weight; std::vector<int> marks; }};\n\
             using Index{part} = std::map<std::string, std::unique_ptr<Stone{part}>>;\n\
             int work{part}(const std::vector<Stone{part}>& in) {{\n\
               Index{part} index; std::unordered_map<int, std::vector<Stone{part}>> by;\n\
               for (const auto& s : in) {{ index[s.name] = std::make_unique<Stone{part}>(s); by[s.marks.size()].push_back(s); }}\n\
               std::vector<std::variant<int, std::string, Stone{part}>> all;\n\
               for (auto& [k, v] : index) {{ all.emplace_back(k); all.emplace_back(*v); all.emplace_back({part}); }}\n\
               std::vector<Stone{part}> sorted(in);\n\
               std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) {{ return a.weight < b.weight; }});\n\
               std::function<int(int)> f = [&](int n) {{ return n + (int)sorted.size(); }};\n\
               int sum = Tower<{height}>{{}}.sum();\n\
               for (auto& v : all) sum += std::visit([&](auto& x) {{ return f((int)sizeof(x)); }}, v);\n\
               return sum + (int)by.size();\n}}\n",
            height = 20 + part,
        );
    }
    text
}
