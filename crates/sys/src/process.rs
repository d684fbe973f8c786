//! Processes that outlive the one that started them.

pub use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;

/// A process by number and start time, so that a reused number is not mistaken
/// for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of proc(5) stat).
    pub start_time: u64,
}

impl ProcessId {
    /// Identifies a running process.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start_time = parse_start_time(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, start_time })
    }

    /// Whether this very process still runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        parse_start_time(&stat) == Some(self.start_time) && !is_zombie(&stat)
    }

    /// Opens a handle that cannot come to mean another process.
    ///
    /// # Errors
    /// As pidfd_open(2). `Ok(None)` if the process has ended.
    pub fn open(&self) -> io::Result<Option<Pidfd>> {
        let found = self.open_ending()?;
        Ok(found.filter(|_| self.is_alive()))
    }

    /// As [`Self::open`], and also while the process ends: its first thread may be gone
    /// before the others, which hold files and devices until they are.
    ///
    /// # Errors
    /// As pidfd_open(2).
    pub fn open_ending(&self) -> io::Result<Option<Pidfd>> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, self.pid, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            let gone = error.raw_os_error() == Some(nix::libc::ESRCH);
            return if gone { Ok(None) } else { Err(error) };
        }
        // SAFETY: the call above returned this descriptor and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        // Checked after opening: the number may have been reused before.
        let same = Self::of(self.pid).is_ok_and(|now| now == *self);
        Ok(same.then_some(Pidfd(fd)))
    }

    /// Bytes of memory that the process holds (`VmRSS`).
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }
}

/// The text behind the command name, which may itself hold spaces and brackets.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

fn parse_start_time(stat: &str) -> Option<u64> {
    fields(stat)?.nth(19)?.parse().ok()
}

fn is_zombie(stat: &str) -> bool {
    fields(stat)
        .and_then(|mut f| f.next())
        .is_some_and(|state| state == "Z" || state == "X")
}

/// A handle to a process, ours or not.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// Waits until the process has ended.
    ///
    /// # Errors
    /// The descriptor cannot be polled.
    pub async fn wait(&self) -> io::Result<()> {
        let fd = crate::ready::watch(self.0.try_clone()?, Interest::READABLE)?;
        let _ready = fd.readable().await?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// As pidfd_send_signal(2), but a process that has ended is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: the descriptor is open, the siginfo pointer may be null
        // (pidfd_send_signal(2)).
        let result = unsafe {
            nix::libc::syscall(
                nix::libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as i32,
                std::ptr::null::<nix::libc::siginfo_t>(),
                0,
            )
        };
        match io::Error::last_os_error() {
            _ if result == 0 => Ok(()),
            error if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }
}

/// A file in memory, without a name: standard error of a process that outlives
/// us, where a pipe would kill it once nobody reads.
///
/// # Errors
/// As memfd_create(2).
pub fn memory_file() -> io::Result<std::fs::File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(memfd_create(c"nestlab", MFdFlags::MFD_CLOEXEC)?.into())
}

/// Has a command start in a session of its own, so that neither Ctrl-C nor the
/// end of our terminal reaches it.
pub fn detach(command: &mut tokio::process::Command) {
    // SAFETY: setsid is async-signal-safe and takes no arguments.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
    }
}

/// Gives a command open files of ours, which it finds as its descriptors 3, 4 and on.
pub fn hand_down<const COUNT: usize>(
    command: &mut tokio::process::Command,
    files: [OwnedFd; COUNT],
) {
    // SAFETY: between fork and exec this makes system calls and allocates nothing. The
    // copies are numbered apart from the places that they go to, and belong to nobody
    // else in that process.
    unsafe {
        command.pre_exec(move || {
            let mut copies = [-1; COUNT];
            for (copy, file) in copies.iter_mut().zip(&files) {
                *copy = nix::libc::fcntl(file.as_raw_fd(), nix::libc::F_DUPFD_CLOEXEC, 64);
            }
            for (place, copy) in (3..).zip(copies) {
                if nix::libc::dup2(copy, place) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// Has a command be killed when we end, however we end. The kernel goes by the
/// thread that spawns (prctl(2), PR_SET_PDEATHSIG): call it on one that lives as
/// long as the command is meant to, such as a runtime's worker.
pub fn end_with_us(command: &mut tokio::process::Command) {
    let parent = std::process::id();
    // SAFETY: prctl and getppid are system calls that allocate nothing.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // We may have ended before the call above.
            match nix::unistd::getppid().as_raw() == parent as i32 {
                true => Ok(()),
                false => Err(nix::Error::ESRCH.into()),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names_parse() {
        let stat = "7 (a) b) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 0";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert!(is_zombie(stat));
    }

    #[test]
    fn we_are_alive_and_hold_memory() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(me.resident_bytes().unwrap() > 0);
        let reused = ProcessId {
            start_time: me.start_time + 1,
            ..me
        };
        assert!(!reused.is_alive());
        assert!(reused.open().unwrap().is_none());
    }
}
