//! Verbs that reach into nodes and networks.

use crate::complete;
use clap::Args;
use clap_complete::ArgValueCompleter;
use nestlab_model::NodePath;

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
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = super::pair)]
    pub env: Vec<(String, String)>,
    /// Run in this folder
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
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
pub struct SshConfigArgs {
    /// Log in as this user, and not as root
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Nodes meant; all that are ready if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
}

#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// The node
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// A TCP port in it
    #[arg(value_name = "PORT")]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct SshArgs {
    /// Run this shell command instead of opening a shell
    #[arg(short, long, value_name = "CMD", conflicts_with = "argv")]
    pub command: Option<String>,
    /// Log in as this user
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Give the command a terminal
    #[arg(short, long, overrides_with = "no_tty")]
    pub tty: bool,
    /// Give the command no terminal (the default)
    #[arg(long, hide = true)]
    pub no_tty: bool,
    /// The node; may be left out in a lab of one
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub path: Option<NodePath>,
    /// Words of a shell command, as ssh takes them
    #[arg(value_name = "CMD", last = true)]
    pub argv: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PortArgs {
    /// Nodes meant, with all inside them; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Print only the port of this machine that leads to this port of the node
    #[arg(long, value_name = "PORT")]
    pub guest: Option<u16>,
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
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
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
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
}

#[derive(Debug, Args)]
pub struct NetArgs {
    /// The node in whose network to run; the lab's top layer if left out
    #[arg(value_name = "PATH", default_value = ".", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// The program and its arguments
    #[arg(value_name = "CMD", required = true, last = true)]
    pub argv: Vec<String>,
}
