//! The command line: every verb and its arguments, in the words of its help.

mod copies;
mod inside;
mod life;
mod truth;
mod vagrant;

pub use copies::*;
pub use inside::*;
pub use life::*;
pub use truth::*;
pub use vagrant::*;

use crate::complete;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use nestlab_model::{ImageName, NodePath};
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
    /// Take IMAGE where a Vagrantfile says NAME; may be given again
    #[arg(long, value_name = "NAME=IMAGE", value_parser = pair, global = true)]
    pub box_alias: Vec<(String, String)>,
    /// Read a Vagrantfile as if for this provider of Vagrant's (or set
    /// VAGRANT_DEFAULT_PROVIDER)
    #[arg(long, value_name = "NAME", global = true)]
    pub provider: Option<String>,
    /// Write JSON to standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Write to standard output what Vagrant writes for scripts:
    /// `TIME,NODE,TYPE,DATA…`
    #[arg(long, conflicts_with = "json", global = true)]
    pub machine_readable: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to use colours (NO_COLOR is honoured too)
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: When,
    /// What `--color never` is in Vagrant's words
    #[arg(long, hide = true, global = true)]
    pub no_color: bool,
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
    Status(StatusArgs),
    /// Run the provisioners of nodes that run again
    Provision(ProvisionArgs),
    /// Halt nodes and bring them up again, as the lab file has them now
    Reload(ReloadArgs),
    /// Copy the files and folders of the lab file into nodes that run again
    Rsync(SuspendArgs),
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
    /// Power nodes off and keep memory and disks: `halt --save`
    Suspend(SuspendArgs),
    /// Let paused and saved nodes go on
    Resume(PauseArgs),
    /// Make running copies of a lab, as it is at this moment
    Fork(ForkArgs),
    /// Keep the lab as it is, to go back to or to fork from
    Snapshot(SnapshotArgs),
    /// Make a disk of a node larger, at once if it runs
    Resize(ResizeArgs),
    /// Power nodes off and keep their disks
    Halt(HaltArgs),
    /// Remove nodes and everything they wrote
    Destroy(DestroyArgs),
    /// Wait until nodes are ready
    Wait(WaitArgs),
    /// List all labs of this machine
    #[command(visible_alias = "global-status")]
    Ls(LsArgs),
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
    Port(PortArgs),
    /// Print what OpenSSH, scp, rsync and Ansible need to reach nodes
    SshConfig(SshConfigArgs),
    /// Print an inventory for Ansible, whose hosts are reached by ssh
    Inventory(SshConfigArgs),
    /// Connect standard input and output to a port in a node
    Connect(ConnectArgs),
    /// Work with images
    Image(ImageArgs),
    /// Work with images, in the words of Vagrant
    Box(BoxArgs),
    /// Write the lab file that a Vagrantfile amounts to
    Convert(ConvertArgs),
    /// Says that there is no need for one
    #[command(hide = true)]
    Plugin(PluginArgs),
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
    /// Fetch images: those of the lab that come from elsewhere, or any by name
    Pull {
        /// Images by name, of the lab or built in, or in a registry as `docker://debian:12`
        names: Vec<String>,
        /// Take what publishers have today, and not what `nestlab.lock` says
        #[arg(long)]
        upgrade: bool,
    },
    /// Take a disk image, a Vagrant box or a container image (an archive, or the folder of
    /// an OCI image layout) in
    Import {
        /// The file
        file: PathBuf,
        /// Its name in lab files; that of the file if none is given
        #[arg(long)]
        name: Option<ImageName>,
    },
    /// Write the disk of an image to a file
    Export {
        /// The image, by name
        name: String,
        /// The new file
        file: PathBuf,
    },
    /// Check whether images are what they were when they were made
    Verify {
        /// Images by name; all if none is given
        names: Vec<String>,
    },
    /// Remove images that no lab uses, by name
    #[command(visible_alias = "remove")]
    Rm {
        /// Images by name
        #[arg(required = true)]
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

/// The path of a node. A Vagrantfile may give machines names that no node has: such a name
/// means the node that its machine became.
pub fn node(text: &str) -> Result<NodePath, String> {
    let found = text.parse::<NodePath>();
    let lower = text.to_lowercase().replace(['_', '.'], "-");
    match lower.parse() {
        Ok(path) if found.is_err() => Ok(path),
        _ => found.map_err(|error| error.to_string()),
    }
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
    fn names_of_machines_mean_their_nodes() {
        let check = |text: &str, expected: &str| {
            let found = node(text).map(|path| path.to_string());
            assert_eq!(found.unwrap_or_default(), expected, "{text}");
        };
        check("l1/web-1", "l1/web-1");
        check(".", ".");
        check("k8s_Master", "k8s-master");
        check("db.example.com", "db-example-com");
        check("a b", "");
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
