//! The command line: every verb and its arguments, in the words of its help.

use crate::complete;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use nestlab_model::NodePath;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it did not work
  2    wrong usage, or mistakes in the lab file
  3    no such lab or node
  4    this machine lacks something that is needed
  130  interrupted
  255  `exec` or `ssh` lost its connection

`exec` and `ssh` otherwise exit as the program did.";

const DOCTOR_CODES: &str = "\
Exit codes:
  0    all is well
  1    labs work, but slower or with a risk
  2    something is broken";

/// Labs of machines inside machines, from one file
#[derive(Debug, Parser)]
#[command(name = "nestlab", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(disable_help_subcommand = true, infer_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Look for the lab file in DIR or above it, instead of here
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Use this lab file
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// Use a lab known on this machine, by name or id, wherever its file is (or
    /// set NESTLAB_LAB)
    #[arg(short, long, value_name = "NAME", global = true, add = ArgValueCompleter::new(complete::labs))]
    pub lab: Option<String>,
    /// Set a variable of the lab file; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, global = true)]
    pub set: Vec<(String, String)>,
    /// Write JSON to standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to use colours (NO_COLOR is honoured too)
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: When,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a lab file to begin with
    Init(InitArgs),
    /// Bring the lab up, or make it as the file says
    Up(UpArgs),
    /// Show the tree: what runs, on what, since when
    Status,
    /// Run a program in a node
    Exec(ExecArgs),
    /// Open a login shell in a node
    Ssh(SshArgs),
    /// Copy files and folders into or out of a node
    Cp(CpArgs),
    /// Show what a node's console, agent, provisioners or VMM wrote
    Logs(LogsArgs),
    /// Sit at a node's serial console (Ctrl-] leaves)
    Console(NodeArgs),
    /// Stop the virtual CPUs of nodes, and of all inside them
    Pause(PauseArgs),
    /// Let paused and saved nodes go on
    Resume(PauseArgs),
    /// Make running copies of a lab, as it is at this moment
    Fork(ForkArgs),
    /// Keep the lab as it is, to go back to or to fork from
    Snapshot(SnapshotArgs),
    /// Power nodes off and keep their disks
    Halt(HaltArgs),
    /// Remove nodes and everything they wrote
    Destroy(DestroyArgs),
    /// Wait until nodes are ready
    Wait(WaitArgs),
    /// List all labs of this machine
    Ls,
    /// Find out what works here, or at every level of a lab, and what mends the rest
    #[command(after_help = DOCTOR_CODES)]
    Doctor(DoctorArgs),
    /// Measure how fast this machine and the levels of a lab are
    Bench(BenchArgs),
    /// Measure what processes, containers and machines cost here, side by side
    Compare(CompareArgs),
    /// Check the lab file and report every mistake
    Validate,
    /// Show what `up` would do, level by level
    Plan,
    /// Run a program of this machine inside a layer's network
    Net(NetArgs),
    /// List the forwarded ports that listen
    Port,
    /// Work with images
    Image(ImageArgs),
    /// Print the JSON Schema of the lab file
    Schema,
    /// Print the OpenAPI description of the API
    ApiDescription,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// What to begin with
    #[arg(value_name = "STARTER", default_value = "hello")]
    pub starter: String,
    /// List the starters, and write nothing
    #[arg(long)]
    pub list: bool,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Nodes to bring up, with all they need; everything if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Run every provisioner again, even those that have run
    #[arg(long, overrides_with = "no_provision")]
    pub provision: bool,
    /// Run no provisioners
    #[arg(long)]
    pub no_provision: bool,
    /// Bring a new lab up that is made from a starter, without a lab file of your own, and
    /// print its id; `destroy` removes its file as well
    #[arg(long, value_name = "NAME", conflicts_with = "paths")]
    pub starter: Option<String>,
    /// Boot every machine, even if there is a template to start it from
    #[arg(long)]
    pub cold: bool,
    /// Wait until everything is ready (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Go on in the background; `nestlab wait` waits
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Send standard input (the default; for habit's sake)
    #[arg(short, long, conflicts_with = "no_stdin")]
    pub interactive: bool,
    /// Send no standard input
    #[arg(short = 'n', long)]
    pub no_stdin: bool,
    /// Give the program a terminal, even if this is none
    #[arg(short, long, conflicts_with = "no_tty")]
    pub tty: bool,
    /// Give the program no terminal
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// Start the program, print its process id and leave it running
    #[arg(short, long)]
    pub detach: bool,
    /// Set an environment variable; may be given again
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Run in this folder
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub argv: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SshArgs {
    /// Run this shell command instead of opening a shell
    #[arg(short, long, value_name = "CMD")]
    pub command: Option<String>,
    /// Log in as this user
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
}

#[derive(Debug, Args)]
pub struct CpArgs {
    /// What to copy: a path here, or `NODE:PATH`
    #[arg(value_name = "[NODE:]SRC")]
    pub source: String,
    /// Where to: a path here, or `NODE:PATH`
    #[arg(value_name = "[NODE:]DST")]
    pub target: String,
    /// Ignored: folders are always copied whole
    #[arg(short, long, hide = true)]
    pub recursive: bool,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The node; `.` for the lab's supervisor
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// Go on showing what is added
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the last N lines
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub lines: Option<u64>,
    /// What the guest wrote to its console (the default)
    #[arg(long, group = "kind")]
    pub console: bool,
    /// What the agent in the node wrote
    #[arg(long, group = "kind")]
    pub agent: bool,
    /// What the provisioners wrote
    #[arg(long, group = "kind")]
    pub provision: bool,
    /// What the VMM wrote
    #[arg(long, group = "kind")]
    pub vmm: bool,
}

#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The node
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
}

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
    /// Do not try first, on a lab that is made for it, whether machines that run others under
    /// KVM can be copied on this machine
    #[arg(long)]
    pub unproved: bool,
    /// Try that, whatever machines run under, and copy nothing
    #[arg(long, conflicts_with_all = ["of", "count", "name", "new_identity", "unproved", "argv"])]
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
        /// Its name; `snapshot-1` and on if none is given
        name: Option<String>,
        /// Compress its memory: it takes less of the disk, and longer to restore
        #[arg(long)]
        compress: bool,
    },
    /// List the lab's snapshots
    #[command(alias = "ls")]
    List,
    /// Make the lab what it was; what it has become since is lost
    Restore {
        /// The snapshot
        #[arg(add = ArgValueCompleter::new(complete::snapshots))]
        name: String,
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

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Nodes meant, with all inside them; everything if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
}

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

