//! The control group of a container: what the kernel counts and limits there. Both
//! versions of cgroups (cgroups(7)), also side by side.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// How long all of a group may take to stand still.
const FREEZE: Duration = Duration::from_secs(10);

/// How long a group may take that holds threads of the kernel, which never stand still:
/// KVM puts one into the group of whoever makes a virtual machine (Linux 5.4 to 6.14).
const FREEZE_BUT_FOR_THE_KERNELS: Duration = Duration::from_millis(300);

const LOOK: Duration = Duration::from_millis(2);

/// What a container's own processes are in once it has groups below them: one that hands its
/// limits on may hold no process itself ("no internal processes", cgroups(7)).
const OWN: &str = "own";

/// The kernel's list of what belongs to whoever a group is handed over to (cgroups(7),
/// "Cgroups delegation").
const DELEGATED: &str = "/sys/kernel/cgroup/delegate";

/// The most levels and groups that whoever a group is handed over to may make below it.
const MAX_DEPTH: &str = "32";
const MAX_DESCENDANTS: &str = "1024";

/// How often processes are moved that others have started meanwhile.
const MOVES: usize = 50;

/// What limits the groups of containers.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Whether groups that limit can be made here: by root of the machine, and by root of a
/// container whose group was handed to it and taken over ([`take_over`]).
pub fn can_be_made() -> bool {
    let handed_on = Path::new(ROOT).join("cgroup.subtree_control");
    let limits = |text: &str| text.split_whitespace().any(|name| name == "memory");
    crate::users::has_all_ids() || is_writable(&handed_on) && reads(&handed_on, limits)
}

/// Whether there is version 2 of control groups only.
pub fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// In a container whose group was handed to it: makes it one that others can be made in. Anywhere
/// else nothing is done.
///
/// # Errors
/// A process could not be moved.
pub fn take_over() -> io::Result<()> {
    let root = Path::new(ROOT);
    let handed_on = root.join("cgroup.subtree_control");
    if crate::users::has_all_ids() || !is_writable(&handed_on) {
        return Ok(());
    }
    let own = root.join(OWN);
    match fs::create_dir(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    move_all(&root.join("cgroup.procs"), &own.join("cgroup.procs"))?;
    let there = fs::read_to_string(root.join("cgroup.controllers"))?;
    let there: Vec<&str> = there.split_whitespace().collect();
    for controller in CONTROLLERS.iter().filter(|name| there.contains(name)) {
        fs::write(&handed_on, format!("+{controller}"))?;
    }
    Ok(())
}

/// Moves all processes of one list to another, and those that they start meanwhile.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..MOVES {
        let text = fs::read_to_string(from)?;
        if text.is_empty() {
            return Ok(());
        }
        // One of another PID namespace is shown as 0, which would mean us.
        for process in text.lines().filter(|process| *process != "0") {
            match fs::write(to, process) {
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
                moved => moved?,
            }
        }
    }
    let left = fs::read_to_string(from)?;
    let left: Vec<&str> = left.lines().collect();
    let words = format!(
        "the processes {} are left in {}",
        left.join(", "),
        from.display()
    );
    Err(io::Error::other(words))
}

