//! Nonces. They tell one session from another; they are no secrets.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;

/// A number that is new with overwhelming likelihood, and never zero.
pub(crate) fn nonce() -> u64 {
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    let number = match read {
        Ok(()) => u64::from_le_bytes(bytes),
        // An empty /dev: the standard library asks the kernel by system call.
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    number.max(1)
}
