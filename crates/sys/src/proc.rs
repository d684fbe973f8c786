//! Finding our processes by what stands in their arguments.

use crate::process::ProcessId;

/// Every running process whose arguments a predicate takes.
pub fn find(matches: impl Fn(&[String]) -> bool) -> Vec<ProcessId> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
            let text = String::from_utf8_lossy(&bytes);
            let argv: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
            matches(&argv).then(|| ProcessId::of(pid).ok()).flatten()
        })
        .filter(ProcessId::is_alive)
        .collect()
}
