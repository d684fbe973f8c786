//! Looks through /proc for processes of ours whose record was lost.

use crate::process::ProcessId;

/// Longest command line that is looked at, in bytes.
const MAX_CMDLINE: u64 = 64 * 1024;

/// Every running process, other than the calling one, whose arguments satisfy
/// `matches`. Of processes of other users the arguments are seen too, unless
/// /proc is mounted with `hidepid`.
pub fn find(matches: impl Fn(&[String]) -> bool) -> Vec<ProcessId> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| arguments(*pid).is_some_and(|argv| matches(&argv)))
        .filter_map(|pid| ProcessId::of(pid).ok())
        .filter(ProcessId::is_alive)
        .collect()
}

/// A process's arguments; `None` if it has ended or has none (a kernel thread).
pub fn arguments(pid: u32) -> Option<Vec<String>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(MAX_CMDLINE).read_to_end(&mut bytes).ok()?;
    let text = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    if text.is_empty() {
        return None;
    }
    Some(
        text.split(|byte| *byte == 0)
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_arguments() {
        let mut child = std::process::Command::new("sleep")
            .args(["30", "0.4242"])
            .spawn()
            .unwrap();
        let mut found = Vec::new();
        // Until it has reached exec it still shows our arguments.
        for _ in 0..100 {
            found = find(|argv| argv.iter().any(|arg| arg == "0.4242"));
            if !found.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            found.iter().map(|p| p.pid).collect::<Vec<_>>(),
            [child.id()]
        );
        assert!(!found[0].is_alive());
    }
}
