//! What crosses a level: the messages of the API, the link that carries it,
//! and the client that speaks it.
//!
//! Parents call, children only answer. Every level serves the same routes; a
//! path is reached by asking each level in turn to relay bytes to its child.

pub mod client;
pub mod link;
pub mod message;
pub mod openapi;
pub mod route;

mod random;
