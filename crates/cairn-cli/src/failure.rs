//! What went wrong, as one sentence for a person and one exit status for a script.

/// The command line is wrong.
pub const USAGE: i32 = 2;
/// Cairn itself could not do its part (as with `env`, `timeout` and `nohup`).
pub const OURS: i32 = 125;
/// The program was found and can't be run.
pub const CANNOT_RUN: i32 = 126;
/// The program was not found.
pub const NOT_FOUND: i32 = 127;

/// Ends the command.
#[derive(Debug)]
pub struct Failure {
    /// The exit status, one of the constants of this module.
    pub status: i32,
    /// What happened, where, and what to do about it.
    pub sentence: String,
}

impl Failure {
    /// A failure with this exit status.
    pub fn new(status: i32, sentence: impl Into<String>) -> Self {
        Failure { status, sentence: sentence.into() }
    }
}
