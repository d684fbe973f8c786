//! Namespaces of a lab, entered by processes on their way to exec.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Open handles to the user (if not our own), network and mount namespace of a
/// lab. They keep the namespaces alive.
#[derive(Debug, Clone)]
pub struct Namespaces(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    user: Option<OwnedFd>,
    net: OwnedFd,
    mount: OwnedFd,
}

impl Namespaces {
    /// Opens the namespaces of a running process.
    ///
    /// # Errors
    /// The process is gone or not ours.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}")).map(OwnedFd::from);
        let same_user = std::fs::read_link("/proc/self/ns/user")?
            == std::fs::read_link(format!("/proc/{pid}/ns/user"))?;
        Ok(Self(Arc::new(Handles {
            user: if same_user { None } else { Some(open("user")?) },
            net: open("net")?,
            mount: open("mnt")?,
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
        enter(&self.0.mount, CloneFlags::CLONE_NEWNS)
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
