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
    field(text, "MemAvailable:")
}

/// A field of proc_meminfo(5), in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
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

/// What a machine offers, or is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Memory in bytes.
    pub memory: u64,
    /// Processors.
    pub cpus: u32,
}

/// What a level keeps for itself: its kernel, its agent and the VMMs' own memory, as a
/// part of its memory.
const OWN_PART: u64 = 8;

/// So many virtual processors for each real one still make a lab, if a slow one.
const CROWDED: u32 = 8;

/// Holds what a level offers against what all that stands in it asks for together.
pub fn asked(offered: Size, inside: &[Size]) -> Vec<Check> {
    vec![asked_memory(offered, inside), asked_cpus(offered, inside)]
}

fn asked_memory(offered: Size, inside: &[Size]) -> Check {
    let asked: u64 = inside.iter().map(|size| size.memory).sum();
    let check = Check::new("asked.memory", "added up what is inside");
    let words = format!(
        "{} of {}",
        ByteSize::bytes(asked >> 20 << 20),
        ByteSize::bytes(offered.memory >> 20 << 20)
    );
    if asked <= offered.memory - offered.memory / OWN_PART {
        return check.found(Verdict::Ok, words);
    }
    check
        .found(Verdict::Degraded, words)
        .means("if all is used at once the kernel ends machines")
        .mend("Raise `memory` of this level, or lower that of what is inside it")
}

fn asked_cpus(offered: Size, inside: &[Size]) -> Check {
    let asked: u32 = inside.iter().map(|size| size.cpus).sum();
    let check = Check::new("asked.processors", "added up what is inside");
    let words = format!("{asked} virtual on {}", offered.cpus);
    if asked <= offered.cpus.saturating_mul(CROWDED) {
        return check.found(Verdict::Ok, words);
    }
    check
        .found(Verdict::Degraded, words)
        .means("machines wait for each other, and time-outs are missed")
        .mend("Raise `cpus` of this level, or lower that of what is inside it")
}

/// What this machine offers.
pub fn here() -> Size {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Size {
        memory: field(&text, "MemTotal:").unwrap_or(0),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
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
    fn more_asked_than_offered_is_told() {
        let size = |memory: u64, cpus| Size {
            memory: memory << 20,
            cpus,
        };
        let verdicts = |offered, inside: &[Size]| {
            let checks = asked(offered, inside);
            [checks[0].verdict, checks[1].verdict]
        };
        use Verdict::{Degraded, Ok};
        let offered = size(1024, 1);
        assert_eq!(verdicts(offered, &[]), [Ok, Ok]);
        assert_eq!(verdicts(offered, &[size(256, 1), size(512, 7)]), [Ok, Ok]);
        assert_eq!(
            verdicts(offered, &[size(512, 1), size(512, 8)]),
            [Degraded, Degraded]
        );
        assert!(here().memory > 0);
    }

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
