//! What those who come from Vagrant type, where Nestlab has no verb of its own for it.

use clap::{Args, Subcommand};
use nestlab_model::ImageName;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The Vagrantfile; the lab at hand if none is given
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub vagrantfile: Option<PathBuf>,
    /// Where to write it; `nestlab.yaml` beside the Vagrantfile if none is given
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Write it to standard output
    #[arg(long, conflicts_with_all = ["output", "force"])]
    pub stdout: bool,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct BoxArgs {
    #[command(subcommand)]
    pub verb: BoxVerb,
}

/// What to do with boxes: images under the names of Vagrant's verbs.
#[derive(Debug, Subcommand)]
pub enum BoxVerb {
    /// List the images that the store holds (`image ls`)
    #[command(alias = "ls")]
    List {
        /// Accepted for habit's sake
        #[arg(short = 'i', long, hide = true)]
        box_info: bool,
    },
    /// Take a file in (`image import`), or fetch an image by name (`image pull`)
    Add {
        /// A file, or the name of a box or image
        #[arg(value_name = "FILE|NAME")]
        address: String,
        /// Its name; that of the file if none is given
        #[arg(long)]
        name: Option<ImageName>,
        /// Accepted for habit's sake: what is there already stays
        #[arg(short, long, hide = true)]
        force: bool,
    },
    /// Remove images that no lab uses, by name (`image rm`)
    #[command(alias = "rm")]
    Remove {
        /// Boxes or images by name
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Accepted for habit's sake: one that a lab uses is not removed
        #[arg(short, long, hide = true)]
        force: bool,
        /// Accepted for habit's sake: a name is all of its versions
        #[arg(long, hide = true)]
        all: bool,
    },
    /// Remove images that no lab uses (`image prune`)
    Prune {
        /// Accepted for habit's sake
        #[arg(short, long, hide = true)]
        force: bool,
    },
    /// Take what publishers have today (`image pull --upgrade`)
    Update,
    /// Tell how to find out what publishers have today
    Outdated {
        /// Accepted for habit's sake
        #[arg(long, hide = true)]
        global: bool,
    },
}

#[derive(Debug, Args)]
pub struct PluginArgs {
    /// As Vagrant takes it
    #[arg(
        value_name = "VERB",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<String>,
}
