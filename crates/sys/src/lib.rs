//! What the kernel offers, as safe functions. The only crate with unsafe code.

pub mod atomic;
pub mod bare;
pub mod block;
pub mod clock;
pub mod confine;
pub mod cow;
pub mod detached;
pub mod dir;
pub mod disk;
pub mod echo;
pub mod group;
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
#[cfg(target_arch = "x86_64")]
pub mod remap;
pub mod socket;
pub mod terminal;
pub mod users;
pub mod virtio;
pub mod xattr;

/// Only written for x86-64 so far.
#[cfg(not(target_arch = "x86_64"))]
pub mod remap {
    /// # Errors
    /// Always.
    pub fn copy_on_write(_: u32, _: &std::path::Path, _: &std::path::Path) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