#[derive(Debug, Args)]
pub struct HaltArgs {
    /// Nodes to halt with all inside them; everything if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Keep the memory as well: the next `up` goes on from there, a plain `halt` drops it
    #[arg(short, long, conflicts_with_all = ["force", "timeout"])]
    pub save: bool,
    /// Pull the plug at once
    #[arg(short, long)]
    pub force: bool,
    /// Pull the plug after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// Nodes to remove with all inside them; the whole lab if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Do not ask
    #[arg(short = 'f', long = "yes", alias = "force", short_alias = 'y')]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Nodes to wait for; everything if none is given
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

#[derive(Debug, Args)]
pub struct NetArgs {
    /// The node in whose network to run; the lab's top layer if left out
    #[arg(value_name = "PATH", default_value = ".", add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// The program and its arguments
    #[arg(value_name = "CMD", required = true, last = true)]
    pub argv: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ImageArgs {
    #[command(subcommand)]
    pub verb: ImageVerb,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
    /// List the images that the store holds
    Ls,
    /// Make images of the lab that are not there yet
    Build {
        /// Images by name; all that the lab's nodes use if none is given
        names: Vec<String>,
    },
    /// Show what an image is made from and where it is
    Inspect {
        /// The image, by name
        name: String,
    },
    /// Remove images that no lab uses
    Prune,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// A shell that has completions.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

/// `KEY=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("written KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_of_exec_keeps_its_options() {
        let check = |line: &[&str]| {
            let cli = Cli::try_parse_from(line).unwrap();
            let Verb::Exec(args) = cli.verb else {
                panic!("{line:?}")
            };
            args.argv
        };
        let expected = ["ls", "-l", "--json"];
        assert_eq!(
            check(&["nestlab", "exec", "l1", "--", "ls", "-l", "--json"]),
            expected
        );
        assert_eq!(
            check(&["nestlab", "exec", "-it", "l1", "ls", "-l", "--json"]),
            expected
        );
    }
}
