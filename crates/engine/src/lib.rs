//! Realises one layer — the networks and nodes that live in one place — and
//! keeps it as the lab file says.
//!
//! The same engine runs on the host, in the supervisor, and inside a node, in
//! its agent. What differs between the two is the [`Ground`] it stands on.
//! It never names a backend, prints nothing and reads no environment.
//!
//! ```text
//! up ──► networks ──► per node: image ► disks ► launch ► boot ► configure
//!                               ► files ► provision ► inside ► probe ► ready
//! ```
//!
//! One [`cell::NodeCell`] owns each node's state; an operation holds its lock,
//! everyone else watches. An operation that is dropped (its caller went away)
//! stops between two awaits and leaves a state that the next `up` continues.

mod carry;
mod cell;
mod console;
mod container;
mod disks;
mod engine;
mod fault;
mod firmware;
mod fork;
mod gate;
mod ground;
mod hearsay;
mod launch;
mod link;
mod lower;
mod memory;
mod node;
mod parcel;
mod pause;
mod probe;
mod provision;
mod record;
mod resize;
mod resume;
mod save;
mod seed;
mod snapshot;
mod start;
mod status;
mod still;
mod stop;
mod support;
mod targets;
mod template;

pub use console::{ConsoleHub, ConsoleSession};
pub use engine::{Config, Engine, LAYER_FILE};
pub use fault::Fault;
pub use ground::{BaseImage, Ground, GuestGround, HostGround, KitParts, Plug, Progress};
pub use support::Proofs;
pub use template::Templates;
