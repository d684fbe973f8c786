//! Mounts that are in no place yet: made from a path, changed, then put somewhere. What
//! covers the path in the meantime does not matter to them.

use crate::namespace::{in_locked_copy, owner_with};
use nix::libc;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Users and groups of a container: its root is `first` outside, and so on for `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ids {
    /// What 0 is outside.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// A mount that is in no place yet. It is gone when dropped.
#[derive(Debug)]
pub struct Detached(OwnedFd);

impl Detached {
    /// The tree of mounts at a path once more: a bind mount.
    ///
    /// # Errors
    /// As open_tree(2), Linux 5.2.
    pub fn of(path: &Path) -> io::Result<Self> {
        let path = c_string(path)?;
        let flags =
            libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as libc::c_uint;
        // SAFETY: the path is a C string that lives through the call, which returns a
        // new descriptor or -1.
        let fd =
            unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
        descriptor(fd).map(Self)
    }

    /// Has files that belong to 0 inside the mount belong to `ids.first`, and so on.
    ///
    /// # Errors
    /// As mount_setattr(2) with MOUNT_ATTR_IDMAP, Linux 5.12: the file system cannot do
    /// it, or we are not root.
    pub fn shift(&self, ids: Ids) -> io::Result<()> {
        let owner = owner_with(ids)?;
        self.set(libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: 0,
            userns_fd: owner.as_fd().as_raw_fd() as u64,
        })
    }

    /// Lets nobody write through it.
    ///
    /// # Errors
    /// As mount_setattr(2).
    pub fn read_only(&self) -> io::Result<()> {
        self.set(libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_RDONLY,
            attr_clr: 0,
            propagation: 0,
            userns_fd: 0,
        })
    }

    fn set(&self, attributes: libc::mount_attr) -> io::Result<()> {
        // SAFETY: an empty path means the descriptor itself; the structure lives through
        // the call and its size is told.
        let done = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
                &raw const attributes,
                size_of::<libc::mount_attr>(),
            )
        };
        succeeded(done)
    }

    /// Puts it on an existing file or folder.
    ///
    /// # Errors
    /// As move_mount(2).
    pub fn put(self, at: &Path) -> io::Result<()> {
        let at = c_string(at)?;
        // SAFETY: both paths are C strings that live through the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_FDCWD,
                at.as_ptr(),
                libc::MOVE_MOUNT_F_EMPTY_PATH,
            )
        };
        succeeded(done)
    }
}

/// The trees at some paths once more, so that whoever may mount cannot make writable again what
/// is read-only of them. For a process with one thread, which has lost its working directory
/// afterwards.
///
/// # Errors
/// As unshare(2), setns(2), open_tree(2).
pub fn locked(paths: &[PathBuf]) -> io::Result<Vec<Detached>> {
    in_locked_copy(|| paths.iter().map(|path| Detached::of(path)).collect())
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

fn succeeded(done: libc::c_long) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn descriptor(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: a descriptor that was just made, which nobody else has.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
