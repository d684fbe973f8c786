//! The fixed-size messages by which two ends agree on a session, and the
//! scanner that finds them in a stream of anything.

/// Begins every greeting: random bytes, so that no other data holds them by
/// accident.
const MAGIC: [u8; 16] = [
    0xd1, 0x4e, 0x9b, 0x27, 0xe5, 0x63, 0x80, 0xfa, 0x1c, 0xb8, 0x72, 0x05, 0xc9, 0x3f, 0xa6, 0x58,
];

/// The version of greeting and frames.
pub(super) const VERSION: u8 = 1;

/// Bytes of an encoded greeting.
pub(super) const SIZE: usize = 40;

/// What a greeting means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Child to parent: I have no session; greet me.
    Knock = 1,
    /// Parent to child: let us begin.
    Hello = 2,
    /// Child to parent: agreed.
    Welcome = 3,
    /// Parent to child: heard; frames follow.
    Confirm = 4,
}

/// One greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    pub kind: Kind,
    pub version: u8,
    /// Chosen by the parent for this connection.
    pub parent: u64,
    /// Chosen by the child in answer.
    pub child: u64,
}

impl Greeting {
    pub fn new(kind: Kind, parent: u64, child: u64) -> Self {
        Self {
            kind,
            version: VERSION,
            parent,
            child,
        }
    }

    pub fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16] = self.kind as u8;
        bytes[17] = self.version;
        bytes[20..28].copy_from_slice(&self.parent.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.child.to_le_bytes());
        let sum = checksum(&bytes[..36]);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a greeting from exactly [`SIZE`] bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        let sum = u32::from_le_bytes(bytes[36..].try_into().ok()?);
        if bytes[..16] != MAGIC || checksum(&bytes[..36]) != sum {
            return None;
        }
        let kind = [Kind::Knock, Kind::Hello, Kind::Welcome, Kind::Confirm]
            .into_iter()
            .find(|kind| *kind as u8 == bytes[16])?;
        Some(Self {
            kind,
            version: bytes[17],
            parent: number(20)?,
            child: number(28)?,
        })
    }
}

/// FNV-1a, against a greeting that was cut and continued by another.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Takes the first greeting out of `input` with all that stands before it.
/// Without one, everything that cannot be the beginning of one is dropped, so
/// that fewer than [`SIZE`] bytes remain.
pub(super) fn scan(input: &mut bytes::BytesMut) -> Option<Greeting> {
    use bytes::Buf;
    loop {
        let start = find_magic(input);
        input.advance(start);
        if input.len() < SIZE {
            return None;
        }
        if let Some(greeting) = Greeting::decode(&input[..SIZE]) {
            input.advance(SIZE);
            return Some(greeting);
        }
        input.advance(1);
    }
}

/// Where the magic, or a prefix of it at the very end, begins.
fn find_magic(input: &[u8]) -> usize {
    let candidates = input
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == MAGIC[0]);
    for (at, _) in candidates {
        let length = MAGIC.len().min(input.len() - at);
        if input[at..at + length] == MAGIC[..length] {
            return at;
        }
    }
    input.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;

    #[test]
    fn greetings_encode_and_decode() {
        let greeting = Greeting::new(Kind::Welcome, 7, u64::MAX);
        assert_eq!(Greeting::decode(&greeting.encode()), Some(greeting));
        let mut broken = greeting.encode();
        broken[30] ^= 1;
        assert_eq!(Greeting::decode(&broken), None);
    }

    proptest! {
        #[test]
        fn a_greeting_is_found_behind_anything(
            garbage in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 0..SIZE,
            chunk in 1..50usize,
        ) {
            let greeting = Greeting::new(Kind::Hello, 3, 4);
            let mut bytes = garbage;
            bytes.extend(&Greeting::new(Kind::Hello, 1, 2).encode()[..cut]);
            bytes.extend(greeting.encode());
            let mut input = BytesMut::new();
            let mut found = None;
            for part in bytes.chunks(chunk) {
                input.extend_from_slice(part);
                found = found.or(scan(&mut input));
                prop_assert!(input.len() < SIZE);
            }
            prop_assert_eq!(found, Some(greeting));
        }
    }
}
