//! Keeps the agent running, waits for every orphan, and hears the signals that
//! end the machine.

use crate::end::How;
use crate::say;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execve, fork};
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The agent: the same program as on the host.
pub const AGENT: &CStr = c"/run/nestlab/kit/bin/nestlab";

/// Its environment. The kit's tools come last: the image's own are preferred.
pub const ENVIRONMENT: [&CStr; 2] = [
    c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools",
    c"HOME=/root",
];

/// What it writes.
pub const LOG: &str = "/var/log/nestlab-agent.log";

/// A log larger than this in bytes is started anew with the next agent.
const LOG_LIMIT: u64 = 1 << 20;

/// The first and the longest pause before the agent is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// An agent that ran this long was well; the next pause is short again.
const WELL: Duration = Duration::from_secs(10);

/// How an agent that cannot be executed ends, as a shell's commands do.
const NOT_FOUND: i32 = 127;

/// Runs the agent again and again. Returns only if that has become impossible.
/// `command` is how it is run, `end` what the signals that end the machine lead to.
pub fn keep_running(command: &[&CStr], end: fn(How)) -> io::Result<Infallible> {
    let signals = [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGUSR1,
    ];
    let set: SigSet = signals.into_iter().collect();
    set.thread_block().map_err(io::Error::from)?;
    let mut pause = PAUSE.0;
    loop {
        let started = Instant::now();
        match start(command) {
            Ok(agent) => {
                let status = wait_for(agent, &set, end)?;
                say::line(&format!(
                    "the agent ended with {status} and is started again"
                ));
            }
            Err(error) => say::line(&format!("the agent cannot be started: {error}")),
        }
        if started.elapsed() > WELL {
            pause = PAUSE.0;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn start(command: &[&CStr]) -> io::Result<Pid> {
    let output = open_log().or_else(|| File::options().write(true).open("/dev/null").ok());
    // SAFETY: this process has one thread, so the child may do whatever we may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => become_agent(command, output.as_ref()),
    }
}

/// In the child: becomes the agent, or ends.
fn become_agent(command: &[&CStr], output: Option<&File>) -> ! {
    let input = File::open("/dev/null").ok();
    for (file, number) in [(input.as_ref(), 0), (output, 1), (output, 2)] {
        if let Some(file) = file {
            // SAFETY: dup2 takes two numbers; the first belongs to an open file,
            // and nobody here holds the standard streams.
            unsafe { libc::dup2(file.as_raw_fd(), number) };
        }
    }
    let _ = nix::unistd::setsid();
    // What we block must not be blocked there.
    let _ = SigSet::all().thread_unblock();
    let _ = execve(AGENT, command, &ENVIRONMENT);
    // SAFETY: _exit ends this child at once, leaving the parent's things alone.
    unsafe { libc::_exit(NOT_FOUND) }
}

fn open_log() -> Option<File> {
    crate::mounts::folder("/var/log");
    if std::fs::metadata(LOG).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        let _ = std::fs::rename(LOG, format!("{LOG}.old"));
    }
    OpenOptions::new().create(true).append(true).open(LOG).ok()
}

/// Waits for orphans until the agent itself has ended; tells how it did, as a
/// shell's `$?` would.
fn wait_for(agent: Pid, set: &SigSet, end: fn(How)) -> io::Result<i32> {
    loop {
        match set.wait().map_err(io::Error::from)? {
            Signal::SIGTERM | Signal::SIGUSR1 => end(How::PowerOff),
            Signal::SIGINT => end(How::Restart),
            _ => {}
        }
        if let Some(end) = reap(agent) {
            return Ok(end);
        }
    }
}

/// Takes every child that has ended; tells if the agent was among them.
fn reap(agent: Pid) -> Option<i32> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
            Ok(WaitStatus::Exited(pid, code)) if pid == agent => ended = Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == agent => {
                ended = Some(128 + signal as i32)
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return ended,
        }
    }
}
