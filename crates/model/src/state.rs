//! How far a node has come.
//!
//! ```text
//!            ┌──────────── start ───────────┐
//!            ▼                              │
//! absent ─► starting(stage…) ─► ready ─► halting ─► halted
//!               │      ▲          │ ▲
//!               │      │          │ └─ pause, resume ─► paused
//!               │      │          └─ halt --save, up ─► saved
//!               ▼      │ up       ▼ (VMM or agent gone)
//!             failed(stage) ◄─────┘
//! ```

use crate::{Accelerator, NodeKind, NodeName, NodePath, PortForward};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The steps from nothing to ready, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Waits for the nodes it depends on.
    Waiting,
    /// Its image is fetched or built.
    Image,
    /// Its disks are made.
    Disks,
    /// The VMM is started.
    Launch,
    /// The kernel boots until the agent answers.
    Boot,
    /// The agent sets host name, addresses and names.
    Configure,
    /// Files are copied in.
    Files,
    /// Provisioners run.
    Provision,
    /// What is inside comes up.
    Inside,
    /// The readiness probe is tried.
    Probe,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Image => "image",
            Self::Disks => "disks",
            Self::Launch => "launch",
            Self::Boot => "boot",
            Self::Configure => "configure",
            Self::Files => "files",
            Self::Provision => "provision",
            Self::Inside => "inside",
            Self::Probe => "probe",
        })
    }
}

/// What a node is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum NodeState {
    /// It does not exist.
    Absent,
    /// It is on its way.
    Starting {
        /// How far it is.
        stage: Stage,
    },
    /// Everything the file asks of it is true.
    Ready,
    /// Its virtual CPUs, and those of all that stands inside it, stand still.
    Paused,
    /// It is told to power off.
    Halting,
    /// It is powered off; its disks are kept.
    Halted,
    /// It does not run; its memory and devices are kept as well as its disks, and
    /// it goes on from there.
    Saved,
    /// A step did not work. The VMM may still run.
    Failed {
        /// Which step.
        stage: Stage,
        /// What happened, on which object, and why.
        reason: String,
        /// What to type or look at next.
        hint: Option<String>,
    },
}

impl NodeState {
    /// One word for tables.
    pub fn word(&self) -> String {
        match self {
            Self::Absent => "absent".into(),
            Self::Starting { stage } => format!("starting ({stage})"),
            Self::Ready => "ready".into(),
            Self::Paused => "paused".into(),
            Self::Halting => "halting".into(),
            Self::Halted => "halted".into(),
            Self::Saved => "saved".into(),
            Self::Failed { stage, .. } => format!("failed ({stage})"),
        }
    }
}

/// What is known of one node, and of everything inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Its path from the host.
    pub path: NodePath,
    /// Its depth; 1 on the host.
    pub level: usize,
    /// What it is doing.
    #[serde(flatten)]
    pub state: NodeState,
    /// What kind of node it is.
    #[serde(default)]
    pub kind: NodeKind,
    /// The backend that realises it.
    pub backend: String,
    /// The accelerator it really runs on, while it runs.
    pub accelerator: Option<Accelerator>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Seconds since its VMM was started, but for the time that its level stood still.
    pub uptime_seconds: Option<u64>,
    /// Milliseconds that its last start took until its agent answered.
    #[serde(default)]
    pub boot_millis: Option<u64>,
    /// Memory it was given, in bytes.
    pub memory_bytes: u64,
    /// Memory of this level its VMM really holds, in bytes.
    pub resident_bytes: Option<u64>,
    /// How many programs in it the kernel of its level has ended since it started, as it
    /// needed more memory than it may have: of a container.
    #[serde(default)]
    pub killed_for_memory: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// The image it runs.
    pub image: String,
    /// The process id of its VMM in its level.
    pub pid: Option<u32>,
    /// Ports forwarded to it or to nodes inside it.
    pub ports: Vec<PortForward>,
    /// What stands inside; `None` if its agent did not answer.
    pub inside: Option<LayerStatus>,
}

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LayerStatus {
    /// Its nodes in the order of the file.
    pub nodes: Vec<NodeStatus>,
}

impl LayerStatus {
    /// Every node of the tree, parents before children.
    pub fn walk(&self) -> Vec<&NodeStatus> {
        self.nodes
            .iter()
            .flat_map(|node| {
                let below = node.inside.iter().flat_map(LayerStatus::walk);
                std::iter::once(node).chain(below)
            })
            .collect()
    }

    /// Whether every node of the tree is ready.
    pub fn all_ready(&self) -> bool {
        self.walk()
            .iter()
            .all(|node| node.state == NodeState::Ready)
    }
}
