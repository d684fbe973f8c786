//! Virtio devices by the names that the VMM gave them, without udev.

use std::io;
use std::path::{Path, PathBuf};

/// The block device whose serial is `serial`.
///
/// # Errors
/// /sys cannot be read.
pub fn block_device(serial: &str) -> io::Result<Option<PathBuf>> {
    Ok(block_devices()?.into_iter().find(|(_, s)| s == serial).map(|(path, _)| path))
}

/// The first block device whose serial begins with `prefix`, and its serial.
///
/// # Errors
/// /sys cannot be read.
pub fn block_device_with_prefix(prefix: &str) -> io::Result<Option<(PathBuf, String)>> {
    Ok(block_devices()?.into_iter().find(|(_, serial)| serial.starts_with(prefix)))
}

fn block_devices() -> io::Result<Vec<(PathBuf, String)>> {
    let entries = std::fs::read_dir("/sys/block")?.flatten();
    Ok(entries
        .filter_map(|entry| {
            let serial = std::fs::read_to_string(entry.path().join("serial")).ok()?;
            let device = Path::new("/dev").join(entry.file_name());
            Some((device, serial.trim().to_owned()))
        })
        .collect())
}

/// The device of the virtio-serial port called `name`.
///
/// # Errors
/// /sys cannot be read; a kernel without virtio ports has none.
pub fn serial_port(name: &str) -> io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir("/sys/class/virtio-ports") {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = entries.flatten().find(|entry| {
        std::fs::read_to_string(entry.path().join("name")).is_ok_and(|text| text.trim() == name)
    });
    Ok(found.map(|entry| Path::new("/dev").join(entry.file_name())))
}
