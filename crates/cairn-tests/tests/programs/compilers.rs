//! Claim: gcc and g++, the compiler proper and the linker included, make the same objects and the same program from
//! large files.

use cairn_tests::compare::Case;
use cairn_tests::programs;
use std::fmt::Write;

/// A C++ file of many templates: maps, vectors of strings, tuples, variants and functions, instantiated `count` times.
fn large_cxx(count: usize) -> String {
    let mut text = String::from(
        "#include <algorithm>\n#include <array>\n#include <functional>\n#include <iostream>\n#include <map>\n#include <memory>\n\
         #include <optional>\n#include <set>\n#include <sstream>\n#include <string>\n#include <tuple>\n#include <unordered_map>\n\
         #include <variant>\n#include <vector>\n\
         template <int N> struct Tag { int value = N; bool operator<(const Tag &o) const { return value < o.value; } };\n",
    );
    for n in 0..count {
        let _ = write!(
            text,
            "long use{n}(int x) {{\n\
             std::map<Tag<{n}>, std::vector<std::array<Tag<{n}>, {m}>>> table;\n\
             table[Tag<{n}>{{x}}].push_back({{}});\n\
             std::variant<Tag<{n}>, std::string, std::tuple<int, Tag<{n}>>> v = std::string(\"v{n}\");\n\
             std::function<long(int)> f = [table](int y) {{ return (long)table.size() * y + {n}; }};\n\
             std::set<std::tuple<Tag<{n}>, std::string>> names; names.emplace(Tag<{n}>{{x}}, \"n{n}\");\n\
             return f(x) + (long)v.index() + (long)names.size() + std::make_shared<Tag<{n}>>()->value;\n}}\n",
            m = n % 7 + 1
        );
    }
    text.push_str("int main() { long sum = 0;\n");
    for n in 0..count {
        let _ = writeln!(text, "sum += use{n}({n});");
    }
    text.push_str("std::ostringstream out; out << sum; std::cout << out.str() << std::endl; }\n");
    text
}

/// A C file of many functions with switches and tables.
fn large_c(count: usize) -> String {
    let mut text = String::from("#include <stdio.h>\n#include <string.h>\n#include <math.h>\n");
    for n in 0..count {
        let _ = write!(text, "static int f{n}(int x) {{ static const int t[] = {{");
        for k in 0..24 {
            let _ = write!(text, "{},", n * k % 251);
        }
        text.push_str("}; int s = 0; for (int i = 0; i < 24; i++) switch ((x + t[i]) % 9) {");
        for k in 0..9 {
            let _ = write!(text, "case {k}: s += t[(i + {k}) % 24] * {}; break;", n + k);
        }
        text.push_str("default: s--; } return s; }\n");
    }
    text.push_str("int main(void) { long s = 0;\n");
    for n in 0..count {
        let _ = writeln!(text, "s += f{n}({n});");
    }
    text.push_str("printf(\"%ld\\n\", s); return 0; }\n");
    text
}

#[test]
fn gxx_compiles_and_links_a_large_file() {
    let (Some(bash), Some(_)) = (programs::need("bash"), programs::need("g++")) else { return };
    let _ = Case::new(bash)
        .args([
            "-ec",
            "g++ -std=c++17 -O1 -frandom-seed=1 -c large.cpp -o large.o; g++ large.o -o large; ./large",
        ])
        .file("large.cpp", large_cxx(60))
        .seconds(180)
        .reaches("cc1plus")
        .reaches("as")
        .reaches("collect2")
        .reaches("large")
        .compare();
}

#[test]
fn gcc_compiles_and_links_a_large_file() {
    let (Some(bash), Some(_)) = (programs::need("bash"), programs::need("gcc")) else { return };
    let _ = Case::new(bash)
        .args(["-ec", "gcc -O2 -c large.c -o large.o; gcc large.o -o large -lm; ./large"])
        .file("large.c", large_c(250))
        .seconds(180)
        .reaches("cc1")
        .reaches("collect2")
        .reaches("large")
        .compare();
}

#[test]
fn a_compile_error_is_the_same_error() {
    let (Some(bash), Some(_)) = (programs::need("bash"), programs::need("g++")) else { return };
    let broken = "#include <map>\n#include <string>\nstd::map<std::string, int> m; int x = m[\"a\"].size(); auto y = m < 3;\n";
    let _ = Case::new(bash)
        .args(["-c", "g++ -c broken.cpp; echo status $?"])
        .file("broken.cpp", broken)
        .reaches("cc1plus")
        .compare();
}
