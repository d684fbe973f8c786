//! Amounts of memory and disk.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An amount of bytes.
///
/// Written with a unit: `384MiB`, `3GiB`, `20G`. As in QEMU and compose, a
/// bare `K`, `M`, `G` or `T` is a power of 1024; `kB`, `MB`, `GB` are powers of
/// 1000. A bare number is bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSizeError {
    /// There is no leading number.
    #[error("A size starts with a number, as in `512MiB`")]
    NoNumber,
    /// The unit is unknown.
    #[error("Unknown unit {0:?}: use KiB, MiB, GiB or TiB")]
    UnknownUnit(String),
    /// The amount does not fit 64 bits.
    #[error("The size is too large")]
    TooLarge,
}

impl ByteSize {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From an amount of bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From an amount of mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// From an amount of gibibytes.
    pub const fn gib(gib: u64) -> Self {
        Self(gib << 30)
    }

    /// The amount in bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The amount in whole mebibytes, rounded up.
    pub const fn as_mib(self) -> u64 {
        self.0.div_ceil(1 << 20)
    }

    /// The sum, at most [`u64::MAX`] bytes.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for ByteSize {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
            .into_iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match exact {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(ParseSizeError::NoNumber);
        }
        let number: u64 = number.parse().map_err(|_| ParseSizeError::TooLarge)?;
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(ParseSizeError::UnknownUnit(unit.trim().to_owned())),
        };
        number
            .checked_mul(factor)
            .map(Self)
            .ok_or(ParseSizeError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_parse_as_users_write_them() {
        let check = |text: &str, expected: Result<u64, ParseSizeError>| {
            assert_eq!(text.parse().map(ByteSize::as_bytes), expected, "{text}");
        };
        check("384MiB", Ok(384 << 20));
        check("20G", Ok(20 << 30));
        check("1 GiB", Ok(1 << 30));
        check("1GB", Ok(1_000_000_000));
        check("lots", Err(ParseSizeError::NoNumber));
        check("3 pints", Err(ParseSizeError::UnknownUnit("pints".into())));
        check("99999999999TiB", Err(ParseSizeError::TooLarge));
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(bytes: u64) {
            let size = ByteSize::bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }
}
