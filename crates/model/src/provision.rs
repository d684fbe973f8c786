//! What is done to a node once it answers, and how one knows that it is ready.

use crate::{FileSource, NodePath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A step that sets a node up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioner {
    /// What messages call the step: the given name or the script's file name.
    pub name: String,
    /// When it runs.
    pub run: RunPolicy,
    /// What it does.
    pub action: ProvisionAction,
    /// Environment beside the node's own.
    pub env: BTreeMap<String, String>,
}

/// When a provisioner runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunPolicy {
    /// Until it has succeeded once on this node's disk (and again when its content changes).
    Once,
    /// At every `up` that starts or converges the node.
    Always,
    /// Only when asked for by name.
    Never,
}

/// What a provisioner does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionAction {
    /// Runs a program text, by its `#!` line or else by `/bin/sh`.
    Shell {
        /// The text.
        script: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Copies a file or folder in.
    File(FileCopy),
}

impl ProvisionAction {
    /// What steps of its kind are called together.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shell",
            Self::File(_) => "file",
        }
    }
}

/// A playbook that Ansible applies to one node. It runs where the lab file is, once the
/// whole tree is up, and is therefore no step of the node's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbook {
    /// The node.
    pub node: NodePath,
    /// What messages call the step.
    pub name: String,
    /// When it runs.
    pub run: RunPolicy,
    /// The file.
    pub file: PathBuf,
    /// Groups of the inventory that the node belongs to, beside its own.
    pub groups: Vec<String>,
    /// Variables beside those of the inventory.
    pub extra_vars: BTreeMap<String, String>,
    /// Further arguments of `ansible-playbook`.
    pub args: Vec<String>,
    /// Environment of `ansible-playbook`.
    pub env: BTreeMap<String, String>,
}

impl Playbook {
    /// What all of them are called together.
    pub const KIND: &'static str = "ansible";
}

/// A file or folder copied into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCopy {
    /// Where the bytes come from.
    pub source: FileSource,
    /// An absolute path in the node.
    pub target: String,
    /// Permission bits of a single file; those of the source by default.
    pub mode: Option<u32>,
}

/// A test that tells whether a node is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is tried, inside the node.
    pub check: ProbeCheck,
    /// Time between two tries.
    pub interval: Duration,
    /// Time after which the node has failed.
    pub timeout: Duration,
    /// What the user is told to look at when it never succeeds.
    pub hint: Option<String>,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeCheck {
    /// A command line for `/bin/sh -c` that must exit with 0.
    Exec {
        /// The command line.
        command: String,
    },
    /// A TCP address that must accept a connection.
    Tcp {
        /// Host and port as the node sees them, such as `localhost:22`.
        address: String,
    },
    /// An HTTP address that must answer with a 2xx status.
    Http {
        /// An `http://` address as the node sees it.
        url: String,
        /// Text that the body must contain.
        matches: Option<String>,
    },
}
