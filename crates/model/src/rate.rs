//! How fast a network may be.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bits in a second, as tc(8) writes them: `500kbit`, `10mbit`, `1gbit`. Units are powers
/// of 1000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BitRate(u64);

/// The slowest and the fastest that there is: below it a packet takes seconds.
const RANGE: std::ops::RangeInclusive<u64> = 8_000..=100_000_000_000;

const UNITS: [(&str, u64); 4] = [
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1000),
    ("bit", 1),
];

impl BitRate {
    /// The same in bytes.
    pub const fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .into_iter()
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
            .expect("everything is a multiple of one");
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Debug for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BitRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let found = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
        let (number, factor) = found.ok_or("it has a unit: `kbit`, `mbit` or `gbit`")?;
        let number: u64 = number
            .trim()
            .parse()
            .map_err(|_| "a whole number comes before the unit")?;
        let bits = number
            .checked_mul(*factor)
            .filter(|bits| RANGE.contains(bits));
        bits.map(Self)
            .ok_or("it lies between `8kbit` and `100gbit`")
    }
}

#[cfg(test)]
mod tests {
    use super::BitRate;

    #[test]
    fn rates_are_read_and_written_as_tc_does() {
        let read = |text: &str| text.parse::<BitRate>();
        assert_eq!(read("10mbit").unwrap().bytes_per_second(), 1_250_000);
        assert_eq!(read("10Mbit"), read("10000kbit"));
        assert_eq!(read("1500 kbit").unwrap().to_string(), "1500kbit");
        assert_eq!(read("1000mbit").unwrap().to_string(), "1gbit");
        for wrong in [
            "10", "10MB", "mbit", "1.5mbit", "7kbit", "101gbit", "-1mbit",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
