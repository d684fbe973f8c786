//! Running the programs that build: mmdebstrap, mke2fs, tar.

use crate::workplace::Workplace;
use crate::{ImageError, apt};
use nestlab_model::Recipe;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Takes short sentences about a long step.
pub(crate) type Progress<'a> = &'a (dyn Fn(String) + Send + Sync);

/// How many last lines of a failed program are shown.
const LAST_LINES: usize = 12;

/// What mmdebstrap says at the beginning of a step, and what that means.
const STEPS: [(&str, &str); 6] = [
    ("I: running apt-get update", "reading the lists of packages"),
    ("I: downloading packages", "downloading packages"),
    ("I: extracting archives", "unpacking packages"),
    (
        "I: installing essential packages",
        "installing the minimal system",
    ),
    ("I: installing remaining packages", "installing packages"),
    ("I: running --customize-hook", "finishing the image"),
];

/// Paths that a guest does not need: a third of a minimal Debian.
const LEFT_OUT: [&str; 5] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-include=/usr/share/doc/*/copyright",
];

/// Where programs are looked for.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Proxies that downloads respect.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Where the tools of containers find credentials, mirrors and certificates.
const SETTINGS: [&str; 8] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "REGISTRY_AUTH_FILE",
    "DOCKER_CONFIG",
    "CONTAINERS_REGISTRIES_CONF",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

fn is_installed(program: &OsStr) -> bool {
    let path = Path::new(program);
    match path.is_absolute() {
        true => path.exists(),
        false => SEARCH
            .split(':')
            .any(|folder| Path::new(folder).join(path).exists()),
    }
}

/// A program with its environment cleared: what a build gives must not depend
/// on who started it.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.env("PATH", SEARCH);
    command.env("LC_ALL", "C.UTF-8");
    pass_on(&mut command, &PROXIES);
    command
}

/// Has a program see its user's own settings of it.
pub(crate) fn as_user(command: &mut Command) {
    pass_on(command, &SETTINGS);
}

/// The user's own folder.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

/// The environment is read here and nowhere else in this crate.
fn pass_on(command: &mut Command, names: &[&str]) {
    for name in names {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// mmdebstrap for a recipe's suite and packages, always in unshare mode.
pub(crate) fn mmdebstrap(recipe: &Recipe, variant: &str, place: &Workplace) -> Command {
    let mut command = program("mmdebstrap");
    command
        .env("TMPDIR", place.path())
        .env("HOME", place.path());
    command.args(["--mode=unshare", &format!("--variant={variant}")]);
    command.arg("--aptopt=Acquire::Languages \"none\"");
    // Half a tree is of no use anyway, so nothing need be on the disk early.
    command.arg("--dpkgopt=force-unsafe-io");
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
/// mmdebstrap clears its own folders. The same happens if we are killed: a shell
/// watches a pipe that only we hold.
pub(crate) struct Work {
    child: Child,
    group: Option<Pid>,
    name: String,
    /// Open as long as the work is wanted.
    watched: Option<ChildStdin>,
}

/// What becomes of the program's own standard streams.
pub(crate) enum Streams {
    /// Nothing is read, and what is written is lost.
    None,
    /// What is written can be read from [`Work::stdout`].
    Piped,
    /// That is its standard *input*. mmdebstrap hands it on to its hooks as it is,
    /// the one stream of which that is true, so a file may be open for writing too.
    Input(Stdio),
}

/// Runs `"$@"` and ends the whole process group once the pipe on its standard
/// input is closed.
const WATCH: &str = r#"exec 4<&0
{ read -r _ <&4; kill -TERM 0; } </dev/null >/dev/null 2>&1 &
watch=$!
if [ "$1" = input ]; then exec 0<&1 1>/dev/null; else exec 0</dev/null; fi
shift
"$@" 4<&-
status=$?
kill $watch
exit $status"#;

impl Work {
    /// Starts a program in a process group of its own.
    pub fn start(command: Command, name: &str, streams: Streams) -> Result<Self, ImageError> {
        let command = command.into_std();
        if !is_installed(command.get_program()) {
            return Err(ImageError::MissingProgram {
                program: name.into(),
            });
        }
        let mut watched = program("sh");
        watched.args(["-c", WATCH, "nestlab-build"]);
        watched.arg(if matches!(streams, Streams::Input(_)) {
            "input"
        } else {
            "none"
        });
        watched.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                watched.env(key, value);
            }
        }
        watched
            .process_group(0)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        watched.stdout(match streams {
            Streams::None => Stdio::null(),
            Streams::Piped => Stdio::piped(),
            Streams::Input(input) => input,
        });
        let mut child = watched
            .spawn()
            .map_err(ImageError::io(format!("start {name}")))?;
        let group = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .map(Pid::from_raw);
        let watched = child.stdin.take();
        Ok(Self {
            child,
            group,
            name: name.to_owned(),
            watched,
        })
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
                if let Some((_, step)) = STEPS.iter().find(|(said, _)| line.starts_with(said)) {
                    progress((*step).to_owned());
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
        self.watched = None;
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
    } else if said("unauthorized") || said("authentication required") || said("denied:") {
        "If it is not public: `skopeo login REGISTRY`. Some registries say the same where there is no such image"
    } else if said("manifest unknown") || said("name unknown") || said("NAME_UNKNOWN") {
        "The registry has no such image: correct the name or the tag"
    } else if said("HTTP response to HTTPS client") {
        "Only a registry on loopback is spoken to without TLS; containers-registries.conf(5) can say it of others (`insecure`)"
    } else if said("container registry") {
        "The registry cannot be reached: check the network and the proxy; containers-registries.conf(5) can name mirrors"
    } else if said("Could not resolve")
        || said("Could not connect")
        || said("Connection failed")
        || said("Failed to fetch")
    {
        "The mirror cannot be reached: check the network, or set `mirror:` in the recipe"
    } else if said("No space left on device") || said("have enough free space in") {
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
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-O",
        "^has_journal",
        "-m",
        "0",
    ]);
    command.args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"]);
    command
        .arg(folder)
        .arg(image)
        .arg(format!("{}K", bytes.div_ceil(1024)));
    Work::start(command, "e2fsprogs", Streams::None)?
        .finish("Cannot make a file system", &|_| {})
        .await
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
        check(
            "Err:1 http://x bookworm InRelease Could not resolve 'x'",
            "mirror",
        );
        check("mke2fs: No space left on device", "disk space");
        check("reading manifest 1 in a/b: manifest unknown", "tag");
        check(
            "pinging container registry x: connection refused",
            "network",
        );
        check(
            "E: You don't have enough free space in /var/cache/apt/archives/.",
            "disk space",
        );
        assert_eq!(hint(&["what?".to_owned()]), None);
    }
}
