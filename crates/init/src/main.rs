//! PID 1 of a minimal image: mounts the root, keeps the agent running, ends the
//! machine in order. It lives in the initramfs and stays PID 1 for good, so that
//! the agent may crash and be replaced without the kernel panicking.
//!
//! ```text
//! kernel ─► modules ─► root and kit ─► agent (again and again) ─► power off
//! ```
//!
//! In a container only the second half is its work; see [`container`].
//!
//! In a root whose own init is systemd it makes way for that, and the agent is a
//! service there. `nestlab.init=agent` on the kernel's command line prevents it.

// The standard library's own start would look up the stack's guard page, and
// that alone links a tenth of this program's size.
#![cfg_attr(not(test), no_main)]

mod agent;
mod container;
mod disks;
mod end;
mod loopback;
mod modules;
mod mounts;
mod say;
mod service;

use std::convert::Infallible;
use std::io;

/// The kernel starts us here.
// SAFETY: nothing else in this program is named `main`, and the C library's
// start passes arguments that we do not take.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn main() -> i32 {
    if std::process::id() != 1 {
        let words =
            b"nestlab-init: this is the first process of a virtual machine or container, not a command\n";
        let _ = nix::unistd::write(std::io::stderr(), words);
        return 2;
    }
    if container::is_one() {
        return container::run();
    }
    let Err(error) = boot();
    say::line(&format!("cannot go on: {error}"));
    end::after_failure()
}

fn boot() -> io::Result<Infallible> {
    mounts::kernel_file_systems()?;
    let words = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let wants = |word: &str| words.split_ascii_whitespace().any(|w| w == word);
    if wants("nestlab.probe") {
        say::line("probe");
        end::power_off();
    }
    modules::load_all()?;
    let root = disks::root_of(disks::wait_for(|serial| serial == "root")?)?;
    let kit = disks::wait_for(|serial| serial.starts_with("kit-"))?;
    mounts::root(&root, &kit)?;
    mounts::enter_root()?;
    disks::grow(&root);
    modules::offer_more();
    loopback::raise();
    if service::has_systemd() && !wants("nestlab.init=agent") {
        say::line("systemd takes over");
        return service::make_way();
    }
    mounts::guest_file_systems();
    say::line("up");
    agent::keep_running(&[agent::AGENT, c"agent"], end::in_order)
}
