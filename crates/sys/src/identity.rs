//! The user that a program runs as.

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::io;
use tokio::process::Command;

/// Has a command run as a user with all its groups. Only root may. The command
/// must not be given a user by other means.
pub fn assume(command: &mut Command, uid: u32, gid: u32, groups: Vec<u32>) {
    let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed;
    // these are system calls on memory that was made before the fork. In the
    // child there is one thread, so that glibc has none to bring along.
    unsafe {
        command.pre_exec(move || {
            setgroups(&groups).map_err(io::Error::from)?;
            setgid(Gid::from_raw(gid)).map_err(io::Error::from)?;
            setuid(Uid::from_raw(uid)).map_err(io::Error::from)
        });
    }
}

/// Sends a signal to a process group.
///
/// # Errors
/// As kill(2); there is no such signal.
pub fn signal_group(leader: u32, signal: i32) -> io::Result<()> {
    let leader = i32::try_from(leader).map_err(|_| io::ErrorKind::InvalidInput)?;
    let signal = nix::sys::signal::Signal::try_from(signal)?;
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), signal).map_err(io::Error::from)
}

/// Sends a signal to PID 1.
///
/// # Errors
/// As kill(2).
pub fn signal_init(signal: nix::sys::signal::Signal) -> io::Result<()> {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(1), signal).map_err(io::Error::from)
}
