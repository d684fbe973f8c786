//! The engine on machines that only pretend, with real agents in them.

mod any_order;
mod bench;
mod forks;
mod ground;
mod snapshots;
mod stories;
mod templates;
