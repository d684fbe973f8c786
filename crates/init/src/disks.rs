//! Disks by their serials, and the growth of the root.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a disk may take to appear.
const DEADLINE: Duration = Duration::from_secs(20);

/// The kit's tool that makes an ext4 file system fill its device.
const RESIZE: &str = "/run/nestlab/kit/tools/resize2fs";

/// Waits for the disk whose serial a predicate takes.
pub fn wait_for(matches: impl Fn(&str) -> bool) -> io::Result<PathBuf> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(device) = find(&matches) {
            return Ok(device);
        }
        if start.elapsed() > DEADLINE {
            let have: Vec<String> = serials().into_iter().map(|(_, serial)| serial).collect();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("a disk is missing; there are {have:?}"),
            ));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn find(matches: &impl Fn(&str) -> bool) -> Option<PathBuf> {
    serials().into_iter().find(|(_, serial)| matches(serial)).map(|(device, _)| device)
}

fn serials() -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let serial = std::fs::read_to_string(entry.path().join("serial")).ok()?;
            Some((Path::new("/dev").join(entry.file_name()), serial.trim().to_owned()))
        })
        .collect()
}

/// Makes the root file system as large as its disk, if it is smaller. A root
/// that stays small is usable, so nothing here is fatal.
pub fn grow(device: &Path) {
    let (Ok(disk), Ok(system)) = (disk_bytes(device), file_system_bytes(device)) else {
        return;
    };
    // ext4 leaves a remainder of less than a block group.
    if disk < system + (128 << 20) || !Path::new(RESIZE).exists() {
        return;
    }
    let done = Command::new(RESIZE).arg(device).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !done.is_ok_and(|status| status.success()) {
        crate::say::line("the root file system could not be made larger");
    }
}

fn disk_bytes(device: &Path) -> io::Result<u64> {
    File::open(device)?.seek(SeekFrom::End(0))
}

/// The size that an ext4 superblock gives: blocks at offset 4, the logarithm of
/// their size at 24 (the kernel's Documentation/filesystems/ext4/super.rst).
fn file_system_bytes(device: &Path) -> io::Result<u64> {
    let mut file = File::open(device)?;
    let mut block = [0; 1024];
    file.seek(SeekFrom::Start(1024))?;
    file.read_exact(&mut block)?;
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let shift = 10 + word(24).min(6);
    Ok((u64::from(word(4)) | u64::from(word(0x150)) << 32) << shift)
}
