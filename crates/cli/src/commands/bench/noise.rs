//! Whether anything else used this machine's processors meanwhile: then figures say
//! less than they seem to.

use std::time::Instant;

/// More than this share of all processors taken from us by a hypervisor is told.
const STOLEN: f64 = 0.02;

/// More than this share used by others when we begin is told.
const BUSY: f64 = 0.25;

/// Seconds over which we look before we begin.
const LOOK: std::time::Duration = std::time::Duration::from_millis(250);

/// What all processors did, in ticks, as the first line of proc_stat(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    stolen: u64,
    all: u64,
}

/// A look at the machine before a measurement.
pub struct Watch {
    before: Ticks,
    busy: f64,
    begun: Instant,
}

impl Watch {
    /// Looks for a moment at how busy the machine is without us.
    pub async fn begin() -> Self {
        let first = ticks();
        tokio::time::sleep(LOOK).await;
        let before = ticks();
        Self {
            before,
            busy: 1.0 - share(first, before, |ticks| ticks.idle).unwrap_or(1.0),
            begun: Instant::now(),
        }
    }

    /// What should be known of the time since, if anything.
    pub fn warnings(&self) -> Vec<String> {
        let stolen = share(self.before, ticks(), |ticks| ticks.stolen).unwrap_or(0.0);
        let mut warnings = Vec::new();
        if self.busy > BUSY {
            warnings.push(format!(
                "the machine was busy before it began: {:.0} % of its processors",
                self.busy * 100.0
            ));
        }
        if stolen > STOLEN {
            warnings.push(format!(
                "in {:.0} s {:.0} % of the processors were taken by the machine below",
                self.begun.elapsed().as_secs_f64(),
                stolen * 100.0
            ));
        }
        warnings
    }
}

fn ticks() -> Ticks {
    parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn parse(text: &str) -> Ticks {
    let line = text.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .map_while(|word| word.parse().ok())
        .collect();
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    Ticks {
        // Waiting for a disk leaves the processor free.
        idle: at(3) + at(4),
        stolen: at(7),
        // What guests use, at 8 and 9, is in the first two already.
        all: numbers.iter().take(8).sum(),
    }
}

fn share(before: Ticks, after: Ticks, of: impl Fn(Ticks) -> u64) -> Option<f64> {
    let all = after.all.checked_sub(before.all)?;
    let part = of(after).saturating_sub(of(before));
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_and_compared() {
        let text = "cpu  10 0 10 70 10 0 0 20 5 0\ncpu0 1 2 3\n";
        let later = parse(text);
        assert_eq!((later.idle, later.stolen, later.all), (80, 20, 120));
        let stolen = share(Ticks::default(), later, |ticks| ticks.stolen);
        assert_eq!(stolen, Some(20.0 / 120.0));
        assert_eq!(share(later, later, |ticks| ticks.idle), None);
        assert_eq!(parse(""), Ticks::default());
    }
}