fn is_writable(file: &Path) -> bool {
    nix::unistd::access(file, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// A control group.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
}

impl Group {
    /// The group of a name, such as `/nestlab-1a2b3c4d-…`.
    pub fn new(name: String) -> Self {
        Self { name }
    }

    /// The group that a process is in, by the kernel's word: whoever made it had its own
    /// way of naming it.
    ///
    /// # Errors
    /// The process is gone.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let table = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let none = || io::Error::other(format!("process {pid} is in no control group"));
        name_in(&table).map(Self::new).ok_or_else(none)
    }

    /// Lets a user of this level, such as root of a container, make groups below this one.
    ///
    /// # Errors
    /// There is no such group of version 2, or we are not root.
    pub fn hand_over(&self, user: u32) -> io::Result<()> {
        let folder = self.unified();
        // Who is given it decides what is below it, and others look through that.
        fs::write(folder.join("cgroup.max.depth"), MAX_DEPTH)?;
        fs::write(folder.join("cgroup.max.descendants"), MAX_DESCENDANTS)?;
        chown(&folder, Some(user), Some(user))?;
        // What the kernel says a delegatee may write to, and other versions of it have or lack.
        for file in fs::read_to_string(DELEGATED)?.lines() {
            match chown(folder.join(file), Some(user), Some(user)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Removes the groups below this one in which nothing runs: not every runtime does so.
    pub fn remove_below(&self) {
        remove_below(&self.unified());
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> Option<u64> {
        let used = self.memory_file("memory.current", "memory.usage_in_bytes");
        used.and_then(|text| text.trim().parse().ok())
    }

    /// How many of its own programs the kernel has ended because they needed more memory than
    /// they may have; not those of groups that a container has made for others.
    pub fn killed_for_memory(&self) -> u64 {
        let direct = self.memory_file("memory.events.local", "memory.oom_control");
        let own = Self::new(format!("{}/{OWN}", self.name));
        let own = own.memory_file("memory.events", "memory.oom_control");
        let count = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            line.and_then(|count| count.trim().parse::<u64>().ok())
        };
        direct.into_iter().chain(own).filter_map(count).sum()
    }

    /// Its folder where there is version 2 only.
    fn unified(&self) -> PathBuf {
        format!("{ROOT}{}", self.name).into()
    }

    fn memory_file(&self, unified: &str, old: &str) -> Option<String> {
        let paths = [
            format!("{ROOT}{}/{unified}", self.name),
            format!("{ROOT}/memory{}/{old}", self.name),
        ];
        paths.iter().find_map(|path| fs::read_to_string(path).ok())
    }

    /// Has every program in it stand still.
    ///
    /// # Errors
    /// There is no such group, or a program does not stand still in time.
    pub async fn freeze(&self) -> io::Result<()> {
        let freezer = self.freezer()?;
        freezer.set(true)?;
        let start = Instant::now();
        while !freezer.stands_still() {
            let patience = match freezer.holds_kernel_threads() {
                true => FREEZE_BUT_FOR_THE_KERNELS,
                false => FREEZE,
            };
            if start.elapsed() > patience {
                if patience == FREEZE_BUT_FOR_THE_KERNELS {
                    return Ok(());
                }
                freezer.set(false)?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Has every program in it go on.
    ///
    /// # Errors
    /// There is no such group.
    pub fn thaw(&self) -> io::Result<()> {
        self.freezer()?.set(false)
    }

    /// Whether there is such a group, and the kernel can freeze it.
    pub fn can_freeze(&self) -> bool {
        self.freezer().is_ok()
    }

    /// Whether it was told to stand still.
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_ok_and(|freezer| freezer.is_set())
    }

    fn freezer(&self) -> io::Result<Freezer> {
        let unified = self.unified();
        if unified.join(Freezer::UNIFIED).exists() {
            return Ok(Freezer::Unified(unified));
        }
        let old = PathBuf::from(format!("{ROOT}/freezer{}", self.name));
        match old.join(Freezer::OLD).exists() {
            true => Ok(Freezer::Old(old)),
            false => Err(io::Error::other(
                "there is no control group that could be frozen",
            )),
        }
    }
}

/// What freezes a group, by its folder.
enum Freezer {
    Unified(PathBuf),
    Old(PathBuf),
}

impl Freezer {
    const UNIFIED: &str = "cgroup.freeze";
    const OLD: &str = "freezer.state";

    fn set(&self, frozen: bool) -> io::Result<()> {
        let (file, word) = match (self, frozen) {
            (Self::Unified(folder), true) => (folder.join(Self::UNIFIED), "1"),
            (Self::Unified(folder), false) => (folder.join(Self::UNIFIED), "0"),
            (Self::Old(folder), true) => (folder.join(Self::OLD), "FROZEN"),
            (Self::Old(folder), false) => (folder.join(Self::OLD), "THAWED"),
        };
        fs::write(file, word)
    }

    fn is_set(&self) -> bool {
        match self {
            Self::Unified(folder) => reads(&folder.join(Self::UNIFIED), |text| text.trim() == "1"),
            Self::Old(folder) => reads(&folder.join(Self::OLD), |text| text.trim() != "THAWED"),
        }
    }

    fn stands_still(&self) -> bool {
        match self {
            Self::Unified(folder) => reads(&folder.join("cgroup.events"), |text| {
                text.lines().any(|line| line == "frozen 1")
            }),
            Self::Old(folder) => reads(&folder.join(Self::OLD), |text| text.trim() == "FROZEN"),
        }
    }

    fn holds_kernel_threads(&self) -> bool {
        match self {
            Self::Unified(folder) => holds_kernel_threads(folder, "cgroup.threads"),
            Self::Old(folder) => holds_kernel_threads(folder, "tasks"),
        }
    }
}

/// Whether a group or one below it does. Threads of the kernel have no command line.
fn holds_kernel_threads(group: &Path, list: &str) -> bool {
    let is_kernels =
        |thread: &str| reads(Path::new(&format!("/proc/{thread}/cmdline")), str::is_empty);
    reads(&group.join(list), |text| text.lines().any(is_kernels))
        || below(group)
            .iter()
            .any(|group| holds_kernel_threads(group, list))
}

fn remove_below(group: &Path) {
    for inner in below(group) {
        remove_below(&inner);
        // One that is used is left to whoever uses it.
        let _ = fs::remove_dir(inner);
    }
}

fn below(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// The group of the memory controller, or the unified one (cgroups(7)): a container's are
/// named alike.
fn name_in(table: &str) -> Option<String> {
    let groups: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .collect();
    let of = |wanted: &str| {
        let mut groups = groups.iter();
        groups.find(|(controllers, _)| controllers.split(',').any(|one| one == wanted))
    };
    let (_, name) = of("memory").or_else(|| of(""))?;
    Some((*name).to_owned())
}

fn reads(file: &Path, fits: impl Fn(&str) -> bool) -> bool {
    fs::read_to_string(file).is_ok_and(|text| fits(&text))
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn the_group_of_a_process_is_found_in_both_versions() {
        let hybrid = "9:pids:/d/1\n8:memory:/d/1\n1:name=systemd:/x\n0::/y\n";
        assert_eq!(name_in(hybrid).as_deref(), Some("/d/1"));
        let unified = "0::/system.slice/docker-1.scope\n";
        assert_eq!(
            name_in(unified).as_deref(),
            Some("/system.slice/docker-1.scope")
        );
        assert_eq!(name_in("1:name=systemd:/x\n"), None);
    }
}
