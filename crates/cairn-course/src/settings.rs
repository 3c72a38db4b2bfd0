//! Settings from the environment: `CAIRN_DMM_WORD` and `CAIRN_DMM_HEAP`, for drivers that were compiled already.

use core::ffi::CStr;

use cairn_core::fault::Line;

/// The number in an environment variable, if it is there and `fits`. One that is there and does not fit is reported and ignored.
pub fn number(name: &'static CStr, range: &str, fits: impl Fn(usize) -> bool) -> Option<usize> {
    // SAFETY: getauxval has no preconditions. The environment of a program with more rights than its user is not heeded.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    // SAFETY: the name is a C string.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: what getenv gives is a C string; the program does not change its environment at the same time, which no
    // thread may.
    let value = unsafe { CStr::from_ptr(value) }.to_bytes();
    let number = decimal(value).filter(|&number| fits(number));
    if number.is_none() {
        let name = name.to_str().unwrap_or_default();
        let line = Line::new().text(name).text("=").text(core::str::from_utf8(value).unwrap_or("?"));
        line.text(" ignored: it takes ").text(range).print();
    }
    number
}

/// A whole number in decimal digits, and nothing else.
fn decimal(text: &[u8]) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0usize, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(digit.into()) }
    })
}
