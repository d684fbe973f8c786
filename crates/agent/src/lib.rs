//! The API at a level: guest services, the layer's routes, the supervisor's life.

mod archive;
mod blobs;
mod carry;
mod configure;
mod dial;
pub mod examine;
mod exec;
mod files;
mod grow;
mod guest;
mod info;
mod layer;
mod node;
mod power;
mod rejection;
mod serve;
pub mod supervisor;
mod tail;
mod upgrade;

pub use archive::{pack, unpack};
pub use guest::{Guest, GuestConfig, Reach, guest_routes};
pub use node::{LinkPlace, NodeConfig, run_node};
pub use serve::{LINK_PORT, run_agent, run_inherited, serve_connection, serve_link, serve_unix};

#[cfg(test)]
mod tests;
