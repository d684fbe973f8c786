//! Memory and disk that are left.

use nestlab_model::ByteSize;
use nestlab_model::doctor::{Check, Verdict};
use std::path::Path;

/// With less memory left than this a level begins to end programs, in bytes.
const LITTLE_MEMORY: u64 = 32 << 20;

/// With less left on a disk than this guests soon stand still, in bytes.
const LITTLE_DISK: u64 = 64 << 20;

pub(super) fn memory() -> Check {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    judge_memory(available(&text))
}

/// `MemAvailable` of proc_meminfo(5), in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn judge_memory(available: Option<u64>) -> Check {
    let check = Check::new("room.memory", "read /proc/meminfo");
    match available {
        None => check.found(Verdict::Unproved, "the kernel does not tell"),
        Some(bytes) if bytes >= LITTLE_MEMORY => check.found(Verdict::Ok, left(bytes)),
        Some(bytes) => check
            .found(Verdict::Degraded, left(bytes))
            .means("the kernel may end programs, machines inside among them")
            .mend("Raise `memory` of this node, or lower that of what is inside it"),
    }
}

pub(super) fn disk(folder: &Path) -> Check {
    let check = Check::new(
        "room.disk",
        format!("asked the file system of {}", folder.display()),
    );
    match nestlab_sys::disk::free_bytes(folder) {
        Err(error) => check.found(Verdict::Unproved, error.to_string()),
        Ok(bytes) => judge_disk(check, bytes),
    }
}

fn judge_disk(check: Check, bytes: u64) -> Check {
    if bytes >= LITTLE_DISK {
        return check.found(Verdict::Ok, left(bytes));
    }
    check
        .found(Verdict::Degraded, left(bytes))
        .means("machines stand still when they find their disk full, until there is room")
        .mend("Free some room, or raise `disk` of this node")
}

fn left(bytes: u64) -> String {
    format!("{} left", ByteSize::bytes(bytes >> 20 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told() {
        let text = "MemTotal:  1000 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        assert_eq!(available("MemTotal: 1 kB"), None);
        assert_eq!(judge_memory(Some(2 << 20)).verdict, Verdict::Degraded);
        assert_eq!(judge_memory(Some(1 << 30)).verdict, Verdict::Ok);
        assert_eq!(judge_memory(None).verdict, Verdict::Unproved);
        let disk = |bytes| judge_disk(Check::new("room.disk", ""), bytes);
        assert_eq!(disk(1 << 20).verdict, Verdict::Degraded);
        assert_eq!(disk(1 << 30).verdict, Verdict::Ok);
        assert!(disk(1 << 20).found.contains("1MiB") || disk(1 << 20).found.contains("1 MiB"));
    }
}
