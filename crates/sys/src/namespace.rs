//! Namespaces of a lab, entered by processes on their way to exec.

use crate::detached::Ids;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::ForkResult;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Open handles to the user (if not our own), network and mount namespace (if wanted) of
/// a lab or a container. They keep the namespaces alive.
#[derive(Debug, Clone)]
pub struct Namespaces(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    user: Option<OwnedFd>,
    net: OwnedFd,
    mount: Option<OwnedFd>,
}

impl Namespaces {
    /// Opens the namespaces of a running process.
    ///
    /// # Errors
    /// The process is gone or not ours.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::open(pid, true, true)
    }

    /// Opens the network of a running process: what is run in it has our own files, and
    /// is root of that network. Root of the machine is so by itself, and would not be
    /// root any more in a user namespace that does not know it.
    ///
    /// # Errors
    /// The process is gone or not ours.
    pub fn network_of_process(pid: u32) -> io::Result<Self> {
        Self::open(pid, !crate::users::is_root(), false)
    }

    fn open(pid: u32, with_user: bool, with_mounts: bool) -> io::Result<Self> {
        let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}")).map(OwnedFd::from);
        let same_user = std::fs::read_link("/proc/self/ns/user")?
            == std::fs::read_link(format!("/proc/{pid}/ns/user"))?;
        Ok(Self(Arc::new(Handles {
            user: (with_user && !same_user)
                .then(|| open("user"))
                .transpose()?,
            net: open("net")?,
            mount: with_mounts.then(|| open("mnt")).transpose()?,
        })))
    }

    /// Whether these include a user namespace other than our own.
    pub fn has_user(&self) -> bool {
        self.0.user.is_some()
    }

    /// Whether a process is in this network namespace.
    pub fn holds_network_of(&self, pid: u32) -> bool {
        use std::os::unix::fs::MetadataExt;
        let same = || -> io::Result<bool> {
            let ours = nix::sys::stat::fstat(self.0.net.as_fd())?;
            let theirs = std::fs::metadata(format!("/proc/{pid}/ns/net"))?;
            Ok(ours.st_ino == theirs.ino() && ours.st_dev == theirs.dev())
        };
        same().unwrap_or(false)
    }

    /// Moves the calling thread in. The process must be single-threaded if the
    /// user namespace differs (setns(2)), as it is between fork and exec.
    ///
    /// # Errors
    /// As setns(2).
    pub fn enter(&self) -> io::Result<()> {
        let enter = |fd: &OwnedFd, flag| setns(fd.as_fd(), flag).map_err(io::Error::from);
        if let Some(user) = &self.0.user {
            enter(user, CloneFlags::CLONE_NEWUSER)?;
        }
        enter(&self.0.net, CloneFlags::CLONE_NEWNET)?;
        match &self.0.mount {
            Some(mount) => enter(mount, CloneFlags::CLONE_NEWNS),
            None => Ok(()),
        }
    }

    /// Has a command run inside these namespaces.
    pub fn attach(&self, command: &mut tokio::process::Command) {
        let namespaces = self.clone();
        // SAFETY: between fork and exec only async-signal-safe calls are
        // allowed; `enter` makes setns system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || namespaces.enter());
        }
    }
}

/// A user namespace with a map and nobody in it: what mount_setattr(2) wants to know
/// owners by. For a process with one thread.
///
/// # Errors
/// Only root may map users that it is not (user_namespaces(7)).
pub(crate) fn owner_with(ids: Ids) -> io::Result<OwnedFd> {
    let holder = Holder::start(CloneFlags::CLONE_NEWUSER)?;
    let map = format!("0 {} {}\n", ids.first, ids.count);
    std::fs::write(holder.file("uid_map"), &map)?;
    std::fs::write(holder.file("gid_map"), &map)?;
    File::open(holder.file("ns/user")).map(OwnedFd::from)
}

/// Does something in a copy of our mount namespace that belongs to another user namespace: the
/// kernel has locked there what is read-only (mount_namespaces(7)). For a process with one
/// thread, which has lost its working directory afterwards.
///
/// # Errors
/// As unshare(2) and setns(2), or what is done fails.
pub(crate) fn in_locked_copy<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let own = File::open("/proc/self/ns/mnt")?;
    let holder = Holder::start(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    let copy = File::open(holder.file("ns/mnt"))?;
    setns(copy, CloneFlags::CLONE_NEWNS)?;
    let done = work();
    setns(own, CloneFlags::CLONE_NEWNS)?;
    done
}

/// A process in namespaces of its own that does nothing until it is dropped.
struct Holder {
    process: nix::unistd::Pid,
    /// Closed, it ends the process.
    end: Option<std::io::PipeWriter>,
}

impl Holder {
    /// For a process with one thread.
    fn start(kinds: CloneFlags) -> io::Result<Self> {
        let (mut told, tell) = std::io::pipe()?;
        let (mut ended, end) = std::io::pipe()?;
        // SAFETY: this process has one thread, so the child may do whatever we may.
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Child => {
                drop((told, end));
                let error = unshare(kinds).map_or_else(|errno| errno as i32, |()| 0);
                let mut tell = tell;
                let _ = tell.write_all(&error.to_ne_bytes());
                let _ = io::copy(&mut ended, &mut io::sink());
                // SAFETY: ends this child at once, leaving the parent's things alone.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop((tell, ended));
                let holder = Self {
                    process: child,
                    end: Some(end),
                };
                let mut error = [0; size_of::<i32>()];
                told.read_exact(&mut error)?;
                match i32::from_ne_bytes(error) {
                    0 => Ok(holder),
                    error => Err(io::Error::from_raw_os_error(error)),
                }
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.process).into()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = nix::sys::wait::waitpid(self.process, None);
    }
}
