//! The networks of one layer: bridges, taps, addresses and packet rules, and on
//! the host the namespaces that they live in and the way out of them.
//!
//! What is to be done is planned as text by pure functions ([`plan`]) and
//! carried out by `ip` and `nft`, run inside the place. On the host the place is
//! the lab's own namespaces, so nothing of this machine's own interfaces,
//! routes, rules or settings is ever touched. Called by the engine.

mod cable;
mod error;
mod gateway;
mod hosts;
mod layer;
mod limits;
mod namespace;
mod others;
mod plan;
mod program;

pub use cable::Cable;
pub use error::NetworkError;
pub use gateway::Gateway;
pub use hosts::hosts;
pub use layer::{LayerNetwork, Place};
pub use namespace::LabNamespace;
pub use plan::{NetPlan, bridge_name, plan, tap_name};
