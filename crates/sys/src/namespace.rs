//! Namespaces of a lab, entered by processes on their way to exec.

use crate::detached::Ids;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::ForkResult;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
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
    let (mut ready, tell_ready) = std::io::pipe()?;
    let (mut done, tell_done) = std::io::pipe()?;
    // SAFETY: this process has one thread, so the child may do whatever we may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => {
            drop((ready, tell_done));
            if unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
                drop(tell_ready);
                let _ = io::copy(&mut done, &mut io::sink());
            }
            // SAFETY: ends this child at once, leaving the parent's things alone.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop((tell_ready, done));
            let _ = io::copy(&mut ready, &mut io::sink());
            let map = format!("0 {} {}\n", ids.first, ids.count);
            let of = |file: &str| format!("/proc/{child}/{file}");
            let opened = std::fs::write(of("uid_map"), &map)
                .and_then(|()| std::fs::write(of("gid_map"), &map))
                .and_then(|()| File::open(of("ns/user")));
            drop(tell_done);
            nix::sys::wait::waitpid(child, None)?;
            opened.map(OwnedFd::from)
        }
    }
}
