//! A container engine of a test's own: in a folder of its own, apart from the machine's network
//! and packet rules, ended with the test.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Folders that they make whatever they are told, the innermost first.
const THEIR_FOLDERS: [&str; 4] = [
    "/run/docker/plugins",
    "/run/docker",
    "/run/containerd/s",
    "/run/containerd",
];

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker Engine.
    Docker,
    /// Podman, as it serves Docker's API.
    Podman,
}

/// A container engine.
pub struct ContainerEngine {
    kind: Kind,
    folder: tempfile::TempDir,
    child: Child,
    /// Those of its folders that were not there before.
    new: Vec<&'static Path>,
}

impl ContainerEngine {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn start(kind: Kind) -> Result<Self, String> {
        if !crate::is_root() {
            return Err("a container engine needs root".into());
        }
        let words = |error: std::io::Error| error.to_string();
        let folder = tempfile::Builder::new().prefix("nldk").tempdir();
        let folder = folder.map_err(words)?;
        let new = THEIR_FOLDERS.iter().map(Path::new);
        let new = new.filter(|folder| !folder.exists()).collect();
        let mut command = match kind {
            Kind::Docker => docker(folder.path()),
            Kind::Podman => podman_service(folder.path()).map_err(words)?,
        };
        let log = File::create(folder.path().join("log")).map_err(words)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {kind:?}: {error}"))?;
        let mut engine = Self {
            kind,
            folder,
            child,
            new,
        };
        engine.answers().map(|()| engine)
    }

    fn answers(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || start.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                let last = log.unwrap_or_default();
                let last = last.lines().last().unwrap_or_default().to_owned();
                return Err(format!("{:?} does not answer: {last}", self.kind));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// The same, as its clients are told.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What Docker's client tells of it.
    #[track_caller]
    pub fn tells(&self, words: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(["--host", &self.address()]).args(words);
        let output = command.output().expect("Docker's client is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

const SOCKET: &str = "engine.sock";

fn docker(folder: &Path) -> Command {
    let at = |name: &str| folder.join(name);
    let mut command = Command::new("dockerd");
    command
        .arg("--data-root")
        .arg(at("data"))
        .arg("--exec-root")
        .arg(at("exec"))
        .arg("--pidfile")
        .arg(at("pid"))
        .arg(format!("--host=unix://{}", at(SOCKET).display()))
        .arg(format!("--cgroup-parent=/{}", group(folder)))
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .args(["--ip-forward=false", "--ip-masq=false"]);
    command
}

/// Settings under which it needs nothing that a machine without systemd or with both versions
/// of control groups lacks, and keeps nothing elsewhere.
const OF_PODMAN: &str = "\
[containers]
default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]
apparmor_profile = \"unconfined\"
[engine]
runtime = \"runc\"
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
lock_type = \"file\"
";

fn podman_service(folder: &Path) -> std::io::Result<Command> {
    std::fs::write(folder.join("containers.conf"), OF_PODMAN)?;
    let mut command = podman(folder);
    command
        .args(["system", "service", "--time=0"])
        .arg(format!("unix://{}", folder.join(SOCKET).display()));
    Ok(command)
}

fn podman(folder: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .env("CONTAINERS_CONF", folder.join("containers.conf"))
        // The other driver mounts something that stays.
        .args(["--storage-driver", "vfs", "--root"])
        .arg(folder.join("data"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .arg("--tmpdir")
        .arg(folder.join("tmp"));
    command
}

fn group(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Drop for ContainerEngine {
    /// Docker Engine, asked to end, ends what it has started as well; Podman is asked for that.
    fn drop(&mut self) {
        if self.kind == Kind::Podman {
            let mut remove = podman(self.folder.path());
            let _ = remove.args(["rm", "--all", "--force"]).output();
        }
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        for folder in &self.new {
            let _ = std::fs::remove_dir(folder);
        }
        let groups = Path::new("/sys/fs/cgroup");
        let controllers = std::fs::read_dir(groups).into_iter().flatten().flatten();
        let places = controllers.map(|controller| controller.path());
        for place in places.chain([groups.to_owned()]) {
            let _ = std::fs::remove_dir(place.join(group(self.folder.path())));
        }
    }
}
