//! Ethernet addresses of endpoints.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A locally administered unicast Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of one endpoint of one node. The same words always give the
    /// same address, so that a node keeps it over a restart and a fork.
    ///
    /// FNV-1a is enough: the words are the user's own, and a clash within one
    /// network is found by the lab file's checks.
    pub fn derive(words: &[&str]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for word in words {
            for byte in word.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let [.., a, b, c, d, e] = hash.to_be_bytes();
        Self([0x52, a, b, c, d, e])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_unicast_and_distinct() {
        let one = Mac::derive(&["l1/consul-1", "mesh"]);
        let other = Mac::derive(&["l1/consul-2", "mesh"]);
        assert_ne!(one, other);
        assert_eq!(one.0[0] & 0b11, 0b10);
    }
}
