//! How things look: the tree of a lab, the progress of an operation.

pub mod progress;
pub mod tree;

use std::time::Duration;

/// A span of time as people say it: `41.2 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// An amount of bytes in round figures.
pub fn bytes(amount: u64) -> String {
    let mib = amount as f64 / f64::from(1 << 20);
    match amount {
        0..0x100000 => format!("{} KiB", amount >> 10),
        0x100000..0x40000000 => format!("{mib:.0} MiB"),
        _ => format!("{:.1} GiB", mib / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let check = |seconds: f64, expected: &str| {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), expected);
        };
        check(0.04, "0.0 s");
        check(41.23, "41.2 s");
        check(185.0, "3 m 05 s");
        check(7800.0, "2 h 10 m");
        check(273_600.0, "3 d 4 h");
        assert_eq!(bytes(400 << 20), "400 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(4096), "4 KiB");
    }
}
