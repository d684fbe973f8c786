//! A world of its own for one test: folders, environment, labs.

use crate::host::{self, HostSnapshot};
use crate::run::{Done, Running};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The ordinary user: "nobody" nearly everywhere.
const USER: u32 = 65534;

/// How a supervisor tells of a guest whose kernel the emulator broke.
const EMULATOR_FAULTS: [&str; 2] = ["has restarted by itself", "has been silent"];

/// Folders of its own, the host as it was, and the real program.
pub struct World {
    folder: tempfile::TempDir,
    before: HostSnapshot,
    program: PathBuf,
    store: PathBuf,
    /// What the program is run by, if not by us: see `become_ordinary_user`.
    runner: Vec<String>,
    /// File systems that were mounted in the world's folder.
    mounted: Vec<PathBuf>,
    /// The container engine that the program is told of.
    engine: Option<String>,
}

impl World {
    /// A world with nothing in it.
    pub fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root
            .canonicalize()
            .expect("the sources are where they were built");
        let from_env = |name: &str, default: &str| {
            std::env::var_os(name).map_or_else(|| root.join(default), PathBuf::from)
        };
        let program = from_env("NESTLAB_BIN", "target/nestlab");
        assert!(
            program.exists(),
            "{} is missing: run `make build`",
            program.display()
        );
        Self {
            folder: tempfile::Builder::new()
                .prefix("nl")
                .tempdir()
                .expect("a folder in /tmp"),
            before: HostSnapshot::take(),
            program,
            store: from_env("NESTLAB_STORE", "target/e2e-store"),
            runner: Vec::new(),
            mounted: Vec::new(),
            engine: None,
        }
    }

    /// From now on the program runs as a user without any privilege, who has
    /// copies of the program and of the images. Where this machine keeps
    /// /dev/net/tun to root, the user sees one as ordinary machines have it, in
    /// a mount namespace of its own.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn become_ordinary_user(&mut self) -> Result<(), String> {
        if host::user_id() != 0 {
            return Ok(());
        }
        let folder = self.path().to_owned();
        let store = folder.join("store");
        let program = folder.join("nestlab");
        let script = format!(
            "set -e; cp -r --sparse=always {} {}; cp {} {}; chown -R {USER}:{USER} {}; unshare --mount true",
            self.store.display(),
            store.display(),
            self.program.display(),
            program.display(),
            folder.display(),
        );
        let copied = Command::new("sh")
            .args(["-c", &script])
            .output()
            .map_err(|e| e.to_string())?;
        if !copied.status.success() {
            return Err(String::from_utf8_lossy(&copied.stderr).trim().to_owned());
        }
        let tun = folder.join("tun");
        let wrap = format!(
            "test -e {0} || mknod -m 666 {0} c 10 200; mount --bind {0} /dev/net/tun; exec setpriv --reuid={USER} --regid={USER} --clear-groups \"$@\"",
            tun.display()
        );
        self.runner = ["unshare", "--mount", "sh", "-c", &wrap, "sh"]
            .map(String::from)
            .to_vec();
        (self.store, self.program) = (store, program);
        Ok(())
    }

    /// Gives a folder of the world a disk of its own, of so many MiB.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn small_disk(&mut self, folder: &str, mebibytes: u32) -> Result<PathBuf, String> {
        if host::user_id() != 0 {
            return Err("mounting a small disk needs root".into());
        }
        let at = self.path().join(folder);
        std::fs::create_dir_all(&at).map_err(|e| e.to_string())?;
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&at)
            .output()
            .map_err(|e| e.to_string())?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned());
        }
        self.mounted.push(at.clone());
        self.before = HostSnapshot::take();
        Ok(at)
    }

    /// From now on that container engine is the one of this machine.
    pub fn use_engine(&mut self, address: &str) {
        self.engine = Some(address.to_owned());
    }

    /// From now on images are kept in that folder.
    pub fn keep_images_in(&mut self, store: PathBuf) {
        self.store = store;
    }

    /// The world's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// An example of the repository, copied here so that a test may change it.
    pub fn example(&self, name: &str) -> PathBuf {
        // All of them: one example may use the scripts of another.
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let to = self.path().join("examples");
        if !to.exists() {
            let copied = Command::new("cp").arg("-r").arg(&from).arg(&to).status();
            assert!(
                copied.is_ok_and(|status| status.success()),
                "cannot copy {}",
                from.display()
            );
        }
        to.join(name)
    }

    /// A lab file of the test's own, in a folder named after it.
    pub fn lab(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder of ours");
        std::fs::write(folder.join("nestlab.yaml"), text).expect("a file of ours");
        folder
    }

    /// A command with nothing of the tester's own environment.
    pub fn command(&self, lab: &Path, args: &[&str]) -> Command {
        let words = self.runner.iter().map(Into::into);
        let mut argv = words.chain([self.program.clone().into_os_string()]);
        let mut command = Command::new(argv.next().expect("the program at least"));
        command
            .args(argv)
            .args(args)
            .current_dir(if lab.exists() { lab } else { self.path() });
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path());
        command.env("XDG_STATE_HOME", self.path().join("state"));
        command.env("XDG_RUNTIME_DIR", self.path().join("run"));
        command.env("NESTLAB_STORE", &self.store);
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        let _ = std::fs::create_dir_all(self.path().join("run"));
        command
    }

    /// Runs the program in a lab's folder and waits for it.
    pub fn run(&self, lab: &Path, args: &[&str]) -> Done {
        let start = Instant::now();
        let output = self
            .command(lab, args)
            .stdin(Stdio::null())
            .output()
            .expect("it can be run");
        let done = Done::new(
            format!("nestlab {}", args.join(" ")),
            &output,
            start.elapsed(),
        );
        eprintln!(
            "[{:6.1} s] {} -> {}",
            done.took.as_secs_f64(),
            done.command,
            done.code
        );
        done
    }

    /// Runs the program with bytes on its standard input.
    pub fn run_with(&self, lab: &Path, args: &[&str], input: &[u8]) -> Done {
        use std::io::Write;
        let mut running = self.start(lab, args);
        let mut stdin = running.stdin();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let done = running.wait();
        let _ = writer.join();
        done
    }

    /// Starts the program and lets it run.
    pub fn start(&self, lab: &Path, args: &[&str]) -> Running {
        let child = self
            .command(lab, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        Running::new(child, format!("nestlab {}", args.join(" ")))
    }

    /// The state of a node as `status --json` tells it.
    pub fn state(&self, lab: &Path, path: &str) -> String {
        let node = self.node(lab, path);
        node["state"].as_str().unwrap_or("?").to_owned()
    }

    /// A node as `status --json` tells it; null if it does not.
    pub fn node(&self, lab: &Path, path: &str) -> serde_json::Value {
        let status = self.run(lab, &["status", "--json"]).ok().json();
        find(&status["nodes"], path).cloned().unwrap_or_default()
    }

    /// A node of the lab of some name.
    pub fn node_of(&self, folder: &Path, lab: &str, path: &str) -> serde_json::Value {
        let status = self.run(folder, &["-l", lab, "status", "--json"]);
        find(&status.ok().json()["nodes"], path)
            .cloned()
            .unwrap_or_default()
    }

    /// What a line of shell prints in a node, trimmed.
    #[track_caller]
    pub fn inside(&self, lab: &Path, node: &str, line: &str) -> String {
        let done = self.run(lab, &["exec", node, "--", "sh", "-c", line]);
        done.ok().stdout.trim().to_owned()
    }

    /// Processes of this world, by any text in their arguments.
    pub fn processes(&self, text: &str) -> Vec<(u32, String)> {
        let ours = self.lab_ids();
        let all = host::processes_with(text);
        all.into_iter()
            .filter(|(_, line)| ours.iter().any(|id| line.contains(id)))
            .collect()
    }

    /// Kills one process of this world at once.
    pub fn kill(&self, pid: u32) {
        host::kill(pid, "KILL");
    }

    /// Ends all labs of this world as a power failure does: what was in memory alone
    /// is gone.
    pub fn lose_power(&self) {
        for id in self.lab_ids() {
            for _ in 0..50 {
                let left = host::processes_with(&id);
                if left.is_empty() {
                    break;
                }
                left.iter().for_each(|(pid, _)| host::kill(*pid, "KILL"));
                std::thread::sleep(Duration::from_millis(100));
            }
            for user in [host::user_id(), USER] {
                let memory = format!("/dev/shm/nestlab-{user}/{id}");
                let _ = std::fs::remove_dir_all(memory);
            }
        }
    }

    /// Removes all templates from the store that the worlds share.
    pub fn forget_templates(&self) {
        let _ = std::fs::remove_dir_all(self.store.join("templates"));
    }

    /// Where a lab keeps what outlives a reboot.
    pub fn lab_folder(&self, id: &str) -> PathBuf {
        self.path().join("state/nestlab/labs").join(id)
    }

    /// What the labs' supervisors noticed of guests that died or stood still
    /// though nobody touched them.
    pub fn emulator_faults(&self) -> Vec<String> {
        let log = |id: String| self.lab_folder(&id).join("supervisor.log");
        let logs = self
            .lab_ids()
            .into_iter()
            .filter_map(|id| std::fs::read_to_string(log(id)).ok());
        logs.flat_map(|log| log.lines().map(String::from).collect::<Vec<_>>())
            .filter(|line| EMULATOR_FAULTS.iter().any(|words| line.contains(words)))
            .collect()
    }

    fn lab_ids(&self) -> Vec<String> {
        let labs = self.path().join("state/nestlab/labs");
        let entries = std::fs::read_dir(labs).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Tries until something holds, with a generous hang guard.
    #[track_caller]
    pub fn eventually(&self, what: &str, within: Duration, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(
                start.elapsed() < within,
                "{what}: not within {} s",
                within.as_secs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Asserts that no process, mount, namespace, interface, socket or file of
    /// the world's labs is left, and that the host is as it was.
    #[track_caller]
    pub fn is_empty(&self) {
        let folder = self.path().display().to_string();
        let (mut left, mut changes) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            left = host::processes_with(&folder);
            changes = self.before.changes();
            if left.is_empty() && changes.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(left.is_empty(), "processes are left: {left:#?}");
        assert!(changes.is_empty(), "the host has changed: {changes:#?}");
        for place in ["state/nestlab/labs", "run/nestlab"] {
            let entries = std::fs::read_dir(self.path().join(place))
                .into_iter()
                .flatten();
            let names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            assert!(names.is_empty(), "files are left: {names:?}");
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    /// A failed test must not leave machines behind either.
    fn drop(&mut self) {
        self.lose_power();
        for place in &self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
    }
}

fn find<'a>(status: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    match status {
        serde_json::Value::Object(map) => {
            if map.get("path").and_then(|p| p.as_str()) == Some(path) {
                return Some(status);
            }
            map.values().find_map(|value| find(value, path))
        }
        serde_json::Value::Array(items) => items.iter().find_map(|value| find(value, path)),
        _ => None,
    }
}
