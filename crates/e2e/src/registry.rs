//! A registry of container images on this machine's loopback: Debian's `docker-registry`.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "docker-registry";

/// Serves images from a folder until it is stopped or dropped.
pub struct Registry {
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Registry {
    /// Begins to serve a folder.
    ///
    /// # Errors
    /// What this machine lacks for it.
    pub fn of(folder: &Path) -> Result<Self, String> {
        for program in [PROGRAM, "skopeo"] {
            if Command::new(program).arg("--version").output().is_err() {
                return Err(format!("there is no `{program}`"));
            }
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a port of loopback").port();
        std::fs::create_dir_all(folder).expect("a folder of ours");
        let mut registry = Self {
            folder: folder.to_owned(),
            port,
            running: None,
        };
        registry.start();
        Ok(registry)
    }

    /// The address of one of its images.
    pub fn image(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// Makes an image of archives, a layer each, as others would: pushed by skopeo.
    pub fn push(&self, name: &str, layers: &[&Path]) {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| layer.display().to_string())
            .collect();
        self.skopeo(&format!("tarball:{}", layers.join(":")), &self.image(name));
    }

    /// Copies an image into a folder, as an OCI image layout.
    pub fn copy_to(&self, name: &str, folder: &Path) {
        self.skopeo(&self.image(name), &format!("oci:{}", folder.display()));
    }

    fn skopeo(&self, from: &str, to: &str) {
        let copied = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .args([
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                from,
                to,
            ])
            .output()
            .expect("it is there");
        let words = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{from} to {to}: {words}");
    }

    /// The files in which it keeps what it has, without the smallest: its layers.
    pub fn layers(&self) -> Vec<PathBuf> {
        let mut pending = vec![self.data().join("docker/registry/v2/blobs")];
        let mut layers = Vec::new();
        while let Some(path) = pending.pop() {
            match std::fs::read_dir(&path) {
                Ok(entries) => pending.extend(entries.flatten().map(|entry| entry.path())),
                Err(_) => layers.push(path),
            }
        }
        layers.retain(|file| file.metadata().is_ok_and(|file| file.len() > 10_000));
        layers.sort();
        layers
    }

    /// All that it was asked so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Begins to serve again.
    pub fn start(&mut self) {
        let configuration = self.folder.join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem: {{ rootdirectory: '{}' }}\n\
             http: {{ addr: '127.0.0.1:{}' }}\n",
            self.data().display(),
            self.port
        );
        std::fs::write(&configuration, text).expect("a file of ours");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a file of ours");
        let second = log.try_clone().expect("it is open");
        let running = Command::new(PROGRAM)
            .arg("serve")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .spawn()
            .expect("it is there");
        self.running = Some(running);
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "no registry: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Serves no more.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
