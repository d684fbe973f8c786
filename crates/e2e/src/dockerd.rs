//! A Docker Engine of a test's own: in a folder of its own, apart from the machine's network
//! and packet rules, ended with the test.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Folders that it makes whatever it is told, the innermost first.
const ITS_FOLDERS: [&str; 4] = [
    "/run/docker/plugins",
    "/run/docker",
    "/run/containerd/s",
    "/run/containerd",
];

/// A Docker Engine.
pub struct Dockerd {
    folder: tempfile::TempDir,
    child: Child,
    /// Those of its folders that were not there before.
    new: Vec<&'static Path>,
}

impl Dockerd {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn start() -> Result<Self, String> {
        if !crate::is_root() {
            return Err("Docker Engine needs root".into());
        }
        let folder = tempfile::Builder::new().prefix("nldk").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let new = ITS_FOLDERS.iter().map(Path::new);
        let new = new.filter(|folder| !folder.exists()).collect();
        let child = command(folder.path()).spawn();
        let child = child.map_err(|error| format!("cannot start dockerd: {error}"))?;
        let mut daemon = Self { folder, child, new };
        daemon.answers().map(|()| daemon)
    }

    fn answers(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || start.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                let last = log.unwrap_or_default();
                let last = last.lines().last().unwrap_or_default().to_owned();
                return Err(format!("dockerd does not answer: {last}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// The same, as its clients are told.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What its own client tells.
    #[track_caller]
    pub fn tells(&self, words: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(["--host", &self.address()]).args(words);
        let output = command.output().expect("the client comes with the engine");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn command(folder: &Path) -> Command {
    let at = |name: &str| folder.join(name);
    let log = || File::create(at("log")).map_or_else(|_| Stdio::null(), Stdio::from);
    let mut command = Command::new("dockerd");
    command
        .arg("--data-root")
        .arg(at("data"))
        .arg("--exec-root")
        .arg(at("exec"))
        .arg("--pidfile")
        .arg(at("pid"))
        .arg(format!("--host=unix://{}", at("docker.sock").display()))
        .arg(format!("--cgroup-parent=/{}", group(folder)))
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .args(["--ip-forward=false", "--ip-masq=false"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log());
    command
}

fn group(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Drop for Dockerd {
    /// Asked to end, it ends what it has started as well.
    fn drop(&mut self) {
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
