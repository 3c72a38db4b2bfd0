//! A key of thread-specific data that is made when it is first needed.
//!
//! Two threads may make one each; then one of them is deleted again, and both go on with the other.
//!
//! Orderings: the number is published by `Release` and read by `Acquire`, so what the C library noted about the key
//! when it made it is seen by every thread that uses the number. The models: crates/cairn-model, `key`.

use cairn_core::ord;
use cairn_core::sync::AtomicUsize;

/// A key (`pthread_key_t`), or none yet.
#[derive(Debug)]
pub struct Key {
    /// The key's number + 1; 0 before it was made.
    number: AtomicUsize,
}

impl Key {
    /// None yet.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new() -> Self {
        Key { number: AtomicUsize::new(0) }
    }

    /// None yet.
    #[cfg(any(loom, shuttle))]
    pub fn new() -> Self {
        Key { number: AtomicUsize::new(0) }
    }

    /// The key, if it has been made.
    #[inline]
    pub fn get(&self) -> Option<u32> {
        self.number.load(ord!("key-get", Acquire)).checked_sub(1).map(|key| key as u32)
    }

    /// The key; made by `make` if there is none yet. None if `make` can't. `unmake` gets the one that was made in vain.
    pub fn get_or_make(&self, make: impl FnOnce() -> Option<u32>, unmake: impl FnOnce(u32)) -> Option<u32> {
        if let Some(key) = self.get() {
            return Some(key);
        }
        let key = make()?;
        let published = self.number.compare_exchange(
            0,
            key as usize + 1,
            ord!("key-publish", Release),
            ord!("key-theirs", Acquire),
        );
        match published {
            Ok(_) => Some(key),
            Err(theirs) => {
                unmake(key);
                Some((theirs - 1) as u32)
            }
        }
    }
}
