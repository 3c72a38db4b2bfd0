//! Why a trace can't be used: which file, which line, what is wrong with it.

use std::fmt;

/// A trace that can't be read or breaks the rules of the form. Nothing of it has been replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The file as the user named it.
    pub file: String,
    /// The line, counted from 1; none if it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong and, where that isn't plain, what to do.
    pub reason: String,
}

impl TraceError {
    /// An error at a line.
    pub(crate) fn at(file: &str, line: usize, reason: impl Into<String>) -> TraceError {
        TraceError { file: file.to_owned(), line: Some(line), reason: reason.into() }
    }

    /// An error of the whole file.
    pub(crate) fn whole(file: &str, reason: impl Into<String>) -> TraceError {
        TraceError { file: file.to_owned(), line: None, reason: reason.into() }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}, line {line}: {}", self.file, self.reason),
            None => write!(out, "{}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for TraceError {}
