//! A cargo build of a generated crate without dependencies: `cargo build`, a library, no linker.
//!
//! The toolchain's own cargo and rustc run, not rustup's stand-ins. rustc as rustup brings it has jemalloc inside its executable,
//! where no preload gets past it; so a copy runs that doesn't offer these functions ([`super::rustc_image`]).
//! rustc is built so on the systems where it has no jemalloc, and the reference is glibc here as for every program.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Context;

use super::place::{Place, find, is_executable, load, output_of, word};
use super::{Ready, rustc_image};
use crate::compare::catalogue::{Load, Threads};

pub fn build(place: &Place) -> Ready {
    let Some(sysroot) = find(&["rustc"]).and_then(|rustc| output_of(&rustc, &["--print", "sysroot"])) else {
        return Ok(Err("rustc is not installed or does not start".to_owned()));
    };
    let sysroot = Path::new(&sysroot);
    let cargo = sysroot.join("bin/cargo");
    if !is_executable(&cargo) || !is_executable(&sysroot.join("bin/rustc")) {
        return Ok(Err(format!("cargo and rustc are not in {}/bin", sysroot.display())));
    }
    let dir = place.directory("cargo")?;
    copy_rustc(sysroot, &dir.join("toolchain"))?;
    if output_of(&dir.join("toolchain/bin/rustc"), &["--version"]).is_none() {
        return Ok(Err("a copy of rustc without its jemalloc does not start".to_owned()));
    }
    place.directory("cargo/home")?;
    place.directory("cargo/crate/src")?;
    let modules = place.count(3, 1);
    // A workspace of its own: no other manifest above the scratch directory is looked for.
    place.input(
        "cargo/crate/Cargo.toml",
        "[package]\nname = \"stones\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )?;
    let mut root = String::from("//! A generated crate.\n");
    for module in 0..modules {
        let _ = writeln!(root, "pub mod part{module};");
        place.input(&format!("cargo/crate/src/part{module}.rs"), &source(module))?;
    }
    place.input("cargo/crate/src/lib.rs", &root)?;
    let script = place.input("cargo.sh", include_str!("inputs/cargo.sh"))?;
    let words = ["sh", &script, &word(&dir), &word(&cargo)];
    let about = "cargo build of a small crate without dependencies; rustc without its own jemalloc";
    Ok(Ok(Load { threads: Threads::Many, ..load(about, &words) }))
}

/// rustc without its own malloc, beside the libraries of the toolchain.
fn copy_rustc(sysroot: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, copy) = (sysroot.join("bin/rustc"), to.join("bin/rustc"));
    let mut image = std::fs::read(&from).with_context(|| format!("can't read {}", from.display()))?;
    rustc_image::withdraw_malloc(&mut image)
        .with_context(|| format!("{} is not understood", from.display()))?;
    let make = || -> std::io::Result<()> {
        std::fs::create_dir_all(to.join("bin"))?;
        std::fs::write(&copy, image)?;
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
        symlink(sysroot.join("lib"), to.join("lib"))
    };
    make().with_context(|| format!("can't write {}", copy.display()))
}

/// A module with types, traits, generic code, maps, and matches.
fn source(module: usize) -> String {
    let mut text = format!(
        "//! Part {module}.\nuse std::collections::{{BTreeMap, HashMap}};\nuse std::fmt;\n\n\
         pub trait Weigh {{ fn weigh(&self) -> u64; fn name(&self) -> String {{ format!(\"{{}}\", self.weigh()) }} }}\n"
    );
    for kind in 0..4 {
        let _ = write!(
            text,
            "#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]\n\
             pub struct Stone{kind} {{ pub id: u64, pub name: String, pub marks: Vec<u32>, pub under: Option<Box<Stone{kind}>> }}\n\
             #[derive(Clone, Debug, PartialEq)]\n\
             pub enum Find{kind} {{ Empty, One(Stone{kind}), Many(Vec<Stone{kind}>), Named {{ name: String, at: (i32, i32) }} }}\n\
             impl Weigh for Stone{kind} {{\n    fn weigh(&self) -> u64 {{\n        \
               self.marks.iter().map(|&mark| u64::from(mark) * {factor}).sum::<u64>() + self.under.as_ref().map_or(0, |s| s.weigh())\n    }}\n}}\n\
             impl fmt::Display for Find{kind} {{\n    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {{\n        match self {{\n            \
               Find{kind}::Empty => to.write_str(\"empty\"),\n            \
               Find{kind}::One(stone) if stone.marks.is_empty() => write!(to, \"bare {{}}\", stone.name),\n            \
               Find{kind}::One(stone) => write!(to, \"{{}} of {{}}\", stone.name, stone.weigh()),\n            \
               Find{kind}::Many(all) => all.iter().try_for_each(|stone| write!(to, \"{{}} \", stone.name)),\n            \
               Find{kind}::Named {{ name, at: (x, y) }} => write!(to, \"{{name}} at {{x}}, {{y}}\"),\n        }}\n    }}\n}}\n\
             pub fn sort{kind}(finds: &[Find{kind}]) -> BTreeMap<String, Vec<Stone{kind}>> {{\n    \
               let mut count: HashMap<u64, usize> = HashMap::new();\n    let mut all = BTreeMap::new();\n    \
               for find in finds {{\n        let stones: Vec<Stone{kind}> = match find {{\n            \
               Find{kind}::One(stone) => vec![stone.clone()],\n            Find{kind}::Many(many) => many.clone(),\n            _ => continue,\n        }};\n        \
               for stone in stones {{\n            *count.entry(stone.weigh() % {modulus}).or_default() += 1;\n            \
               all.entry(stone.name()).or_insert_with(Vec::new).push(stone);\n        }}\n    }}\n    \
               all.values_mut().for_each(|list: &mut Vec<Stone{kind}>| list.sort_by_key(|s| (s.weigh(), s.id)));\n    \
               all.retain(|name, list| !name.is_empty() && list.len() > count.len() % 3);\n    all\n}}\n",
            factor = module * 4 + kind + 1,
            modulus = kind + 7,
        );
    }
    text
}
