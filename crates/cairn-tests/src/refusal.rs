//! Makes system calls of the library fail: runs a program under ptrace and refuses chosen calls, those that `libcairn.so` makes
//! and no others.
//!
//! Calls go through the C library (`syscall`), so whose a call is shows on the stack: the first word from the stack pointer on that
//! points into code is the return address of its function. A thread stack that `pthread_create` maps is the C library's.
//!
//! A [`Plan`] says which calls are refused; its text is the line that a failing test prints, and reads back.

use crate::tracer::{self, Entry, Traced};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{IoSliceMut, Read};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

/// A call by which the program says that refusals begin (argument 1) or end (0). No kernel knows it.
pub const MARKER: u64 = 31_905;

/// A system call that is refused, and the errors it may fail with: the first is its usual one.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its number.
    pub number: i64,
    /// What it fails with.
    pub errors: &'static [i32],
}

macro_rules! kinds {
    ($($name:ident $number:ident $($error:ident)+;)*) => {
        &[$(Kind { name: stringify!($name), number: libc::$number, errors: &[$(libc::$error),+] }),*]
    };
}

/// All calls that are refused. A call of the library that is not here is a failure of the test.
pub const KINDS: &[Kind] = kinds! {
    mmap SYS_mmap ENOMEM EAGAIN;
    munmap SYS_munmap ENOMEM EINVAL;
    mprotect SYS_mprotect ENOMEM EACCES;
    madvise SYS_madvise ENOMEM EAGAIN EINVAL;
    mremap SYS_mremap ENOMEM EAGAIN EFAULT;
    mincore SYS_mincore EAGAIN ENOMEM;
    futex SYS_futex EAGAIN EINTR ENOSYS;
    prctl SYS_prctl EINVAL EPERM;
    getrandom SYS_getrandom EAGAIN ENOSYS EINTR;
    openat SYS_openat ENFILE EACCES;
    statx SYS_statx ENOENT EACCES EPERM ENOSYS;
    read SYS_read EIO EINTR;
    close SYS_close EIO;
    sysinfo SYS_sysinfo EFAULT;
    prlimit64 SYS_prlimit64 EPERM;
    getcpu SYS_getcpu ENOSYS;
    getcwd SYS_getcwd ENOENT;
    fcntl SYS_fcntl EMFILE;
    clock_gettime SYS_clock_gettime EINVAL;
    rt_sigaction SYS_rt_sigaction EINVAL;
    membarrier SYS_membarrier ENOSYS;
    process_vm_readv SYS_process_vm_readv EPERM;
};

/// `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`.
const GUARDS: [u64; 2] = [102, 103];

/// Calls of the library that are let be: two can't fail, and the third tells what was found wrong.
const LEFT_ALONE: [i64; 3] = [libc::SYS_gettid, libc::SYS_getpid, libc::SYS_write];

/// The kind of a call.
pub fn kind(number: u64) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.number as u64 == number)
}

