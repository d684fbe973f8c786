//! What a level was measured to do.

use serde::{Deserialize, Serialize};

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// As work done in a time is.
    Higher,
    /// As the time of one piece of work is.
    Lower,
}

/// One figure: the same work, measured a few times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// A stable name, such as `kernel.syscall`.
    pub id: String,
    /// What one sample counts, such as `µs`.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// In the order in which they were taken.
    pub samples: Vec<f64>,
}

/// What became of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was measured.
    Measured(Figure),
    /// It could not be, and why.
    Skipped {
        /// The figure's name.
        id: String,
        /// Why there is none.
        why: String,
    },
}

impl Figure {
    /// The sample that half of the others are below; of an even number the mean of the
    /// two in the middle. Zero if there are none.
    pub fn median(&self) -> f64 {
        quantile(&self.samples, 0.5)
    }

    /// How far the samples are from each other: between the first and the third quarter,
    /// as a share of the median.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        match median > 0.0 {
            true => (quantile(&self.samples, 0.75) - quantile(&self.samples, 0.25)) / median,
            false => 0.0,
        }
    }

    /// How good this is beside the same figure of another level: 1 is as good, a half is
    /// twice as slow. `None` where either is zero or they are no such pair.
    pub fn share_of(&self, other: &Self) -> Option<f64> {
        let (ours, theirs) = (self.median(), other.median());
        let comparable = self.id == other.id && self.unit == other.unit;
        (comparable && ours > 0.0 && theirs > 0.0).then(|| match self.better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours,
        })
    }

    /// The figure as it is by a clock in which a second of the one it was taken by lasts
    /// `stretch` seconds.
    #[must_use]
    pub fn by_another_clock(mut self, stretch: f64) -> Self {
        let factor = match self.better {
            Better::Higher => 1.0 / stretch,
            Better::Lower => stretch,
        };
        self.samples.iter_mut().for_each(|sample| *sample *= factor);
        self
    }
}

/// As the usual linear interpolation has it. Zero of nothing.
fn quantile(samples: &[f64], at: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = at * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(better: Better, samples: &[f64]) -> Figure {
        Figure {
            id: "x".into(),
            unit: "µs".into(),
            better,
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn the_middle_and_the_spread() {
        let one = figure(Better::Lower, &[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(one.median(), 3.0);
        assert_eq!(one.spread(), 2.0 / 3.0);
        assert_eq!(figure(Better::Lower, &[1.0, 2.0]).median(), 1.5);
        let none = figure(Better::Lower, &[]);
        assert_eq!((none.median(), none.spread()), (0.0, 0.0));
    }

    #[test]
    fn a_share_says_how_much_is_left() {
        let share =
            |better, ours, theirs| figure(better, &[ours]).share_of(&figure(better, &[theirs]));
        assert_eq!(share(Better::Higher, 5.0, 10.0), Some(0.5));
        assert_eq!(share(Better::Lower, 20.0, 10.0), Some(0.5));
        assert_eq!(share(Better::Lower, 0.0, 10.0), None);
        let mut other = figure(Better::Lower, &[1.0]);
        other.unit = "ns".into();
        assert_eq!(figure(Better::Lower, &[1.0]).share_of(&other), None);
    }

    #[test]
    fn a_clock_that_runs_slow_makes_all_look_fast() {
        let time = figure(Better::Lower, &[10.0]).by_another_clock(2.0);
        assert_eq!(time.samples, [20.0]);
        let rate = figure(Better::Higher, &[10.0]).by_another_clock(2.0);
        assert_eq!(rate.samples, [5.0]);
    }
}
