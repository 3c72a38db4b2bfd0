//! C++ compilers on one file full of templates; both get the same file.
//!
//! Each compiles to assembly that is thrown away: no assembler and no linker runs. g++ starts cc1plus, whose memory is the peak;
//! clang does all in one process.

use std::fmt::Write as _;

use super::Ready;
use super::place::{Place, find, load, output_of, word};

pub fn gcc(place: &Place) -> Ready {
    compiler(place, "g++", 3)
}

pub fn clang(place: &Place) -> Ready {
    compiler(place, "clang++", 3)
}

fn compiler(place: &Place, name: &str, parts: usize) -> Ready {
    let Some(program) = find(&[name]) else {
        return Ok(Err(format!("{name} is not installed")));
    };
    let program = word(&program);
    let probe = place.input("probe.cpp", "#include <vector>\nint stones = std::vector<int>(3).size();\n")?;
    if output_of(program.as_ref(), &["-std=c++17", "-S", &probe, "-o", "-"]).is_none() {
        return Ok(Err(format!("{name} can't compile a file that includes <vector>")));
    }
    let parts = place.count(parts, 1);
    let source = place.input(&format!("heavy-{parts}.cpp"), &heavy_source(parts))?;
    let words = [&program, "-std=c++17", "-O1", "-S", &source, "-o", "/dev/null"];
    Ok(Ok(load("C++17 -O1, a file full of templates", &words)))
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