/// Which calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None: to see which there are.
    Nothing,
    /// Of one kind those from the `from`-th on (1 is the first), `count` of them.
    Some {
        /// Index in [`KINDS`].
        kind: usize,
        /// The first one.
        from: usize,
        /// How many.
        count: usize,
        /// Index in the kind's errors.
        error: usize,
    },
    /// Guards in the page tables (`MADV_GUARD_INSTALL`, `MADV_GUARD_REMOVE`), as by a kernel before 6.13, which doesn't know that advice.
    Guards,
    /// Of all kinds, by chance: so many in a thousand. The same seed refuses the same calls, as far as the program's threads
    /// come in the same order.
    Chance {
        /// Where the random numbers begin.
        seed: u64,
        /// How many in a thousand.
        per_mille: u64,
    },
    /// Both, as by such a kernel when it is short of memory: guards from the start, the others while refusals are on.
    GuardsAndChance {
        /// As for chance.
        seed: u64,
        /// As for chance.
        per_mille: u64,
    },
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Plan::Nothing => write!(f, "nothing"),
            Plan::Guards => write!(f, "guards"),
            Plan::Some { kind, from, count, error } => {
                write!(f, "{} from {from} count {count} error {error}", KINDS[kind].name)
            }
            Plan::Chance { seed, per_mille } => write!(f, "chance {per_mille} seed {seed}"),
            Plan::GuardsAndChance { seed, per_mille } => write!(f, "guards chance {per_mille} seed {seed}"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let wrong = || {
            format!("not a plan: {text:?} (for example: 'mmap from 3 count 1 error 0', 'chance 100 seed 7')")
        };
        let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["nothing"] => Ok(Plan::Nothing),
            ["guards"] => Ok(Plan::Guards),
            ["chance", per_mille, "seed", seed] => {
                Ok(Plan::Chance { seed: number(seed)?, per_mille: number(per_mille)? })
            }
            ["guards", "chance", per_mille, "seed", seed] => {
                Ok(Plan::GuardsAndChance { seed: number(seed)?, per_mille: number(per_mille)? })
            }
            [name, "from", from, "count", count, "error", error] => Ok(Plan::Some {
                kind: KINDS.iter().position(|kind| kind.name == name).ok_or_else(wrong)?,
                from: number(from)? as usize,
                count: number(count)? as usize,
                error: number(error)? as usize,
            }),
            _ => Err(wrong()),
        }
    }
}

/// From when on calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// From the library's first call on, in the loader.
    AtOnce,
    /// While the program says so, see [`MARKER`].
    Marked,
}

/// What a program did under a plan.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub traced: Traced,
    /// The calls of the library while refusals were on, by name.
    pub made: BTreeMap<&'static str, usize>,
    /// Those that were refused.
    pub refused: BTreeMap<&'static str, usize>,
    /// Guards in the page tables (`madvise`) that the library asked for or wanted to take away, and how many of these calls were refused.
    pub guards: (usize, usize),
    /// Calls of the library that [`KINDS`] doesn't have.
    pub unknown: Vec<u64>,
    /// What the program said on stderr.
    pub said: String,
}

impl Outcome {
    /// Whether the program ended with 0.
    pub fn succeeded(&self) -> bool {
        self.traced.status == 0 && !self.traced.hung
    }
}

/// Runs a program under a plan; `None` if this machine forbids ptrace.
pub fn run(command: &mut Command, plan: Plan, begin: Begin, limit: Duration) -> Option<Outcome> {
    let said = crate::command::anonymous_file();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(said.try_clone().expect("a file handle can be copied"));
    let mut judge = Judge {
        plan,
        is_on: begin == Begin::AtOnce,
        code: Vec::new(),
        made: vec![0; KINDS.len()],
        refused: vec![0; KINDS.len()],
        guards: (0, 0),
        unknown: Vec::new(),
        random: 0,
    };
    if let Plan::Chance { seed, .. } | Plan::GuardsAndChance { seed, .. } = plan {
        judge.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    }
    let traced = tracer::trace_with(command, limit, &mut |entry| judge.judge(entry))?;
    let named = |counts: &[usize]| {
        let pairs = KINDS.iter().zip(counts).filter(|(_, count)| **count > 0);
        pairs.map(|(kind, count)| (kind.name, *count)).collect()
    };
    Some(Outcome {
        traced,
        made: named(&judge.made),
        refused: named(&judge.refused),
        guards: judge.guards,
        unknown: judge.unknown,
        said: content(&said),
    })
}

