//! What the kernel offers, as safe functions. The only crate with unsafe code.

pub mod kmod;
pub mod lock;
pub mod namespace;
pub mod proc;
pub mod process;
pub mod virtio;
