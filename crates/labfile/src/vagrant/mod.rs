//! A Vagrantfile becomes a lab.
//!
//! ```text
//! text ─nestlab-ruby─► calls ─host─► scopes ─config─► machines ─tree─► document ─► the resolver
//!                                                                          └────► YAML
//! ```
//!
//! The evaluator runs the Ruby of the file and asks `host` what `Vagrant` and `config` mean.
//! What a block says is kept in a scope of its own; `config` lays scopes over each other as
//! Vagrant does, which gives the machines as Vagrant sees them (`machine`). From there on it
//! is a translation: each room reads its part of a machine and writes its part of a lab file,
//! with marks that point into the Vagrantfile, so every check of lab files points there, too.
//! What has no meaning here is a warning, once; what would change the result is an error.

mod ansible;
mod boxes;
mod config;
mod datum;
mod document;
mod folder;
mod host;
mod image;
mod machine;
mod network;
mod notes;
mod ports;
mod provider;
mod provision;
mod shell;
mod tree;
mod trigger;

pub use host::PLUGINS;

use crate::files::Files;
use crate::report::{Mark, Report};
use crate::yaml::Tree;
use nestlab_model::{ImageName, ImageSpec};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a Vagrantfile is told about the world. Nothing of it is looked up here.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The environment that the file sees as `ENV`. `HOME` and `VAGRANT_DEFAULT_PROVIDER` count
    /// here, too.
    pub env: BTreeMap<String, String>,
    /// The provider whose blocks count (`--provider`).
    pub provider: Option<String>,
    /// What boxes stand for: the name of an image, a file, or an address.
    pub box_aliases: BTreeMap<String, String>,
    /// Plugins that `Vagrant.has_plugin?` says yes to, beside those whose work is done here. If
    /// there are none it says yes to all: what is said to a plugin is a warning at most, while
    /// a file that misses one gives up.
    pub plugins: BTreeSet<String>,
    /// What Vagrantfiles may be called as well.
    pub file_name: Option<String>,
}

impl Settings {
    /// Whether a path is that of a Vagrantfile.
    pub(crate) fn is_vagrantfile(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        is_vagrantfile(path) || (name.is_some() && name == self.file_name.as_deref())
    }
}

/// What a Vagrantfile says about one of its machines and a lab file has no key for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VagrantMachine {
    /// Its name in the Vagrantfile.
    pub name: String,
    /// The node that it became.
    pub node: String,
    /// Whether it is the one that is meant when none is named.
    pub primary: bool,
    /// Whether it comes up without being named.
    pub autostart: bool,
    /// The provider whose blocks counted.
    pub provider: String,
    /// Its box, as the file calls it.
    pub box_name: Option<String>,
}

/// All machines of a file.
pub(crate) struct Machines {
    all: Vec<machine::Machine>,
    /// The file's top.
    top: Mark,
}

/// A Vagrantfile as a lab file.
pub(crate) struct Lab {
    document: document::Node,
    pub machines: Vec<VagrantMachine>,
}

impl Lab {
    /// What the resolver reads.
    pub fn tree(&self) -> Tree {
        self.document.tree()
    }

    /// The same as YAML.
    pub fn yaml(&self, heading: &str) -> String {
        self.document.clone().comment(heading).yaml()
    }
}

/// Whether a path is that of a Vagrantfile: `Vagrantfile`, or `*.Vagrantfile`.
pub(crate) fn is_vagrantfile(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| name == "vagrantfile" || name.ends_with(".vagrantfile"))
}

/// The image that is nearest to a box of this name.
pub(crate) fn image_of_box<'a>(
    name: &str,
    known: &'a BTreeMap<ImageName, ImageSpec>,
) -> Option<&'a ImageName> {
    match boxes::guess(name) {
        boxes::Guess::Stock(family, release) => {
            boxes::nearest(family, release.as_deref(), known.keys())
        }
        _ => None,
    }
}

/// Reads a Vagrantfile. `None` if there is nothing to go on with, which was reported.
pub(crate) fn read(
    path: &Path,
    text: &str,
    number: usize,
    world: &World<'_>,
    report: &mut Report,
) -> Option<Lab> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let machines = host::evaluate(path, text, number, world, report)?;
    let context = tree::Context {
        files: world.files,
        settings: world.settings,
        folder,
        known: world.known,
    };
    Some(Lab {
        document: tree::lab(&machines, &context, report),
        machines: machines.all.iter().map(VagrantMachine::of).collect(),
    })
}

/// The machines of a Vagrantfile as JSON, as Vagrant sees them; for tests.
pub(crate) fn dump(
    path: &Path,
    text: &str,
    number: usize,
    world: &World<'_>,
    report: &mut Report,
) -> Option<serde_json::Value> {
    let machines = host::evaluate(path, text, number, world, report)?;
    Some(machines.all.iter().map(machine::Machine::json).collect())
}

/// What surrounds a Vagrantfile.
pub(crate) struct World<'a> {
    pub files: &'a dyn Files,
    pub settings: &'a Settings,
    /// Images that can be named.
    pub known: &'a BTreeMap<ImageName, ImageSpec>,
}

impl VagrantMachine {
    fn of(machine: &machine::Machine) -> Self {
        Self {
            name: machine.name.clone(),
            node: network::name_of(&machine.name, "machine"),
            primary: machine.primary,
            autostart: machine.autostart,
            provider: machine.provider.clone(),
            box_name: machine.vm.text("box"),
        }
    }
}
