//! Reads a `.rep` file, and refuses a wrong one as a whole.
//!
//! As lenient as the courses' own drivers, which read words with `scanf`, and not more: white space and blank lines
//! don't matter, nor does a carriage return; `f -1` is `free(NULL)` and does nothing. Where those drivers stop with an
//! assertion or would run into undefined behaviour, this is an error with a line number.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Op, Trace, TraceError, check};

/// The first two bytes of a file compressed with gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What the header is, for messages.
const HEADER: &str = "a trace begins with four lines: suggested heap size, ids, operations, weight";

/// So many ids are taken whatever the number of requests is. More ids than this and than requests would only cost
/// memory: each tool keeps tables by id.
const IDS_FREE: u32 = 1 << 20;

/// The longest text that is read, in bytes: a compressed file of a few kilobytes can hold terabytes.
const TEXT_MAX: u64 = 4 << 30;

impl Trace {
    /// Reads a file, compressed with gzip or not, and checks all of it.
    ///
    /// # Errors
    /// If the file can't be read or any line of it is wrong.
    pub fn open(path: &Path) -> Result<Trace, TraceError> {
        let file = path.display().to_string();
        let whole = |reason: String| TraceError::whole(&file, reason);
        let opened = File::open(path).map_err(|error| whole(format!("can't be opened: {error}")))?;
        let mut bytes = Vec::new();
        read_some(opened, &mut bytes).map_err(|reason| whole(format!("can't be read: {reason}")))?;
        if bytes.starts_with(&GZIP) {
            let mut plain = Vec::new();
            read_some(MultiGzDecoder::new(bytes.as_slice()), &mut plain)
                .map_err(|reason| whole(format!("can't be unpacked: {reason}")))?;
            bytes = plain;
        }
        Trace::parse(&file, &bytes)
    }

    /// Reads the text of a `.rep` file; `file` is its name for messages, and the trace's name comes from it.
    ///
    /// # Errors
    /// If any line is wrong.
    pub fn parse(file: &str, text: &[u8]) -> Result<Trace, TraceError> {
        let mut lines = Lines { file, text, number: 0 };
        let suggested_heap = lines.header("the suggested heap size")?;
        let ids = lines.header("the number of ids")?;
        let ids_line = lines.number;
        let count = lines.header("the number of operations")?;
        let count_line = lines.number;
        let weight = lines.header("the weight")?;
        let ids = u32::try_from(ids).map_err(|_| {
            TraceError::at(file, ids_line, format!("{ids} ids are too many: at most {}", u32::MAX))
        })?;
        let mut trace =
            Trace { name: name(file), suggested_heap, ids, weight, ops: Vec::new(), lines: Vec::new() };
        let mut seen = 0;
        let mut live = HashSet::new();
        let mut numbers = Vec::new();
        while let Some(line) = lines.next_full()? {
            let op = operation(line).map_err(|reason| lines.error(reason))?;
            seen += 1;
            let Some(op) = op else { continue };
            check(&mut live, ids, op).map_err(|reason| lines.error(reason))?;
            trace.ops.push(op);
            numbers.push(u32::try_from(lines.number).unwrap_or(u32::MAX));
        }
        if seen != count {
            let reason = format!("the header says {count} operations, but {seen} lines follow");
            return Err(TraceError::at(file, count_line, reason));
        }
        let used = trace.ops.iter().map(|op| u64::from(op.id()) + 1).max().unwrap_or(0);
        if used != u64::from(ids) && !trace.ops.is_empty() {
            let reason = format!("the header says {ids} ids, but the greatest id is {}", used - 1);
            return Err(TraceError::at(file, ids_line, reason));
        }
        if ids > IDS_FREE && u64::from(ids) > seen {
            let reason = format!("{ids} ids are too many for {seen} operations: number the blocks from 0");
            return Err(TraceError::at(file, ids_line, reason));
        }
        if numbers.iter().enumerate().any(|(op, line)| trace.line(op) != *line as usize) {
            trace.lines = numbers;
        }
        Ok(trace)
    }
}

/// Reads all of a stream, at most [`TEXT_MAX`] bytes.
fn read_some(stream: impl Read, bytes: &mut Vec<u8>) -> Result<(), String> {
    stream.take(TEXT_MAX + 1).read_to_end(bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > TEXT_MAX {
        return Err(format!("it is longer than {} GiB", TEXT_MAX >> 30));
    }
    Ok(())
}

/// The file's name without directory and endings.
fn name(file: &str) -> String {
    let base = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    base.trim_end_matches(".gz").trim_end_matches(".rep").to_owned()
}

/// The lines of a text that aren't blank.
struct Lines<'a> {
    file: &'a str,
    /// What hasn't been read yet.
    text: &'a [u8],
    /// The number of the last line that was read, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn error(&self, reason: impl Into<String>) -> TraceError {
        TraceError::at(self.file, self.number, reason)
    }

    /// The next line that isn't blank, without the white space around it; none at the end.
    fn next_full(&mut self) -> Result<Option<&'a str>, TraceError> {
        while !self.text.is_empty() {
            let end = self.text.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
            self.text = rest.get(1..).unwrap_or(&[]);
            self.number += 1;
            let line = str::from_utf8(line)
                .map_err(|_| self.error("this is no text: a trace is a file of plain lines"))?
                .trim();
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// A line of the header: one number.
    fn header(&mut self, what: &str) -> Result<u64, TraceError> {
        let Some(line) = self.next_full()? else {
            self.number += 1;
            let reason = format!("the file ends where {what} should stand: {HEADER}");
            return Err(self.error(reason));
        };
        number(line).map_err(|reason| self.error(format!("{what} should stand here, but {reason}")))
    }
}

/// A whole number and nothing else.
fn number(word: &str) -> Result<u64, String> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{} is no whole number", quoted(word)));
    }
    word.parse().map_err(|_| format!("{} is too large a number", quoted(word)))
}

/// A word as it is shown in a message: control characters made visible, and not too long.
fn quoted(word: &str) -> String {
    let mut shown: String = word.chars().take(40).flat_map(char::escape_debug).collect();
    if word.chars().count() > 40 {
        shown.push_str("...");
    }
    format!("'{shown}'")
}

/// One request; `None` if it does nothing (`f -1`).
fn operation(line: &str) -> Result<Option<Op>, String> {
    let mut words = line.split_ascii_whitespace();
    let letter = words.next().unwrap_or_default();
    let form = match letter {
        "a" => "a ID SIZE",
        "r" => "r ID SIZE",
        "f" => "f ID",
        _ => {
            return Err(format!(
                "{} is no operation: a line is 'a ID SIZE', 'r ID SIZE' or 'f ID'",
                quoted(letter)
            ));
        }
    };
    let mut take = |what: &str| {
        let word = words.next().ok_or_else(|| format!("the {what} is missing: the form is '{form}'"))?;
        if letter == "f" && word == "-1" {
            return Ok(None);
        }
        number(word).map(Some).map_err(|reason| format!("the {what} {reason}: the form is '{form}'"))
    };
    let id = take("id")?;
    let size = if letter == "f" { Some(0) } else { take("size")? };
    if let Some(more) = words.next() {
        return Err(format!("{} is one word too many: the form is '{form}'", quoted(more)));
    }
    let (Some(id), Some(size)) = (id, size) else { return Ok(None) };
    let id = u32::try_from(id).map_err(|_| format!("id {id} is too large: at most {}", u32::MAX))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Ok(Some(match letter {
        "a" => Op::Allocate { id, size },
        "r" => Op::Reallocate { id, size },
        _ => Op::Free { id },
    }))
}
