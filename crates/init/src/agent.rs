//! Keeps the agent running, waits for every orphan, and hears the signals that
//! end the machine.

use crate::{end, say};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The agent: the same program as on the host.
const AGENT: &str = "/run/nestlab/kit/bin/nestlab";

/// What it writes.
const LOG: &str = "/var/log/nestlab-agent.log";

/// A log larger than this in bytes is started anew with the next agent.
const LOG_LIMIT: u64 = 1 << 20;

/// The first and the longest pause before the agent is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// An agent that ran this long was well; the next pause is short again.
const WELL: Duration = Duration::from_secs(10);

/// Runs the agent again and again. Returns only if that has become impossible.
pub fn keep_running() -> io::Result<()> {
    let signals = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1];
    let set: SigSet = signals.into_iter().collect();
    set.thread_block().map_err(io::Error::from)?;
    let mut pause = PAUSE.0;
    loop {
        let started = Instant::now();
        match start() {
            Ok(agent) => wait_for(agent, &set)?,
            Err(error) => say::line(&format!("the agent cannot be started: {error}")),
        }
        pause = if started.elapsed() > WELL { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
        std::thread::sleep(pause);
    }
}

fn start() -> io::Result<Pid> {
    let log = open_log();
    let output = || log.as_ref().and_then(|file| file.try_clone().ok()).map_or_else(Stdio::null, Stdio::from);
    let mut command = Command::new(AGENT);
    command.arg("agent").stdin(Stdio::null()).stdout(output()).stderr(output());
    command.env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools");
    command.env("HOME", "/root");
    // SAFETY: between fork and exec only async-signal-safe calls are allowed:
    // setsid and sigprocmask are. The agent must not inherit our mask.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            SigSet::all().thread_unblock()?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    Ok(Pid::from_raw(child.id() as i32))
}

fn open_log() -> Option<std::fs::File> {
    let _ = std::fs::create_dir_all("/var/log");
    if std::fs::metadata(LOG).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        let _ = std::fs::rename(LOG, format!("{LOG}.old"));
    }
    OpenOptions::new().create(true).append(true).open(LOG).ok()
}

/// Waits for orphans until the agent itself has ended.
fn wait_for(agent: Pid, set: &SigSet) -> io::Result<()> {
    loop {
        match set.wait().map_err(io::Error::from)? {
            Signal::SIGTERM | Signal::SIGUSR1 => end::in_order(end::How::PowerOff),
            Signal::SIGINT => end::in_order(end::How::Restart),
            _ if reap(agent) => return Ok(()),
            _ => {}
        }
    }
}

/// Takes every child that has ended; tells whether the agent was among them.
fn reap(agent: Pid) -> bool {
    let mut ended = false;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
            Ok(status) => ended |= status.pid() == Some(agent),
            Err(_) => return ended,
        }
    }
}
