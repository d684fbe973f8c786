//! The program that makes containers: found by trying.

use crate::config::{Powers, trial};
use nestlab_backend::BackendError;
use nestlab_sys::namespace::Namespaces;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Runtimes, the quickest first.
const NAMES: [&str; 3] = ["crun", "runc", "youki"];

/// Where they are looked for.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Longest that one of their commands may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How much of what one says is shown, in characters.
const LAST_WORDS: usize = 600;

/// A runtime that has run a container here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime {
    pub program: PathBuf,
    /// As `runc 1.1.5`.
    pub version: String,
}

/// The files of the runtimes that are installed.
pub(crate) fn installed() -> Vec<PathBuf> {
    let file = |name: &&str| {
        let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        paths.find(|path| path.is_file())
    };
    NAMES.iter().filter_map(file).collect()
}

/// The runtime that was chosen before, by its version as told then.
pub(crate) fn recalled(version: &str) -> Option<Runtime> {
    let name = version.split_whitespace().next()?;
    let program = installed().into_iter().find(|path| name_of(path) == name)?;
    Some(Runtime {
        program,
        version: version.to_owned(),
    })
}

/// The first runtime that runs a program in a container; else why none does.
pub(crate) async fn choose(
    own_program: &Path,
    place: Option<&Namespaces>,
    powers: Powers,
) -> Result<Runtime, String> {
    let programs = installed();
    if programs.is_empty() {
        return Err(format!("there is none of {}", NAMES.join(", ")));
    }
    let mut reasons = Vec::new();
    for program in programs {
        let name = name_of(&program);
        match attempt(&program, own_program, place, powers).await {
            Ok(version) => {
                return Ok(Runtime {
                    program,
                    version: format!("{name} {version}"),
                });
            }
            Err(why) => reasons.push(format!("{name}: {why}")),
        }
    }
    Err(reasons.join("; "))
}

fn name_of(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Runs this program in a container that holds nothing else; gives the runtime's
/// version.
async fn attempt(
    program: &Path,
    own_program: &Path,
    place: Option<&Namespaces>,
    powers: Powers,
) -> Result<String, String> {
    let words = |error: std::io::Error| error.to_string();
    let folder = tempfile::Builder::new()
        .prefix("nestlab-trial-")
        .tempdir()
        .map_err(words)?;
    let root = folder.path().join("root");
    std::fs::create_dir(&root).map_err(words)?;
    let config = trial(&root, own_program, powers);
    std::fs::write(folder.path().join("config.json"), config.to_string()).map_err(words)?;
    let version = finish(Command::new(program).arg("--version"), None).await?;
    let id = name_of(folder.path());
    let mut run = command(program, &folder.path().join("state"));
    run.args(["run", "--bundle"]).arg(folder.path()).arg(&id);
    let ran = finish(&mut run, place).await;
    // What ended by itself is forgotten already, and says so.
    let mut delete = command(program, &folder.path().join("state"));
    let _ = finish(delete.args(["delete", "--force", &id]), place).await;
    ran?;
    let first = version.lines().next().unwrap_or_default();
    let number = first
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(number.unwrap_or("of unknown version").to_owned())
}

fn command(program: &Path, state: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--root").arg(state);
    command
}

/// Runs a command of the runtime to its end and gives its output; else its last words.
async fn finish(command: &mut Command, place: Option<&Namespaces>) -> Result<String, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    if let Some(place) = place {
        place.attach(command);
    }
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    match output {
        Err(_) => Err(format!("it did not end within {} s", DEADLINE.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(Output { status, stdout, .. })) if status.success() => {
            Ok(String::from_utf8_lossy(&stdout).into_owned())
        }
        Ok(Ok(output)) => Err(last_words(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// The last line that says something; of a log line its message.
pub(crate) fn last_words(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    let line = line.unwrap_or("it said nothing").trim();
    let message = line
        .split_once("msg=\"")
        .and_then(|(_, rest)| rest.strip_suffix('"'));
    let words = message.map_or_else(|| line.to_owned(), |message| message.replace("\\\"", "\""));
    words.chars().take(LAST_WORDS).collect()
}

/// The runtime of one container, with what it keeps about it.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub program: PathBuf,
    pub state: PathBuf,
    pub id: String,
}

impl Handle {
    /// Has the runtime do something with the container.
    pub async fn tell(&self, words: &[&str]) -> Result<(), BackendError> {
        let mut command = command(&self.program, &self.state);
        command.args(words).arg(&self.id);
        let told = finish(&mut command, None).await;
        told.map(drop).map_err(|message| BackendError::Refused {
            command: format!("{} {}", name_of(&self.program), words.join(" ")),
            message,
        })
    }

    /// What makes the container of a bundle and has its first program run, once its stage
    /// is set. `create` and `start` would be two programs where this is one.
    pub fn creation(&self, bundle: &Path, pid_file: &Path) -> Vec<std::ffi::OsString> {
        let words: [&OsStr; 12] = [
            self.program.as_os_str(),
            "--root".as_ref(),
            self.state.as_os_str(),
            "run".as_ref(),
            "--detach".as_ref(),
            "--bundle".as_ref(),
            bundle.as_os_str(),
            "--pid-file".as_ref(),
            pid_file.as_os_str(),
            "--preserve-fds".as_ref(),
            "2".as_ref(),
            self.id.as_ref(),
        ];
        words.map(OsStr::to_owned).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn what_a_runtime_says_is_understood() {
        let log = "time=\"2026\" level=error msg=\"mounting \\\"/a\\\": no\"\n\n";
        assert_eq!(last_words(log), "mounting \"/a\": no");
        assert_eq!(last_words("plain\nwords\n"), "words");
        assert_eq!(last_words(""), "it said nothing");
    }
}
