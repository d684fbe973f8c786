//! Running the programs that build: mmdebstrap, mke2fs, tar.

use crate::{ImageError, apt};
use nestlab_model::Recipe;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Takes short sentences about a long step.
pub(crate) type Progress<'a> = &'a (dyn Fn(String) + Send + Sync);

/// How many last lines of a failed program are shown.
const LAST_LINES: usize = 12;

/// Paths that a guest does not need: a third of a minimal Debian.
const LEFT_OUT: [&str; 5] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-include=/usr/share/doc/*/copyright",
];

/// A program with its environment cleared: what a build gives must not depend
/// on who started it.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("LC_ALL", "C.UTF-8");
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        // Read here and nowhere else: package downloads respect proxies.
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// mmdebstrap for a recipe's suite and packages, always in unshare mode, its
/// temporary folders below `scratch`.
pub(crate) fn mmdebstrap(recipe: &Recipe, variant: &str, scratch: &Path) -> Command {
    let mut command = program("mmdebstrap");
    command.env("TMPDIR", scratch).env("HOME", scratch);
    command.args(["--mode=unshare", &format!("--variant={variant}"), "--aptopt=Acquire::Languages \"none\""]);
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt={path}"));
    }
    if !recipe.packages.is_empty() {
        command.arg(format!("--include={}", recipe.packages.join(",")));
    }
    match &recipe.keyring {
        Some(keyring) => {
            command.arg(format!("--keyring={}", keyring.display()));
        }
        None if Path::new(apt::KEYRING).exists() => {
            command.arg(format!("--keyring={}", apt::KEYRING));
        }
        None => {}
    }
    command
}

/// The mirror that a recipe is built from, if it is not mmdebstrap's own.
pub(crate) fn mirror(recipe: &Recipe) -> Option<String> {
    recipe.mirror.clone().or_else(|| apt::mirror(&recipe.suite))
}

/// A program at work. Dropped, it and all it started are asked to end, and
/// mmdebstrap clears its own folders.
pub(crate) struct Work {
    child: Child,
    group: Option<Pid>,
    name: String,
}

impl Work {
    /// Starts a program in a process group of its own.
    pub fn start(mut command: Command, name: &str) -> Result<Self, ImageError> {
        command.process_group(0).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ImageError::MissingProgram { program: name.into() },
            _ => ImageError::io(format!("start {name}"))(error),
        })?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        Ok(Self { child, group, name: name.to_owned() })
    }

    /// Its standard output, if it was piped.
    pub fn stdout(&mut self) -> Option<tokio::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end, passing on what it says.
    pub async fn finish(mut self, what: &str, progress: Progress<'_>) -> Result<(), ImageError> {
        let mut last = VecDeque::new();
        if let Some(stderr) = self.child.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(words) = line.strip_prefix("I: ") {
                    progress(words.to_owned());
                }
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
        }
        let status = self
            .child
            .wait()
            .await
            .map_err(ImageError::io(format!("wait for {}", self.name)))?;
        self.group = None;
        if status.success() {
            return Ok(());
        }
        let words: Vec<String> = last.into_iter().collect();
        Err(ImageError::Failed {
            what: what.to_owned(),
            program: self.name.clone(),
            status: status.to_string(),
            hint: hint(&words),
            words: words.iter().map(|line| format!("\n  | {line}")).collect(),
        })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGTERM);
        }
    }
}

/// What to type next, from what a program said last.
fn hint(words: &[String]) -> Option<String> {
    let said = |text: &str| words.iter().any(|line| line.contains(text));
    let hint = if said("Unable to locate package") || said("has no installation candidate") {
        "Correct `packages:`; `apt-cache policy NAME` tells whether a suite has a package"
    } else if said("Could not resolve") || said("Could not connect") || said("Connection failed") || said("Failed to fetch") {
        "The mirror cannot be reached: check the network, or set `mirror:` in the recipe"
    } else if said("No space left on device") {
        "Free some disk space (`nestlab image prune` helps), then try again"
    } else if said("does not have a Release file") {
        "The mirror has no such suite: correct `suite:` or `mirror:`"
    } else if said("subuid") || said("newuidmap") {
        "Install `uidmap`, and give yourself subordinate ids: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// Makes an ext4 image of a folder whose files belong to root whatever they
/// belong to here.
pub(crate) async fn ext4_of(folder: &Path, image: &Path, bytes: u64) -> Result<(), ImageError> {
    let mut command = program("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0,lazy_itable_init=1", "-m", "0", "-d"]);
    command.arg(folder).arg(image).arg(format!("{}K", bytes.div_ceil(1024)));
    Work::start(command, "e2fsprogs")?.finish("Cannot make a file system", &|_| {}).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_understood() {
        let check = |line: &str, word: &str| {
            assert!(hint(&[line.to_owned()]).unwrap().contains(word), "{line}");
        };
        check("E: Unable to locate package consull", "packages");
        check("Err:1 http://x bookworm InRelease Could not resolve 'x'", "mirror");
        check("mke2fs: No space left on device", "disk space");
        assert_eq!(hint(&["what?".to_owned()]), None);
    }
}
