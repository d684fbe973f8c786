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

/// The same, of processes of our own user: root of a container of root is another.
pub fn find_own(matches: impl Fn(&[String]) -> bool) -> Vec<ProcessId> {
    use std::os::unix::fs::MetadataExt;
    let own = crate::users::own_uid();
    let mut found = find(matches);
    found.retain(|process| {
        let owner = std::fs::metadata(format!("/proc/{}", process.pid));
        owner.is_ok_and(|folder| folder.uid() == own)
    });
    found
}

/// Whether a process is in our PID namespace. What runs in a container never is, whatever it
/// calls itself.
pub fn shares_our_pids(pid: u32) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own))
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

/// Bytes that a process and all that it started hold, each by its share of what several
/// hold: proc_pid_smaps_rollup(5). `None` if the kernel does not tell.
pub fn tree_memory(pid: u32) -> Option<u64> {
    let own = share_of_memory(pid)?;
    let below = children(pid).into_iter().filter_map(tree_memory);
    Some(own + below.sum::<u64>())
}

fn share_of_memory(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The processes that all threads of one have started.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let paths = threads.into_iter().flatten().flatten();
    paths
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            let pids = text.split_ascii_whitespace().map(str::parse);
            pids.flatten().collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_all_below() {
        let this = std::process::id();
        let alone = share_of_memory(this).unwrap();
        assert!(alone > 0);
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        assert!(children(this).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(tree_memory(u32::MAX), None);
    }

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
