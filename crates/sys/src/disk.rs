//! How much room there is, and how much a file really takes.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that an ordinary user can still write where `path` lies.
///
/// # Errors
/// As statvfs(3).
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types differ between platforms"
    )]
    Ok((found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64))
}

/// Bytes of the whole file system in which `path` lies.
///
/// # Errors
/// As statvfs(3).
pub fn total_bytes(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types differ between platforms"
    )]
    Ok((found.blocks() as u64).saturating_mul(found.fragment_size() as u64))
}

/// Bytes of a block of the file system in which `path` lies.
///
/// # Errors
/// As statvfs(3).
pub fn block_bytes(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types differ between platforms"
    )]
    Ok(found.block_size() as u64)
}

/// The number of a device (stat(2)) in the words of proc_pid_mountinfo(5): `254:1`.
pub fn device_number(device: u64) -> String {
    use nix::sys::stat::{major, minor};
    format!("{}:{}", major(device), minor(device))
}

/// Brings a file to disk.
///
/// # Errors
/// As open(2), fsync(2).
pub fn sync(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

/// Bytes that a file takes on its disk; fewer than its length if it is sparse.
///
/// # Errors
/// As stat(2).
pub fn allocated_bytes(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.blocks() * 512)
}

/// Makes a file that shares all blocks of another: ioctl_ficlone(2).
///
/// # Errors
/// As open(2); as ioctl_ficlone(2) where the file system cannot do it.
pub fn reflink(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (std::fs::File::open(from)?, std::fs::File::create_new(to)?);
    // SAFETY: both descriptors are open for the whole call, and nothing is written to
    // memory of ours.
    unsafe { ioctl::ficlone(to.as_raw_fd(), from.as_raw_fd()) }?;
    Ok(())
}

mod ioctl {
    nix::ioctl_write_int_bad!(ficlone, nix::libc::FICLONE);
}

/// Whether a file has holes.
///
/// # Errors
/// As stat(2).
pub fn is_sparse(path: &Path) -> io::Result<bool> {
    let found = std::fs::metadata(path)?;
    Ok(found.blocks() * 512 < found.len())
}
