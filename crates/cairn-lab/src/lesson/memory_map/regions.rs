//! The regions of a process, as the kernel lists them.
//!
//! ```text
//!   55e0c4a00000-55e0c4a5b000 r-xp 0005a000 fe:00 1234      /usr/bin/cairn
//!   start        end          permissions   device inode    what is mapped; nothing, or [heap], [stack], [vdso]
//! ```

use std::fs;

use serde::Serialize;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The program's instructions.
    Code,
    /// Constants of the program, and tables of the loader.
    Constants,
    /// The program's global variables.
    Data,
    /// The heap that grows by moving the program break.
    Heap,
    /// Memory without a file: large blocks, heaps of other kinds, stacks of threads.
    Mapping,
    /// A file, nearly always a shared library.
    File,
    /// A stack.
    Stack,
    /// Pages that the kernel shares with every process.
    Kernel,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// The first address.
    pub start: usize,
    /// The address behind the last.
    pub end: usize,
    /// Read, write, execute, private or shared: `rw-p`.
    pub permissions: String,
    /// What it is for.
    pub kind: Kind,
    /// The file, or the kernel's name for it; may be empty.
    pub name: String,
}

impl Region {
    /// Whether it has this address.
    pub fn holds(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.end - self.start
    }
}

/// The regions of this process.
///
/// # Errors
/// If the kernel doesn't tell.
pub fn own_regions() -> Result<Vec<Region>, String> {
    let program = fs::read_link("/proc/self/exe").map(|path| path.to_string_lossy().into_owned());
    let maps = fs::read_to_string("/proc/self/maps")
        .map_err(|error| format!("/proc/self/maps can't be read ({error}): is /proc mounted?"))?;
    Ok(parse(&maps, &program.unwrap_or_default()))
}

/// Reads the kernel's list; `program` is the path of the program that runs. Lines of another form are passed over.
pub fn parse(maps: &str, program: &str) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for line in maps.lines() {
        let Some((start, end, permissions, name)) = fields(line) else { continue };
        let own = !program.is_empty() && name == program;
        let writable = permissions.as_bytes()[1] == b'w';
        let kind = match name {
            "[heap]" => Kind::Heap,
            "[stack]" => Kind::Stack,
            // Global variables that begin as zero have no bytes in the file: the kernel maps them behind those that do.
            "" if follows_data(regions.last(), start, program) && writable => Kind::Data,
            "" => Kind::Mapping,
            _ if name.starts_with("[anon") => Kind::Mapping,
            _ if name.starts_with('[') => Kind::Kernel,
            _ if own && permissions.as_bytes()[2] == b'x' => Kind::Code,
            _ if own && writable => Kind::Data,
            _ if own => Kind::Constants,
            _ => Kind::File,
        };
        regions.push(Region { start, end, permissions: permissions.to_owned(), kind, name: name.to_owned() });
    }
    regions
}

fn follows_data(last: Option<&Region>, start: usize, program: &str) -> bool {
    last.is_some_and(|last| last.end == start && last.kind == Kind::Data && last.name == program)
}

/// Start, end, permissions and name of a line.
fn fields(line: &str) -> Option<(usize, usize, &str, &str)> {
    let mut rest = line;
    let mut word = || {
        let (word, tail) = rest.trim_start().split_once(' ')?;
        rest = tail;
        Some(word)
    };
    let (start, end) = word()?.split_once('-')?;
    let permissions = word().filter(|permissions| permissions.len() >= 4)?;
    let (_offset, _device) = (word()?, word()?);
    // The last field may be missing, and a name may contain spaces.
    let tail = rest.trim_start();
    let name = tail.split_once(' ').map_or("", |(_inode, name)| name.trim());
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some((address(start)?, address(end)?, permissions, name))
}
