//! The end of the machine.

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sync};
use std::time::{Duration, Instant};

/// How long programs may take to end when asked.
const GRACE: Duration = Duration::from_secs(3);

/// Longest time between two looks whether they have.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// What comes behind the end.
#[derive(Clone, Copy)]
pub enum How {
    /// Nothing.
    PowerOff,
    /// A new beginning.
    Restart,
}

/// Ends every program, writes everything to disk, ends the machine.
pub fn in_order(how: How) {
    everybody();
    sync();
    // Inner mounts first, or the root stays busy; what cannot go is read-only.
    for place in ["/run/nestlab/kit", "/tmp", "/dev/shm"] {
        let _ = umount2(place, MntFlags::MNT_DETACH);
    }
    let _ = mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        None::<&str>,
    );
    sync();
    finish(how)
}

/// Ends every program but this one.
pub fn everybody() {
    let everyone = Pid::from_raw(-1);
    let _ = kill(everyone, Signal::SIGTERM);
    wait_for_all(GRACE);
    let _ = kill(everyone, Signal::SIGKILL);
    wait_for_all(Duration::from_secs(1));
}

/// Ends a machine that could not be started, so that its parent sees it end.
/// The pause lets the console's last line arrive.
pub fn after_failure() -> ! {
    std::thread::sleep(Duration::from_secs(1));
    power_off()
}

/// Ends the machine at once: nothing has run yet.
pub fn power_off() -> ! {
    sync();
    finish(How::PowerOff)
}

fn finish(how: How) -> ! {
    let mode = match how {
        How::PowerOff => RebootMode::RB_POWER_OFF,
        How::Restart => RebootMode::RB_AUTOBOOT,
    };
    let _ = reboot(mode);
    // A kernel that cannot power off: at least it must not panic.
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Takes children until there are none, at most for a while. Most programs end at once, so
/// the first looks are soon.
fn wait_for_all(limit: Duration) {
    let start = Instant::now();
    let mut pause = Duration::from_micros(250);
    while start.elapsed() < limit {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            _ => {}
        }
    }
}
