//! Mounts, in whichever mount namespace the caller is.

use nix::mount::{MntFlags, MsFlags, umount2};
use std::io;
use std::path::Path;

const NONE: Option<&str> = None;

/// Keeps every later mount and unmount of this mount namespace to itself.
///
/// # Errors
/// As mount(2).
pub fn make_private() -> io::Result<()> {
    nix::mount::mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(io::Error::from)
}

/// Shows a file or folder, with what is mounted below it, in a second place.
///
/// # Errors
/// As mount(2).
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    nix::mount::mount(
        Some(source),
        target,
        NONE,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NONE,
    )
    .map_err(io::Error::from)
}

/// Mounts an empty tmpfs of at most `size` bytes, for us alone.
///
/// # Errors
/// As mount(2).
pub fn tmpfs(target: &Path, size: u64) -> io::Result<()> {
    let options = format!("mode=0700,size={size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    nix::mount::mount(
        Some("nestlab"),
        target,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )
    .map_err(io::Error::from)
}

/// Mounts a file system from a block device. Device nodes in it are of no use: a stranger may
/// have made them.
///
/// # Errors
/// As mount(2).
pub fn device(source: &Path, target: &Path, kind: &str, read_only: bool) -> io::Result<()> {
    let flags = match read_only {
        true => MsFlags::MS_RDONLY,
        false => MsFlags::empty(),
    };
    let flags = flags | MsFlags::MS_NODEV;
    nix::mount::mount(Some(source), target, Some(kind), flags, NONE).map_err(io::Error::from)
}

/// Gives the calling thread a mount namespace of its own; what it mounts is seen by no
/// other. For a process with one thread.
///
/// # Errors
/// As unshare(2), mount(2).
pub fn own_namespace() -> io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    make_private()
}

/// Mounts an empty tmpfs of at most `size` bytes that everybody may enter and that device
/// nodes work in.
///
/// # Errors
/// As mount(2).
pub fn stage(target: &Path, size: u64) -> io::Result<()> {
    let options = format!("mode=0755,size={size}");
    let (name, kind) = (Some("nestlab"), Some("tmpfs"));
    nix::mount::mount(
        name,
        target,
        kind,
        MsFlags::MS_NOSUID,
        Some(options.as_str()),
    )
    .map_err(io::Error::from)
}

/// Mounts `lower` with what is changed of it kept in `upper`; `work` is an empty folder
/// beside that. `as_user` is for whoever is root of a user namespace only: the overlay's
/// own attributes are the user's then. Device nodes in it are of no use.
///
/// # Errors
/// As mount(2): in a user namespace Linux 5.11 is needed.
pub fn overlay(
    lower: &Path,
    upper: &Path,
    work: &Path,
    target: &Path,
    as_user: bool,
) -> io::Result<()> {
    let options = format!(
        "lowerdir={},upperdir={},workdir={}{}",
        lower.display(),
        upper.display(),
        work.display(),
        if as_user { ",userxattr" } else { "" },
    );
    let (name, kind) = (Some("overlay"), Some("overlay"));
    nix::mount::mount(
        name,
        target,
        kind,
        MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .map_err(io::Error::from)
}

/// Makes a device node of a mode, which tells its kind too (inode(7)).
///
/// # Errors
/// As mknod(2): only root of the machine may.
pub fn make_device(at: &Path, mode: u32, device: u64) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, mknod};
    let (kind, permissions) = (
        SFlag::from_bits_truncate(mode),
        Mode::from_bits_truncate(mode),
    );
    mknod(at, kind, permissions, device).map_err(io::Error::from)
}

/// Major and minor number of a device.
pub fn device_numbers(device: u64) -> (u64, u64) {
    use nix::sys::stat::{major, minor};
    (major(device), minor(device))
}

/// Takes a mount away, now for new users and later for those inside. Nothing
/// mounted there is no error.
///
/// # Errors
/// As umount2(2).
pub fn detach(target: &Path) -> io::Result<()> {
    match umount2(target, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether something is mounted right there.
///
/// # Errors
/// The table of mounts cannot be read.
pub fn is_mounted(target: &Path) -> io::Result<bool> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mount_points(&table).any(|point| Path::new(&point) == target))
}

fn mount_points(table: &str) -> impl Iterator<Item = String> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
}

/// Undoes the octal escapes of proc(5).
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_mounts_is_understood() {
        let table = "36 35 98:0 /mnt1 /mnt\\040two rw,noatime - ext3 /dev/root rw\n";
        assert_eq!(mount_points(table).collect::<Vec<_>>(), ["/mnt two"]);
        assert!(is_mounted(Path::new("/proc")).unwrap());
        assert!(!is_mounted(Path::new("/nowhere")).unwrap());
    }
}
