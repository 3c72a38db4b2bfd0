//! A word that each thread has for itself in the C library's keeping (`pthread_getspecific`), and that tells when the thread ends.
//!
//! The key is made when it is first needed, see [`Key`].

use core::ffi::c_void;
use core::ptr;

use crate::key::Key;

/// One value for each thread; null in those that have set none.
///
/// (What is called at a thread's end is no field: an address in memory that is written to costs each process a page at its start.)
pub struct ThreadValue {
    key: Key,
}

/// Called at the end of each thread whose value isn't null, with that value.
pub type AtEnd = Option<unsafe extern "C" fn(*mut c_void)>;

impl ThreadValue {
    /// Nobody has a value yet.
    pub const fn new() -> Self {
        ThreadValue { key: Key::new() }
    }

    /// Sets the calling thread's value. False if the C library has no key for it, or no memory. `at_end` is the same in all calls.
    pub fn set(&self, value: *const c_void, at_end: AtEnd) -> bool {
        // SAFETY: the key exists, and the value is only kept.
        self.key(at_end).is_some_and(|key| unsafe { libc::pthread_setspecific(key, value) } == 0)
    }

    fn key(&self, at_end: AtEnd) -> Option<libc::pthread_key_t> {
        let make = || {
            let mut key = 0;
            // SAFETY: `key` is writable, and the destructor fits.
            (unsafe { libc::pthread_key_create(&mut key, at_end) } == 0).then_some(key)
        };
        // SAFETY: made above and not used.
        self.key.get_or_make(make, |key| _ = unsafe { libc::pthread_key_delete(key) })
    }
}

/// What the portable slot needs besides.
#[allow(dead_code, reason = "most processors have a better slot")]
impl ThreadValue {
    /// The calling thread's value.
    #[inline]
    pub fn get(&self) -> *mut c_void {
        // SAFETY: the key was made, and keys are never deleted once they are published.
        self.key.get().map_or(ptr::null_mut(), |key| unsafe { libc::pthread_getspecific(key) })
    }

    /// Whether threads can have values: the key is there, or can be made. Nothing is called at their end.
    pub fn is_possible(&self) -> bool {
        self.key(None).is_some()
    }
}
