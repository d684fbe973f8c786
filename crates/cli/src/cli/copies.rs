//! Verbs that copy a lab, or keep it as it is.

use crate::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;
use nestlab_model::NodePath;

#[derive(Debug, Args)]
pub struct ForkArgs {
    /// The lab to copy, by name or id; the one of the lab file if none is given.
    /// With a snapshot of it, what that keeps is copied
    #[arg(value_name = "LAB[@SNAPSHOT]", add = ArgValueCompleter::new(complete::labs))]
    pub of: Option<String>,
    /// How many copies to make
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub count: u8,
    /// The name of the copy; of several, it is followed by a number
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Give every node of the copy a new machine-id and new ssh host keys
    #[arg(long)]
    pub new_identity: bool,
    /// Of containers of this machine, copy the files only: they begin anew in the copy, while
    /// machines go on
    #[arg(long)]
    pub disks_only: bool,
    /// Do not try first, on a lab that is made for it, whether machines that run others under
    /// KVM can be copied on this machine
    #[arg(long)]
    pub unproved: bool,
    /// Try that, whatever machines run under, and copy nothing
    #[arg(long, conflicts_with_all = ["of", "count", "name", "new_identity", "disks_only", "unproved", "argv"])]
    pub prove: bool,
    /// Run a program in the copy's network, with NESTLAB_LAB set to its name, and
    /// destroy the copy afterwards; exits as the program did
    #[arg(value_name = "CMD", last = true, conflicts_with = "count")]
    pub argv: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub verb: SnapshotVerb,
}

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Keep memory, disks and network of every level as they are at this moment
    Save {
        /// Its name; `snapshot-1` and on if none is given. A node before it is
        /// accepted, as Vagrant has it: the whole lab is kept all the same
        #[arg(value_name = "[NODE] NAME", num_args = 0..=2)]
        names: Vec<String>,
        /// Replace a snapshot of that name
        #[arg(short, long)]
        force: bool,
        /// Compress its memory: it takes less of the disk, and longer to restore
        #[arg(long)]
        compress: bool,
        /// Of containers of this machine, keep the files only: they begin anew when it is
        /// restored, while machines go on
        #[arg(long)]
        disks_only: bool,
    },
    /// List the lab's snapshots
    #[command(alias = "ls")]
    List {
        /// Accepted, as Vagrant has it: snapshots are the lab's
        #[arg(hide = true, value_parser = super::node)]
        node: Option<NodePath>,
    },
    /// Make the lab what it was; what it has become since is lost
    Restore {
        /// The snapshot; in a lab of one machine its name may come first
        #[arg(value_name = "[NODE] NAME", required = true, num_args = 1..=2, add = ArgValueCompleter::new(complete::snapshots))]
        names: Vec<String>,
        /// Accepted for habit's sake: no provisioner runs anyway
        #[arg(long, hide = true)]
        no_provision: bool,
    },
    /// Keep the lab as it is on top of a stack: `push-1` and on
    Push {
        /// Accepted, as Vagrant has it: the whole lab is kept all the same
        #[arg(hide = true, value_parser = super::node)]
        node: Option<NodePath>,
    },
    /// Make the lab what it was at the last `push`, and forget that
    Pop {
        /// In a lab of one machine it may be named, as Vagrant has it
        #[arg(hide = true, value_parser = super::node)]
        node: Option<NodePath>,
        /// Do not forget it
        #[arg(long)]
        no_delete: bool,
        /// Accepted for habit's sake: no provisioner runs anyway
        #[arg(long, hide = true)]
        no_provision: bool,
    },
    /// Forget a snapshot
    #[command(alias = "rm")]
    Delete {
        /// The snapshots
        #[arg(value_name = "NAME", required = true, add = ArgValueCompleter::new(complete::snapshots))]
        names: Vec<String>,
    },
    /// Show what a snapshot keeps
    Inspect {
        /// The snapshot
        #[arg(add = ArgValueCompleter::new(complete::snapshots))]
        name: String,
    },
}
