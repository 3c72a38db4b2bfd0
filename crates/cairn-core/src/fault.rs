//! Fault reports: one clear line on stderr, made without allocating, then the end of the process.
//!
//! A heap that found itself corrupted can't go on and can't use anything that allocates. So the line is put
//! together in a buffer on the stack and goes out by one `write`.

/// A line under construction. What doesn't fit is cut.
pub struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Line {
    /// A line that begins with `cairn: `.
    pub fn new() -> Self {
        Line { bytes: [0; 256], len: 0 }.text("cairn: ")
    }

    /// A line that belongs to the one before it, and so has nothing at its begin.
    pub fn continued() -> Self {
        Line { bytes: [0; 256], len: 0 }
    }

    /// Appends bytes that come from outside; what could confuse a terminal becomes `?`.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        for &byte in bytes {
            self.put(if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' });
        }
        self
    }

    /// Appends text.
    pub fn text(mut self, text: &str) -> Self {
        for &byte in text.as_bytes() {
            self.put(byte);
        }
        self
    }

    /// Appends a number in decimal digits.
    pub fn number(mut self, value: usize) -> Self {
        self.digits(value, 10);
        self
    }

    /// Appends an address as `0x…`.
    pub fn address(self, value: usize) -> Self {
        let mut line = self.text("0x");
        line.digits(value, 16);
        line
    }

    /// What has been put together.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Writes the line and a newline to stderr; errno is kept. Nothing can be done if that fails, so nothing is.
    pub fn print(mut self) {
        self.len = self.len.min(self.bytes.len() - 1);
        self.put(b'\n');
        crate::os::write_all(libc::STDERR_FILENO, self.as_bytes());
    }

    /// Writes the line and ends the process by SIGABRT.
    pub fn abort(self) -> ! {
        self.print();
        // SAFETY: abort may be called at any time.
        unsafe { libc::abort() }
    }

    fn put(&mut self, byte: u8) {
        if self.len < self.bytes.len() {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
    }

    fn digits(&mut self, mut value: usize, base: usize) {
        let mut digits = [0u8; 20];
        let mut count = 0;
        loop {
            digits[count] = b"0123456789abcdef"[value % base];
            count += 1;
            value /= base;
            if value == 0 {
                break;
            }
        }
        for &digit in digits[..count].iter().rev() {
            self.put(digit);
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_line_holds_text_numbers_and_addresses() {
        let line =
            Line::new().text("free of ").address(0x7f00_dead_0010).text(" after ").number(1200).number(0);
        assert_eq!(line.as_bytes(), b"cairn: free of 0x7f00dead0010 after 12000");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let mut line = Line::new();
        for _ in 0..100 {
            line = line.text("0123456789");
        }
        assert_eq!(line.as_bytes().len(), 256);
    }
}
