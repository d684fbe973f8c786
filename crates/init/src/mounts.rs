//! What is mounted where.

use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where the root is mounted before it becomes `/`.
const SYSROOT: &str = "/sysroot";

/// Mounts what the kernel offers; /dev has the devices by itself.
pub fn kernel_file_systems() -> io::Result<()> {
    attach(
        "proc",
        "/proc",
        "proc",
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        "",
    )?;
    attach(
        "sys",
        "/sys",
        "sysfs",
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        "",
    )?;
    match attach("dev", "/dev", "devtmpfs", MsFlags::MS_NOSUID, "mode=0755") {
        // The kernel has mounted it for us already.
        Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => Ok(()),
        other => other,
    }
}

/// Mounts the root disk, and the kit below it.
pub fn root(root: &Path, kit: &Path) -> io::Result<()> {
    // noinit_itable: or the kernel would write out every unused inode table in
    // the background, and each overlay would grow by that.
    attach(
        &text(root),
        SYSROOT,
        "ext4",
        MsFlags::MS_NOATIME,
        "noinit_itable",
    )?;
    let run = format!("{SYSROOT}/run");
    attach(
        "run",
        &run,
        "tmpfs",
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        "mode=0755",
    )?;
    let place = format!("{run}/nestlab/kit");
    attach(
        &text(kit),
        &place,
        "ext4",
        MsFlags::MS_RDONLY | MsFlags::MS_NOATIME,
        "noload",
    )?;
    modules(&place)
}

/// The kit brings the kernel, so it brings the kernel's modules.
fn modules(kit: &str) -> io::Result<()> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = release.trim();
    let from = format!("{kit}/lib/modules/{release}");
    if !Path::new(&from).exists() {
        return Ok(());
    }
    let to = format!("{SYSROOT}/lib/modules/{release}");
    folder(&to);
    bind(&from, &to, MsFlags::MS_BIND)
}

/// Makes the root `/`, with the kernel's file systems in it. Unlike switch_root
/// we stay the process that we are.
pub fn enter_root() -> io::Result<()> {
    for place in ["/proc", "/sys", "/dev"] {
        let to = format!("{SYSROOT}{place}");
        folder(&to);
        bind(place, &to, MsFlags::MS_MOVE)?;
    }
    std::env::set_current_dir(SYSROOT)?;
    bind(".", "/", MsFlags::MS_MOVE)?;
    nix::unistd::chroot(".")?;
    std::env::set_current_dir("/")
}

/// Mounts what programs of the guest expect. A guest without one of them is
/// still a guest, so failures are only said.
pub fn guest_file_systems() {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let wanted = [
        (
            "devpts",
            "/dev/pts",
            "devpts",
            quiet,
            "mode=0620,gid=5,ptmxmode=0666",
        ),
        (
            "shm",
            "/dev/shm",
            "tmpfs",
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            "mode=1777",
        ),
        (
            "cgroup2",
            "/sys/fs/cgroup",
            "cgroup2",
            quiet | MsFlags::MS_NODEV,
            // A container that is given its group does not change its own limits.
            "nsdelegate",
        ),
    ];
    for (source, place, kind, flags, data) in wanted {
        if let Err(error) = attach(source, place, kind, flags, data) {
            crate::say::line(&format!("{place} is not mounted: {error}"));
        }
    }
    for (target, link) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        let _ = symlink(target, link);
    }
}

/// Makes a folder and those above it. That it is missing shows when it is used.
pub fn folder(path: &str) {
    let above = path.match_indices('/').map(|(end, _)| &path[..end]);
    for folder in above.skip(1).chain([path]) {
        let _ = nix::unistd::mkdir(folder, Mode::from_bits_truncate(0o755));
    }
}

fn attach(source: &str, place: &str, kind: &str, flags: MsFlags, data: &str) -> io::Result<()> {
    folder(place);
    mount(Some(source), place, Some(kind), flags, Some(data))
        .map_err(|error| named(&format!("mount {source} on {place}"), error))
}

fn bind(from: &str, to: &str, flag: MsFlags) -> io::Result<()> {
    mount(Some(from), to, None::<&str>, flag, None::<&str>)
        .map_err(|error| named(&format!("move {from} to {to}"), error))
}

fn named(what: &str, error: nix::errno::Errno) -> io::Error {
    // Its own number is kept: callers look at it.
    crate::say::line(&format!("{what}: {error}"));
    io::Error::from_raw_os_error(error as i32)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
