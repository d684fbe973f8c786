//! What this machine looks like from outside: its network and its processes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// This machine's own network configuration at one moment.
#[derive(Debug)]
pub struct HostSnapshot {
    links: String,
    routes: String,
    rules: String,
    forwarding: String,
    mounts: Vec<String>,
    memory: Vec<PathBuf>,
    groups: Vec<PathBuf>,
    processes: Vec<(u32, String)>,
}

/// What machines, containers and gateways have in their command lines, whoever's lab they
/// are of.
const OF_LABS: [&str; 3] = ["nestlab:", "slirp4netns-nestlab-", "pasta-nestlab-"];

impl HostSnapshot {
    /// Looks.
    pub fn take() -> Self {
        Self {
            links: names(&output("ip", &["-o", "link", "show"])),
            routes: output("ip", &["route", "show", "table", "all"]),
            rules: output("nft", &["list", "ruleset"]),
            forwarding: std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")
                .unwrap_or_default(),
            mounts: mounts(),
            memory: memory(),
            groups: groups(),
            processes: OF_LABS
                .iter()
                .flat_map(|word| processes_with(word))
                .collect(),
        }
    }
}

impl HostSnapshot {
    /// What is otherwise now. What others of this machine's labs have taken away since
    /// then is nobody's business.
    pub fn changes(&self) -> Vec<String> {
        let now = Self::take();
        let settings = [
            ("links", &self.links, &now.links),
            ("routes", &self.routes, &now.routes),
            ("packet rules", &self.rules, &now.rules),
            ("forwarding", &self.forwarding, &now.forwarding),
        ];
        let settings = settings.into_iter().filter(|(_, then, now)| then != now);
        let mut changes: Vec<String> = settings
            .map(|(what, then, now)| format!("{what}: {then:?} has become {now:?}"))
            .collect();
        let mounts = now.mounts.iter().filter(|new| !self.mounts.contains(new));
        changes.extend(mounts.map(|new| format!("a mount: {new}")));
        let processes = now.processes.iter();
        let new = processes.filter(|new| !self.processes.contains(new));
        changes.extend(new.map(|(pid, line)| format!("process {pid}: {line}")));
        let before: Vec<_> = self.memory.iter().chain(&self.groups).collect();
        let now = now.memory.iter().chain(&now.groups);
        let new = now.filter(|path| !before.contains(path));
        changes.extend(new.map(|path| format!("a folder: {}", path.display())));
        changes
    }
}

/// Interface names without counters and states.
fn names(text: &str) -> String {
    text.lines()
        .filter_map(|line| line.split(':').nth(1))
        .collect::<Vec<_>>()
        .join(",")
}

fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter(|line| line.contains("nestlab"))
        .map(str::to_owned)
        .collect()
}

/// Folders with the memory of labs.
fn memory() -> Vec<PathBuf> {
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut labs: Vec<PathBuf> = folders(Path::new("/dev/shm"))
        .iter()
        .filter(|folder| folder.to_string_lossy().contains("/nestlab-"))
        .flat_map(|folder| folders(folder))
        .collect();
    labs.sort();
    labs
}

/// Control groups of containers, in whichever hierarchy.
fn groups() -> Vec<PathBuf> {
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let top = folders(Path::new("/sys/fs/cgroup"));
    let all = top
        .iter()
        .flat_map(|folder| folders(folder))
        .chain(top.clone());
    let mut ours: Vec<PathBuf> = all
        .filter(|path| path.to_string_lossy().contains("/nestlab-"))
        .collect();
    ours.sort();
    ours
}

fn output(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// The command lines of all processes that mention a text, with their numbers.
pub(crate) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let me = std::process::id();
    let entries = std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
            (pid != me && line.contains(text) && !is_zombie(pid)).then_some((pid, line))
        })
        .collect()
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// Who runs the tests.
pub(crate) fn user_id() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

/// Sends a signal to one process, by number.
pub(crate) fn kill(pid: u32, signal: &str) {
    let _ = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status();
}
