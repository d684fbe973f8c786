//! PID 1 of a minimal image: mounts the root, keeps the agent running, ends the
//! machine in order. It lives in the initramfs and stays PID 1 for good, so that
//! the agent may crash and be replaced without the kernel panicking.
//!
//! ```text
//! kernel ─► modules ─► root and kit ─► agent (again and again) ─► power off
//! ```

mod agent;
mod disks;
mod end;
mod modules;
mod mounts;
mod say;

use std::io;

fn main() {
    if std::process::id() != 1 {
        eprintln!("nestlab-init: this is the first process of a virtual machine, not a command");
        std::process::exit(2);
    }
    if let Err(error) = boot() {
        say::line(&format!("cannot go on: {error}"));
        end::power_off();
    }
}

fn boot() -> io::Result<()> {
    mounts::kernel_file_systems()?;
    let words = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let wants = |word: &str| words.split_ascii_whitespace().any(|w| w == word);
    if wants("nestlab.probe") {
        say::line("probe");
        end::power_off();
    }
    modules::load_all()?;
    let root = disks::wait_for(|serial| serial == "root")?;
    let kit = disks::wait_for(|serial| serial.starts_with("kit-"))?;
    mounts::root(&root, &kit)?;
    mounts::enter_root()?;
    disks::grow(&root);
    mounts::guest_file_systems();
    say::line("up");
    agent::keep_running()
}
