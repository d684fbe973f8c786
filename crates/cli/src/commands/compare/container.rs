//! A container that holds this program and nothing else, by whichever runtime works.

use crate::error::Error;
use crate::role::PROGRAM_IN_A_CONTAINER;
use nestlab_measure::bench::NOTHING;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::process::Command;

/// Runtimes in the order in which they are tried.
const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];

/// A bundle as the OCI runtime specification has it. It is removed when dropped.
pub struct Bundle {
    runtime: &'static str,
    folder: tempfile::TempDir,
    config: Value,
    started: AtomicU32,
}

impl Bundle {
    /// Makes one in a folder, for the first runtime that runs a program in it; with the
    /// runtime's name. The reason if none does.
    pub async fn make(parent: &Path) -> Result<Result<(Self, String), String>, Error> {
        let mut reasons = Vec::new();
        for runtime in RUNTIMES {
            match Self::attempt(parent, runtime).await {
                Ok(bundle) => return Ok(Ok((bundle, runtime.to_owned()))),
                Err(why) => reasons.push(format!("{runtime}: {why}")),
            }
        }
        Ok(Err(reasons.join("; ")))
    }

    async fn attempt(parent: &Path, runtime: &'static str) -> Result<Self, String> {
        let words = |error: std::io::Error| error.to_string();
        let folder = tempfile::Builder::new()
            .prefix("compare-")
            .tempdir_in(parent)
            .map_err(words)?;
        let root = folder.path().join("rootfs");
        fs::create_dir(&root).map_err(words)?;
        let own = std::env::current_exe().map_err(words)?;
        let inside = root.join(PROGRAM_IN_A_CONTAINER.trim_start_matches('/'));
        fs::copy(own, inside).map_err(words)?;
        let mut spec = Command::new(runtime);
        spec.arg("spec").current_dir(folder.path());
        if !nestlab_sys::users::is_root() {
            spec.arg("--rootless");
        }
        finish(&mut spec).await?;
        let text = fs::read(folder.path().join("config.json")).map_err(words)?;
        let config = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let bundle = Self {
            runtime,
            folder,
            config,
            started: AtomicU32::new(0),
        };
        finish(&mut bundle.command(&[NOTHING]).map_err(words)?).await?;
        Ok(bundle)
    }

    /// What runs this program with these arguments in a new container.
    ///
    /// # Errors
    /// The bundle cannot be written.
    pub fn command(&self, arguments: &[&str]) -> std::io::Result<Command> {
        let mut config = self.config.clone();
        let process = &mut config["process"];
        process["terminal"] = json!(false);
        process["args"] = std::iter::once(PROGRAM_IN_A_CONTAINER)
            .chain(arguments.iter().copied())
            .collect();
        config["root"]["readonly"] = json!(false);
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(number.to_string());
        fs::create_dir(&folder)?;
        config["root"]["path"] = json!(self.root());
        fs::write(folder.join("config.json"), config.to_string())?;
        let mut command = Command::new(self.runtime);
        command.arg("run").arg("--bundle").arg(folder);
        command.arg(id(number));
        Ok(command)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }
}

impl Drop for Bundle {
    /// A container that ended by itself is forgotten by its runtime already, and says so.
    fn drop(&mut self) {
        for number in 0..*self.started.get_mut() {
            let mut command = std::process::Command::new(self.runtime);
            command.args(["delete", "--force", &id(number)]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let _ = command.stdin(Stdio::null()).status();
        }
    }
}

/// A name that no other program gives.
fn id(number: u32) -> String {
    format!("nestlab-compare-{}-{number}", std::process::id())
}

async fn finish(command: &mut Command) -> Result<(), String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => error.to_string(),
    })?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            Err(last.unwrap_or("it failed").trim().to_owned())
        }
    }
}
