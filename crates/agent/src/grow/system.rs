//! Mounted file systems that take the room that their device has.

use nestlab_api::message::Growth;
use nestlab_model::ByteSize;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Grows what is mounted from a device. Nothing mounted is no error.
///
/// # Errors
/// It is of a kind that cannot grow while it is mounted, or it does not.
pub(super) fn grow(device: &Path) -> io::Result<Growth> {
    let bytes = ByteSize::bytes(File::open(device)?.seek(SeekFrom::End(0))?);
    let mut growth = Growth {
        device: device.display().to_string(),
        bytes,
        mounted: None,
        usable: None,
    };
    if let Some(found) = mounted(device)? {
        found.take_all(bytes)?;
        let usable = nestlab_sys::disk::total_bytes(&found.at)?;
        growth.usable = Some(ByteSize::bytes(usable));
        growth.mounted = Some(found.at.display().to_string());
    }
    Ok(growth)
}

/// A mounted file system.
struct Mounted {
    at: PathBuf,
    kind: String,
}

impl Mounted {
    fn take_all(&self, device: ByteSize) -> io::Result<()> {
        match self.kind.as_str() {
            "ext4" => self.take_all_of_ext4(device),
            "xfs" => run(Command::new("xfs_growfs").arg(&self.at)),
            "btrfs" => run(Command::new("btrfs")
                .args(["filesystem", "resize", "max"])
                .arg(&self.at)),
            kind => Err(io::Error::other(format!(
                "the file system at {} is a {kind}, which is not made larger here",
                self.at.display()
            ))),
        }
    }

    fn take_all_of_ext4(&self, device: ByteSize) -> io::Result<()> {
        let root = File::open(&self.at)?;
        let block = nestlab_sys::disk::block_bytes(&self.at)?;
        nestlab_sys::block::grow_ext4(&root, device.as_bytes() / block)
    }
}

/// Where a device is mounted, by proc_pid_mountinfo(5): by its number or, where that is
/// the file system's own (btrfs), by its name.
fn mounted(device: &Path) -> io::Result<Option<Mounted>> {
    let number = std::fs::metadata(device)?.rdev();
    let number = nestlab_sys::disk::device_number(number);
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(find(&table, &number, device))
}

fn find(table: &str, number: &str, device: &Path) -> Option<Mounted> {
    table.lines().find_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let place: Vec<&str> = place.split(' ').collect();
        let [kind, source, ..] = what.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let same = *place.get(2)? == number || Path::new(source) == device;
        same.then(|| Mounted {
            at: PathBuf::from(place.get(4).copied().unwrap_or("/")),
            kind: kind.to_owned(),
        })
    })
}

fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.map_err(|error| io::Error::other(format!("{program}: {error}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("{program}: {}", words.trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:20 / /proc rw - proc proc rw
40 22 0:35 /root /data rw,noatime shared:3 - btrfs /dev/vdb3 rw,subvol=/root
";

    #[test]
    fn mounts_are_found_by_number_or_name() {
        let root = find(TABLE, "254:1", Path::new("/dev/vda1")).unwrap();
        assert_eq!(
            (root.at.as_path(), root.kind.as_str()),
            (Path::new("/"), "ext4")
        );
        let data = find(TABLE, "254:19", Path::new("/dev/vdb3")).unwrap();
        assert_eq!(
            (data.at.as_path(), data.kind.as_str()),
            (Path::new("/data"), "btrfs")
        );
        assert!(find(TABLE, "254:2", Path::new("/dev/vda2")).is_none());
    }
}
