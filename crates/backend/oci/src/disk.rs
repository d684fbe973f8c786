//! Which disk a container's limits of reading and writing are about.

use nestlab_model::IoLimits;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the kernel counts and limits reading and writing by, in both versions of control
/// groups.
const OLD: &str = "/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device";
const UNIFIED: &str = "/sys/fs/cgroup/cgroup.controllers";

/// A disk, and how fast it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    major: u64,
    minor: u64,
    limits: IoLimits,
}

impl Throttle {
    /// For the disk that a folder lies on.
    ///
    /// # Errors
    /// This level cannot limit that, for the reason that is told.
    pub fn of(folder: &Path, limits: IoLimits) -> Result<Self, String> {
        if !can_limit() {
            return Err("the kernel has no control group for disks (blkio, or io)".into());
        }
        let device = fs::metadata(folder).map_err(|error| error.to_string())?;
        let numbers = nestlab_sys::mount::device_numbers(device.dev());
        let (major, minor) = whole_disk(numbers).map_err(|_| {
            format!(
                "{} lies on no disk of its own: its file system has the device {}:{}",
                folder.display(),
                numbers.0,
                numbers.1
            )
        })?;
        Ok(Self {
            major,
            minor,
            limits,
        })
    }

    /// As the OCI runtime specification says it.
    pub fn told(&self) -> Value {
        let mut told = json!({});
        let (read, write) = ("throttleReadBpsDevice", "throttleWriteBpsDevice");
        for (key, limit) in [(read, self.limits.read), (write, self.limits.write)] {
            if let Some(limit) = limit {
                let rate = limit.as_bytes();
                told[key] = json!([{ "major": self.major, "minor": self.minor, "rate": rate }]);
            }
        }
        told
    }
}

fn can_limit() -> bool {
    let has_io = |text: String| text.split_whitespace().any(|name| name == "io");
    Path::new(OLD).exists() || fs::read_to_string(UNIFIED).is_ok_and(has_io)
}

/// The disk that a partition is of: only whole ones are limited
/// (Documentation/admin-guide/cgroup-v1/blkio-controller.rst of the kernel).
fn whole_disk((major, minor): (u64, u64)) -> io::Result<(u64, u64)> {
    let device = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))?;
    let disk = match device.join("partition").exists() {
        true => device.parent().unwrap_or(&device),
        false => &device,
    };
    let numbers = fs::read_to_string(disk.join("dev"))?;
    let parsed = numbers
        .trim()
        .split_once(':')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parsed.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::ByteSize;

    #[test]
    fn only_what_is_limited_is_told() {
        let throttle = |read, write| {
            let limits = IoLimits { read, write };
            let (major, minor) = (8, 16);
            Throttle {
                major,
                minor,
                limits,
            }
            .told()
            .to_string()
        };
        let slow = Some(ByteSize::mib(1));
        assert_eq!(throttle(None, None), "{}");
        assert_eq!(
            throttle(None, slow),
            r#"{"throttleWriteBpsDevice":[{"major":8,"minor":16,"rate":1048576}]}"#
        );
        assert_eq!(throttle(slow, slow).matches("rate").count(), 2);
    }

    #[test]
    fn what_lies_on_no_disk_is_refused() {
        let refused = Throttle::of(Path::new("/proc"), IoLimits::default());
        assert!(refused.is_err());
    }
}
