//! How much room there is, and how much a file really takes.

use std::io;
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

/// Whether a file has holes.
///
/// # Errors
/// As stat(2).
pub fn is_sparse(path: &Path) -> io::Result<bool> {
    let found = std::fs::metadata(path)?;
    Ok(found.blocks() * 512 < found.len())
}
