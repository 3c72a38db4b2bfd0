//! Words and numbers, formatted without `core::fmt` and without allocating, into a descriptor or a `FILE`.
//!
//! `core::fmt` would double the size of the shared object. What is needed here is text, whole numbers, and
//! numbers padded to a column.

use cairn_core::os;
use core::ffi::c_int;

/// Where the text goes.
#[derive(Clone, Copy)]
pub enum Sink {
    /// A file descriptor, by `write`.
    Descriptor(c_int),
    /// A stream of the C library, by `fwrite`.
    Stream(*mut libc::FILE),
}

const ROOM: usize = 1024;

/// A buffer in front of a [`Sink`]; what is left is written when it is dropped. Errors of the sink are not
/// reported: nobody could be told.
pub struct Text {
    sink: Sink,
    len: usize,
    bytes: [u8; ROOM],
}

impl Text {
    /// An empty buffer.
    pub fn to(sink: Sink) -> Self {
        Text { sink, len: 0, bytes: [0; ROOM] }
    }

    /// Appends words.
    #[inline(never)]
    pub fn words(&mut self, words: &str) -> &mut Self {
        self.bytes(words.as_bytes())
    }

    /// Appends bytes that are words.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.put(byte);
        }
        self
    }

    /// Appends bytes from outside: what could confuse a terminal becomes `?`, and what is long is cut.
    pub fn shown(&mut self, bytes: &[u8]) -> &mut Self {
        const MOST: usize = 80;
        for &byte in bytes.iter().take(MOST) {
            self.put(if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' });
        }
        if bytes.len() > MOST { self.words("...") } else { self }
    }

    /// Appends a number.
    pub fn number(&mut self, value: usize) -> &mut Self {
        self.column(value, 0)
    }

    /// Appends a number with spaces in front, so that it takes `width` characters at least.
    #[inline(never)]
    pub fn column(&mut self, value: usize, width: usize) -> &mut Self {
        let mut digits = 1;
        let mut power = 1;
        // `power` is the largest power of ten that is no greater than the value, and so doesn't overflow.
        while value / power >= 10 {
            power *= 10;
            digits += 1;
        }
        for _ in digits..width {
            self.put(b' ');
        }
        while power > 0 {
            self.put(b'0' + (value / power % 10) as u8);
            power /= 10;
        }
        self
    }

    /// Appends a line of the machine's report: the key, a space, the number, a newline.
    #[inline(never)]
    pub fn line(&mut self, key: &str, value: usize) -> &mut Self {
        self.words(key).words(" ").number(value).words("\n")
    }

    #[inline(never)]
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
        if self.len >= ROOM {
            self.flush();
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        let len = core::mem::take(&mut self.len);
        let bytes = self.bytes.get(..len).unwrap_or_default();
        match self.sink {
            Sink::Descriptor(descriptor) => {
                os::write_all(descriptor, bytes);
            }
            Sink::Stream(stream) => write_to_stream(stream, bytes),
        }
    }
}

/// The stream is open, because the caller of the C function that got it says so.
fn write_to_stream(stream: *mut libc::FILE, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are readable; for the stream see above.
        let done = unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), stream) };
        if done == 0 {
            return;
        }
        bytes = bytes.get(done..).unwrap_or_default();
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.flush();
    }
}