fn content(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().map_or(0, |data| data.len()) as usize];
    file.read_exact_at(&mut bytes, 0).expect("an anonymous file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A mapping that is code.
struct Code {
    from: u64,
    to: u64,
    of_library: bool,
}

struct Judge {
    plan: Plan,
    is_on: bool,
    code: Vec<Code>,
    made: Vec<usize>,
    refused: Vec<usize>,
    guards: (usize, usize),
    unknown: Vec<u64>,
    random: u64,
}

impl Judge {
    fn judge(&mut self, entry: &Entry) -> Option<i32> {
        if entry.number == MARKER {
            self.is_on = entry.args[0] == 1;
            return None;
        }
        let is_guard = entry.number == libc::SYS_madvise as u64 && GUARDS.contains(&entry.args[2]);
        let is_on = self.is_on || is_guard && matches!(self.plan, Plan::GuardsAndChance { .. });
        if !is_on || !self.is_of_library(entry) {
            return None;
        }
        let Some(kind) = KINDS.iter().position(|kind| kind.number as u64 == entry.number) else {
            if !LEFT_ALONE.contains(&(entry.number as i64)) {
                self.unknown.push(entry.number);
            }
            return None;
        };
        self.made[kind] += 1;
        self.guards.0 += usize::from(is_guard);
        let error = if is_guard && matches!(self.plan, Plan::Guards | Plan::GuardsAndChance { .. }) {
            libc::EINVAL
        } else {
            let errors = KINDS[kind].errors;
            errors[self.error_for(kind)? % errors.len()]
        };
        self.refused[kind] += 1;
        self.guards.1 += usize::from(is_guard);
        Some(error)
    }

    /// The index of the error that this call fails with, if it does.
    fn error_for(&mut self, kind: usize) -> Option<usize> {
        match self.plan {
            Plan::Nothing | Plan::Guards => None,
            Plan::Some { kind: wanted, from, count, error } => {
                let number = self.made[kind];
                (kind == wanted && number >= from && number - from < count).then_some(error)
            }
            Plan::Chance { per_mille, .. } | Plan::GuardsAndChance { per_mille, .. } => {
                // xorshift64*: the high bits are good.
                self.random ^= self.random >> 12;
                self.random ^= self.random << 25;
                self.random ^= self.random >> 27;
                let number = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
                (number % 1000 < per_mille).then_some((number / 1000) as usize)
            }
        }
    }

    /// Whether a call was made by the library.
    fn is_of_library(&mut self, entry: &Entry) -> bool {
        if !self.code.iter().any(|code| code.of_library) {
            self.code = code_of(entry.pid);
            if !self.code.iter().any(|code| code.of_library) {
                return false;
            }
        }
        let mut bytes = [0u8; 48 * 8];
        let read = read_memory(entry.pid, entry.stack, &mut bytes);
        let words = bytes[..read]
            .chunks_exact(8)
            .map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
        for word in words {
            if let Some(code) = self.code.iter().find(|code| (code.from..code.to).contains(&word)) {
                return code.of_library;
            }
        }
        false
    }
}

/// The mappings of a process that are code.
fn code_of(pid: libc::pid_t) -> Vec<Code> {
    let mut text = String::new();
    // A process that just ended has no maps: then nothing is the library's.
    let _ = File::open(format!("/proc/{pid}/maps")).and_then(|mut file| file.read_to_string(&mut text));
    let library = crate::library::shared_object().to_str().expect("the build directory's name is text");
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let (from, to) = range.split_once('-')?;
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        let of_library = line.ends_with(library);
        rights.contains('x').then_some(Code { from: number(from)?, to: number(to)?, of_library })
    };
    text.lines().filter_map(of_line).collect()
}

/// Reads a process's memory; how many bytes could be read.
fn read_memory(pid: libc::pid_t, at: u64, to: &mut [u8]) -> usize {
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(at as usize), iov_len: to.len() };
    let mut local = [IoSliceMut::new(to)];
    // SAFETY: an `IoSliceMut` is laid out as an `iovec`, which the kernel fills; the other one is an address in another process.
    let read = unsafe { libc::process_vm_readv(pid, local.as_mut_ptr().cast(), 1, &remote, 1, 0) };
    usize::try_from(read).unwrap_or(0)
}
