//! Verbs by which labs come, stand still and go.

use crate::complete;
use clap::Args;
use clap_complete::ArgValueCompleter;
use nestlab_api::message::{NewSize, ResizeRequest};
use nestlab_model::{ByteSize, NodePath};

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
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Run every provisioner again, even those that have run
    #[arg(long, overrides_with = "no_provision")]
    pub provision: bool,
    /// Run no provisioners
    #[arg(long)]
    pub no_provision: bool,
    /// Run these provisioners again and no others: by name, even if their `run` is
    /// `never`, or by kind (`shell`, `file`)
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        conflicts_with = "no_provision"
    )]
    pub provision_with: Option<Vec<String>>,
    /// Bring a new lab up that is made from a starter, without a lab file of your own, and
    /// print its id; `destroy` removes its file as well
    #[arg(long, value_name = "NAME", conflicts_with = "paths")]
    pub starter: Option<String>,
    /// Boot every machine, even if there is a template to start it from
    #[arg(long)]
    pub cold: bool,
    /// Install packages that are missing here without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Wait until everything is ready (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Go on in the background; `nestlab wait` waits
    #[arg(long)]
    pub no_wait: bool,
    /// Options of Vagrant's that ask for what is done anyway
    #[arg(long, hide = true)]
    pub parallel: bool,
    #[arg(long, hide = true)]
    pub no_destroy_on_error: bool,
    #[arg(long, hide = true)]
    pub install_provider: bool,
    #[arg(long, hide = true)]
    pub no_install_provider: bool,
}

#[derive(Debug, Args)]
pub struct ProvisionArgs {
    /// Nodes meant, with all inside them; everything that runs if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Only these: by name, even if their `run` is `never`, or by kind (`shell`, `file`)
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub provision_with: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Nodes meant, with all inside them; everything that was brought up if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Run every provisioner again, even those that have run
    #[arg(long, overrides_with = "no_provision")]
    pub provision: bool,
    /// Run no provisioners
    #[arg(long)]
    pub no_provision: bool,
    /// Run these provisioners again and no others, as `up --provision-with` does
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        conflicts_with = "no_provision"
    )]
    pub provision_with: Option<Vec<String>>,
    /// Pull the plug instead of asking
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct SuspendArgs {
    /// Nodes meant, with all inside them; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Nodes to show, with all inside them; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    /// Accepted for habit's sake: a lab that is gone is never listed
    #[arg(long, hide = true)]
    pub prune: bool,
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Nodes meant, with all inside them; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
}

#[derive(Debug, Args)]
pub struct ResizeArgs {
    /// The node
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub path: NodePath,
    /// How large it shall be, or by how much larger; a disk beside the root by its name
    #[arg(long, value_name = "[NAME=][+]SIZE", value_parser = new_size)]
    pub disk: ResizeRequest,
}

fn new_size(text: &str) -> Result<ResizeRequest, String> {
    let (name, size) = match text.split_once('=') {
        Some((name, size)) => (Some(name), size),
        None => (None, text),
    };
    let disk = match name.filter(|name| *name != "root") {
        Some(name) => Some(name.parse().map_err(|error| format!("{error}"))?),
        None => None,
    };
    let bytes = |text: &str| text.parse::<ByteSize>().map_err(|error| error.to_string());
    let size = match size.strip_prefix('+') {
        Some(more) => NewSize::By(bytes(more)?),
        None => NewSize::To(bytes(size)?),
    };
    Ok(ResizeRequest { disk, size })
}

#[derive(Debug, Args)]
pub struct HaltArgs {
    /// Nodes to halt with all inside them; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
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
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Do not ask
    #[arg(short = 'f', long = "yes", alias = "force", short_alias = 'y')]
    pub yes: bool,
    /// Options of Vagrant's about how it is done, not what
    #[arg(long, hide = true)]
    pub parallel: bool,
    #[arg(short, long, hide = true)]
    pub graceful: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Nodes to wait for; everything if none is given
    #[arg(value_name = "PATH", value_parser = super::node, add = ArgValueCompleter::new(complete::nodes))]
    pub paths: Vec<NodePath>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}
