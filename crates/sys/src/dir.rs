//! Folders of our own, and names short enough for sockets and interfaces.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// 12 hexadecimal digits that stand for some words. Equal words give equal
/// digits in every build (FNV-1a).
pub fn short_name(words: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for word in words {
        for byte in word.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // The upper bits of FNV mix least; fold them in.
    format!("{:012x}", (hash ^ (hash >> 48)) & 0xffff_ffff_ffff)
}

/// Makes a folder and its parents, for us alone (mode 0700).
///
/// # Errors
/// As mkdir(2); `PermissionDenied` if it exists and belongs to another user,
/// who could then change what we put there.
pub fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it exists and is not a folder of ours",
        ));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// A folder for one test.
#[cfg(test)]
pub(crate) fn scratch(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("nestlab-sys-{name}-{}", std::process::id()));
    make_private(&path).unwrap();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_short_and_distinct() {
        assert_eq!(short_name(&["lab", "one"]).len(), 12);
        assert_ne!(short_name(&["lab", "one"]), short_name(&["la", "bone"]));
    }
}
