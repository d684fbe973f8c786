//! Shutting a program into a folder: for what a stranger's files do when they are run.

use crate::mount;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pivot_root};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What root keeps (capabilities(7)): what Docker grants, but for making device nodes.
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
/// SYS_CHROOT, AUDIT_WRITE, SETFCAP.
const KEPT: [libc::c_ulong; 13] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31];

/// What of /proc changes the machine, and what shows its secrets.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const MASKED: [&str; 4] = ["kcore", "keys", "sched_debug", "timer_list"];

/// Runs a command in PID, mount, IPC and UTS namespaces of its own, with a folder as its root,
/// and gives its exit code. Nothing outside that folder is there for it, nor are its processes
/// once it has ended; the network is the caller's. For root, of a user namespace at least, in a
/// process with one thread.
///
/// # Errors
/// As unshare(2), fork(2), waitpid(2). What fails inside is written to standard error.
pub fn run(root: &Path, command: &mut Command) -> io::Result<i32> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: this process has one thread, so the child may do whatever we may.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let error = shut_in(root).map_or_else(|error| error, |()| command.exec());
            eprintln!("cannot run in {}: {error}", root.display());
            // SAFETY: ends this child at once, leaving the parent's things alone.
            unsafe { libc::_exit(126) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, code) => Ok(code),
            WaitStatus::Signaled(_, signal, _) => Ok(128 + signal as i32),
            other => Err(io::Error::other(format!("it has not ended: {other:?}"))),
        },
    }
}

/// Has a folder be all that there is. Its own links are not followed: `proc` is a folder in it.
fn shut_in(root: &Path) -> io::Result<()> {
    die_with_parent()?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
    mount::make_private()?;
    mount::bind(root, root)?;
    std::env::set_current_dir(root)?;
    show_processes(Path::new("proc"))?;
    // The old root lies over the new one then, and is taken away (pivot_root(2)).
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    give_up_capabilities()
}

/// Mounts the /proc of our PID namespace.
fn show_processes(at: &Path) -> io::Result<()> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    nix::mount::mount(Some("proc"), at, Some("proc"), quiet, None::<&str>)?;
    for name in READ_ONLY {
        let place = at.join(name);
        if place.exists() {
            mount::bind(&place, &place)?;
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | quiet;
            nix::mount::mount(None::<&str>, &place, None::<&str>, flags, None::<&str>)?;
        }
    }
    for name in MASKED {
        let place = at.join(name);
        if place.exists() {
            mount::bind(Path::new("/dev/null"), &place)?;
        }
    }
    Ok(())
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: prctl takes numbers here.
    succeeded(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// What root is not given back by running a program.
fn give_up_capabilities() -> io::Result<()> {
    for number in 0.. {
        // SAFETY: prctl takes numbers here.
        let has = unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) };
        if has < 0 {
            // Behind the last that the kernel knows.
            break;
        }
        if !KEPT.contains(&number) {
            // SAFETY: as above.
            succeeded(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) })?;
        }
    }
    // SAFETY: as above.
    succeeded(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

fn succeeded(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
