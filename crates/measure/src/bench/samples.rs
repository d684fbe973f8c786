//! Repetition: how often a piece of work is done for one sample, and how many there are.

use std::io;
use std::time::{Duration, Instant};

/// The shortest that a sample may take: far more than a clock's grain and a timer tick.
const SHORTEST: Duration = Duration::from_millis(40);

/// How many samples there are.
const COUNT: usize = 9;

/// Seconds that one piece of work takes, a few times over. `work` does as many pieces as
/// it is told. What it takes to find out how many make a sample warms the caches up.
pub(super) fn seconds(mut work: impl FnMut(u64) -> io::Result<()>) -> io::Result<Vec<f64>> {
    let mut pieces = 1;
    loop {
        let took = timed(|| work(pieces))?;
        if took >= SHORTEST {
            break;
        }
        let factor = SHORTEST.as_secs_f64() / took.as_secs_f64().max(1e-9) * 1.25;
        pieces = (pieces as f64 * factor.clamp(2.0, 50.0)) as u64;
    }
    let sample = |_| Ok(timed(|| work(pieces))?.as_secs_f64() / pieces as f64);
    (0..COUNT).map(sample).collect()
}

/// As [`seconds`] of work that cannot fail.
pub(super) fn of(mut work: impl FnMut(u64)) -> io::Result<Vec<f64>> {
    seconds(|pieces| {
        work(pieces);
        Ok(())
    })
}

/// How long some work takes.
pub(super) fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_lasts_long_enough_to_be_timed() {
        let mut most = 0;
        let samples = seconds(|pieces| {
            most = pieces.max(most);
            std::thread::sleep(Duration::from_micros(50) * u32::try_from(pieces).unwrap());
            Ok(())
        });
        let samples = samples.unwrap();
        assert_eq!(samples.len(), COUNT);
        assert!(samples.iter().all(|seconds| *seconds >= 50e-6));
        assert!(most >= 100, "{most}");
        assert!(seconds(|_| Err(io::ErrorKind::NotFound.into())).is_err());
    }
}
