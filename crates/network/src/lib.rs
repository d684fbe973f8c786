//! The networks of one layer: a bridge per network, a tap per endpoint, rules
//! between them, and the way out of a lab.
//!
//! What is to stand is planned as text without touching anything ([`plan`]),
//! then carried out by `ip` and `nft` within the layer's place: the namespaces
//! of a lab, or the machine itself when the layer is inside a node. Nothing
//! here knows about machines; the engine asks for taps by node and network.

mod error;
mod gateway;
mod hosts;
mod layer;
mod namespace;
mod place;
pub mod plan;
mod tool;

pub use error::NetworkError;
pub use gateway::Gateway;
pub use hosts::hosts;
pub use layer::LayerNetwork;
pub use namespace::LabNamespace;
pub use place::Place;
