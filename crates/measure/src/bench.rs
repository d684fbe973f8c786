//! How fast a level is, by the same work at each.
//!
//! The work is done by a process of its own ([`run`]), which is started at whatever is
//! to be measured: on this machine, in a node, in a container. It tells each figure as
//! it has it, one JSON document per line ([`Line`]), and what its clock says before and
//! after, by which the reader finds out how that clock runs beside its own.

mod disk;
mod kernel;
mod memory;
pub mod network;
mod processor;
mod samples;

pub use kernel::NOTHING;

use nestlab_model::bench::{Better, Figure, Outcome};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Whole numbers and floating point.
    Processor,
    /// Bandwidth, latency, page faults.
    Memory,
    /// System calls, switches, processes, timers.
    Kernel,
    /// One after the other, at random, made durable.
    Disk,
}

impl Group {
    /// All that needs nobody else.
    pub const ALL: [Self; 4] = [Self::Processor, Self::Memory, Self::Kernel, Self::Disk];
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is measured.
    pub groups: Vec<Group>,
    /// Where files are written; the first of the usual folders that can be written to if
    /// `None`.
    pub folder: Option<PathBuf>,
    /// Who is spoken with: a name for the figures, and where [`network::serve`] listens.
    pub peers: Vec<(String, std::net::SocketAddr)>,
}

/// One line of what [`run`] writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Seconds of the clock by which all is timed. The first line and the last.
    Clock(f64),
    /// What became of one measurement.
    Outcome(Outcome),
}

/// Does all that is asked, and tells of each thing as it is done.
pub fn run(request: &Request, mut tell: impl FnMut(Line)) {
    let begun = Instant::now();
    let clock = || Line::Clock(begun.elapsed().as_secs_f64());
    tell(clock());
    let mut told = |outcome| tell(Line::Outcome(outcome));
    for group in &request.groups {
        match group {
            Group::Processor => processor::measure(&mut told),
            Group::Memory => memory::measure(&mut told),
            Group::Kernel => kernel::measure(&mut told),
            Group::Disk => disk::measure(request.folder.as_deref(), &mut told),
        }
    }
    for (name, address) in &request.peers {
        network::measure(name, *address, &mut told);
    }
    tell(clock());
}

/// A figure of how long one piece of work takes, told in a unit of which a second has
/// so many.
fn time(id: &str, unit: (&str, f64), seconds: io::Result<Vec<f64>>) -> Outcome {
    outcome(id, unit.0, Better::Lower, seconds, |time| time * unit.1)
}

/// A figure of how much is done in a second, from how long one piece takes that counts
/// so much.
fn rate(id: &str, unit: (&str, f64), seconds: io::Result<Vec<f64>>) -> Outcome {
    outcome(id, unit.0, Better::Higher, seconds, |time| unit.1 / time)
}

fn outcome(
    id: &str,
    unit: &str,
    better: Better,
    seconds: io::Result<Vec<f64>>,
    convert: impl Fn(f64) -> f64,
) -> Outcome {
    match seconds {
        Ok(seconds) => Outcome::Measured(Figure {
            id: id.to_owned(),
            unit: unit.to_owned(),
            better,
            samples: seconds.into_iter().map(convert).collect(),
        }),
        Err(error) => Outcome::Skipped {
            id: id.to_owned(),
            why: error.to_string(),
        },
    }
}

/// Units of time, and how many a second has.
const NANOSECONDS: (&str, f64) = ("ns", 1e9);
const MICROSECONDS: (&str, f64) = ("µs", 1e6);

const MIB: f64 = (1 << 20) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_told_between_two_looks_at_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request {
            groups: Group::ALL.to_vec(),
            folder: Some(folder.path().to_owned()),
            peers: Vec::new(),
        };
        let mut lines = Vec::new();
        run(&request, |line| lines.push(line));
        let Some((Line::Clock(first), rest)) = lines.split_first() else {
            panic!("{lines:?}");
        };
        let Some((Line::Clock(last), outcomes)) = rest.split_last() else {
            panic!("{lines:?}");
        };
        assert!(first < last);
        let mut ids = Vec::new();
        for line in outcomes {
            match line {
                Line::Outcome(Outcome::Measured(figure)) => {
                    assert!(figure.median() > 0.0, "{figure:?}");
                    ids.push(figure.id.as_str());
                }
                // The file system of the tests may be slow or in memory, but is there.
                other => panic!("{other:?}"),
            }
        }
        let known = [
            "processor.integer",
            "processor.float",
            "memory.bandwidth",
            "memory.latency",
            "memory.page-fault",
            "kernel.syscall",
            "kernel.switch",
            "kernel.process",
            "kernel.timer",
            "disk.write",
            "disk.read",
            "disk.read-4k",
            "disk.sync",
        ];
        assert_eq!(ids, known);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
