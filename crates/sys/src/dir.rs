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

/// Removes a folder with all that is in it, folders too that even their owner may not
/// enter: an overlay has such ones, and so may what was in a container. Nothing there is
/// no error.
///
/// # Errors
/// As unlink(2), rmdir(2).
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            std::fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets the owner enter a folder and all below it. What cannot be changed shows later.
fn open_up(path: &Path) {
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Renames a file or folder; it is on disk under the new name when this returns.
///
/// # Errors
/// As rename(2), fsync(2).
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_parent(to)
}

/// Has two files or folders change their names in one step.
///
/// # Errors
/// As renameat2(2) with RENAME_EXCHANGE, fsync(2); both must exist.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)?;
    sync_parent(one)?;
    sync_parent(other)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
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
    fn names_are_exchanged() {
        let folder = scratch("exchange");
        let [one, other] = ["one", "other"].map(|name| folder.join(name));
        std::fs::write(&one, "1").unwrap();
        assert!(exchange(&one, &other).is_err(), "one is missing");
        std::fs::write(&other, "2").unwrap();
        exchange(&one, &other).unwrap();
        assert_eq!(std::fs::read_to_string(&one).unwrap(), "2");
        rename(&one, &other).unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "2");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn short_names_are_short_and_distinct() {
        assert_eq!(short_name(&["lab", "one"]).len(), 12);
        assert_ne!(short_name(&["lab", "one"]), short_name(&["la", "bone"]));
    }

    #[test]
    fn folders_that_nobody_may_enter_are_removed() {
        let around = scratch("remove");
        let closed = around.join("a/closed");
        std::fs::create_dir_all(closed.join("below")).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
        remove(&around).unwrap();
        assert!(!around.exists());
        remove(&around).unwrap();
    }
}
