//! Folders for what is being made: each locked by its maker, so that whatever
//! nobody holds is known to be left over.

use crate::ImageError;
use nix::errno::Errno;
use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where builds work whose store others cannot enter: on a disk, not in memory.
const SHARED: &str = "/var/tmp";

/// How much room a build must find on the disk, in bytes.
const ROOM: u64 = 1 << 30;

/// A folder of something that is being made: gone when dropped, unless it was
/// renamed.
pub(crate) struct Scratch {
    /// The folder.
    pub path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a new folder below another. The kernel lets go of its lock when we
    /// end, however that is.
    pub fn new(parent: &Path, mode: u32) -> Result<Self, ImageError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}-{number}", prefix(), std::process::id());
        let path = parent.join(name);
        let cannot = || format!("make {}", path.display());
        remove(&path);
        std::fs::DirBuilder::new()
            .mode(mode)
            .create(&path)
            .and_then(|()| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)))
            .map_err(ImageError::io(cannot()))?;
        let lock = File::open(&path).map_err(ImageError::io(cannot()))?;
        lock.lock().map_err(ImageError::io(cannot()))?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Ours are known by this: other users' lie in the same shared folder.
fn prefix() -> String {
    format!("nestlab-{}-", nix::unistd::geteuid())
}

/// Where mmdebstrap works: the root of its namespace, nobody here, must be able
/// to reach it.
pub(crate) struct Workplace(Scratch);

impl Workplace {
    /// In `scratch` if others can enter that, else in a shared place. Nothing in
    /// it belongs to others than us and the namespace's root.
    pub fn new(scratch: &Path) -> Result<Self, ImageError> {
        let parent = if is_reachable(scratch) {
            scratch
        } else {
            Path::new(SHARED)
        };
        sweep(Path::new(SHARED));
        need_room(parent)?;
        Scratch::new(parent, 0o711).map(Self)
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

/// A full disk is said before the work, not in its middle.
pub(crate) fn need_room(folder: &Path) -> Result<(), ImageError> {
    let stat = nix::sys::statvfs::statvfs(folder).map_err(|error| {
        ImageError::io(format!("look for room in {}", folder.display()))(error.into())
    })?;
    let free = stat.blocks_available() * stat.fragment_size();
    if free >= ROOM {
        return Ok(());
    }
    Err(ImageError::io(format!(
        "make an image: {} has {} MiB free and {} MiB are needed",
        folder.display(),
        free >> 20,
        ROOM >> 20
    ))(Errno::ENOSPC.into()))
}

fn is_reachable(path: &Path) -> bool {
    path.ancestors()
        .all(|folder| std::fs::metadata(folder).is_ok_and(|m| m.mode() & 0o001 != 0))
}

/// Removes what makers that are gone have left below a folder.
pub(crate) fn sweep(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        if !entry.file_name().to_string_lossy().starts_with(&prefix()) {
            continue;
        }
        let path = entry.path();
        let held = File::open(&path).is_ok_and(|folder| is_held(&folder));
        if !held {
            remove(&path);
        }
    }
}

fn is_held(folder: &File) -> bool {
    matches!(folder.try_lock(), Err(TryLockError::WouldBlock))
}

/// Who can remove what builds leave behind that are killed: it belongs to our subordinate
/// ids, in folders of theirs (mmdebstrap's) or of our own.
const REMOVERS: [&[&str]; 2] = [
    &["mmdebstrap", "--unshare-helper", "rm", "-rf"],
    &["unshare", "--map-root-user", "--map-auto", "rm", "-rf"],
];

/// Removes a folder.
fn remove(path: &Path) {
    for remover in REMOVERS {
        if !path.exists() || std::fs::remove_dir_all(path).is_ok() {
            return;
        }
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut command = Command::new(remover[0]);
        command
            .args(&remover[1..])
            .args(entries.map(|entry| entry.path()));
        let _ = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
    let _ = std::fs::remove_dir_all(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let held = Scratch::new(parent.path(), 0o700).unwrap();
        let left = parent.path().join(format!("{}1-1", prefix()));
        let foreign = parent.path().join("nestlab-x");
        std::fs::create_dir(&left).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        sweep(parent.path());
        assert!(held.path.exists() && foreign.exists());
        assert!(!left.exists());
    }
}
