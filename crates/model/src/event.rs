//! What happens in a lab, as data. The CLI's progress, `--json` and a web page
//! are consumers of the same stream.

use crate::{Accelerator, NodePath, NodeState, Stage};
use serde::{Deserialize, Serialize};

/// One thing that happened, at one node (or at the layer itself: the host path).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where. Each level that passes an event on prefixes its own path.
    pub path: NodePath,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventKind {
    /// The node entered a state.
    State {
        /// The new state.
        #[serde(flatten)]
        state: NodeState,
    },
    /// Something worth saying within a stage, such as the package being built.
    Progress {
        /// The stage it belongs to.
        stage: Stage,
        /// A short sentence.
        message: String,
    },
    /// A provisioner wrote a line.
    Output {
        /// The provisioner's name.
        step: String,
        /// Which stream.
        stream: LogStream,
        /// The line without its end.
        line: String,
    },
    /// The accelerator was chosen, and why.
    Accelerator {
        /// Which.
        accelerator: Accelerator,
        /// Why not the better one, if so.
        reason: Option<String>,
    },
    /// Odd but survived.
    Warning {
        /// What, and what to do.
        message: String,
    },
    /// The level dropped this many events because the reader was too slow.
    Lagged {
        /// How many.
        missed: u64,
    },
}
