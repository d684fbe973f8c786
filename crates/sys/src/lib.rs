//! What the kernel offers, as safe functions. The only crate with unsafe code.

pub mod atomic;
pub mod clock;
pub mod cow;
pub mod dir;
pub mod disk;
pub mod hostname;
pub mod identity;
pub mod keeper;
pub mod kmod;
pub mod lock;
pub mod mount;
pub mod namespace;
pub mod proc;
pub mod process;
pub mod pty;
pub mod random;
mod ready;
pub mod socket;
pub mod terminal;
pub mod users;
pub mod virtio;
