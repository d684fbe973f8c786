//! Verbs that find out what works, and how fast it is.

use crate::complete;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use nestlab_model::NodePath;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A lab whose levels are looked into as well; only this machine if none is given
    #[arg(value_name = "LAB", add = ArgValueCompleter::new(complete::labs))]
    pub of: Option<String>,
    /// Nodes of it; all if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Boot no kernels, which takes seconds
    #[arg(long)]
    pub quick: bool,
    /// Boot kernels again, even if that was done since this machine started
    #[arg(long, conflicts_with = "quick")]
    pub fresh: bool,
    /// Bring up so many machines, each in the one before, to see how deep it goes
    #[arg(long, value_name = "LEVELS", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub depth: Option<u8>,
    /// Have every level of the lab try to connect to HOST:PORT
    #[arg(long, value_name = "HOST:PORT", requires = "of")]
    pub reach: Option<String>,
    /// Mend what mends without losing anything (of the named nodes, if any are); every
    /// command is shown and asked about
    #[arg(long)]
    pub fix: bool,
    /// Show what crashed labs have left behind, and remove it
    #[arg(long, conflicts_with_all = ["of", "fix", "quick", "fresh", "depth"])]
    pub orphans: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// A lab whose levels are measured as well; only this machine if none is given
    #[arg(value_name = "LAB", add = ArgValueCompleter::new(complete::labs))]
    pub of: Option<String>,
    /// Nodes of it, with those they stand in; of every layer the first if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Measure only this; may be given again
    #[arg(long, value_name = "WHAT")]
    pub only: Vec<BenchGroup>,
    /// Write a page with a chart to FILE, or the chart alone if it ends in `.svg`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchGroup {
    /// Whole numbers and floating point
    Processor,
    /// Bandwidth, latency, page faults
    Memory,
    /// System calls, switches, processes, timers
    Kernel,
    /// One after the other, at random, made durable
    Disk,
    /// To the parent and to a sibling
    Network,
    /// How long it took to boot, and how long a program takes from here
    Node,
}

impl From<nestlab_measure::bench::Group> for BenchGroup {
    fn from(group: nestlab_measure::bench::Group) -> Self {
        use nestlab_measure::bench::Group;
        match group {
            Group::Processor => Self::Processor,
            Group::Memory => Self::Memory,
            Group::Kernel => Self::Kernel,
            Group::Disk => Self::Disk,
        }
    }
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Only these, with commas between them; all that this machine can run if not given
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    pub backends: Vec<Isolation>,
    /// What the machines run
    #[arg(long, default_value = "debian")]
    pub image: String,
    /// Write a page with the table to FILE
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}

/// A way to keep a program apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    /// A process and nothing else
    Process,
    /// A container, by the first OCI runtime that works
    Container,
    /// A virtual machine with few devices
    Microvm,
    /// A virtual machine
    Vm,
    /// A virtual machine inside another
    Nested,
}

impl Isolation {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
            Self::Microvm => "microVM",
            Self::Vm => "VM",
            Self::Nested => "nested VM",
        }
    }
}
