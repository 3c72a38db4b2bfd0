//! The `cairn` command: runs any program on the Cairn allocator, without a rebuild of the program.
//!
//! ```text
//!   args ──► run ──┬─► program ─► elf, script     which file is it, and can the library work in it?
//!                  ├─► library                    where libcairn.so lies on disk (it is carried inside)
//!                  ├─► preload                    LD_PRELOAD
//!                  └─► exec, or with --stats: supervise ─► signals, then heap + summary ─► table or JSON
//! ```
//! Our own words go to stderr; the program's streams, arguments, environment and exit status are its own.
#![cfg_attr(not(test), no_main)]

mod args;
mod check;
mod elf;
mod failure;
mod heap;
mod lesson;
mod library;
mod preload;
mod program;
mod replay;
mod run;
mod script;
mod settings;
mod signals;
mod summary;
mod supervise;
mod table;
mod view;

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Parser;

use crate::args::{Args, Verb};
use crate::failure::Failure;

/// The entry point, in place of Rust's own: that one ignores SIGPIPE and opens `/dev/null` for streams that are
/// closed, and the program which this process becomes would inherit both.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
extern "C" fn main(count: libc::c_int, values: *const *const libc::c_char) -> libc::c_int {
    // The measured heap of glibc is a process of this executable in which nothing else has allocated.
    if let Some(status) = cairn_bench::serve_if_asked() {
        std::process::exit(status);
    }
    signals::hold_closed_streams();
    let count = usize::try_from(count).unwrap_or(0);
    let arguments = (0..count).map(|index| {
        // SAFETY: the C runtime passes `count` pointers to strings that end in NUL and live as long as the process.
        let text = unsafe { CStr::from_ptr(*values.add(index)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    });
    // Rust's own entry point would flush stdout; `exit` does the same.
    std::process::exit(command(arguments.collect()))
}

/// Carries out one command line; returns the exit status.
fn command(arguments: Vec<OsString>) -> i32 {
    let args = Args::parse_from(arguments);
    let result = match args.verb {
        Verb::Run(run) => run::run(run),
        Verb::Settings { json } => settings::print(json),
        Verb::Library => library::locate(None).map(|path| println!("{}", path.display())),
        Verb::Replay(args) => replay::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::View(args) => view::run(&args),
        Verb::Lesson(args) => lesson::run(&args),
        Verb::Bench(args) => args.run().map_err(|error| Failure::new(failure::OURS, format!("{error:#}"))),
    };
    match result {
        Ok(()) => 0,
        Err(Failure { status, sentence }) => {
            eprintln!("cairn: {sentence}");
            status
        }
    }
}
