//! Runs `ip` and `nft`, inside a lab's namespaces or here.

use crate::NetworkError;
use nestlab_sys::namespace::Namespaces;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest that one of them may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where programs lie; an ordinary user's PATH often lacks the sbin folders. In
/// a node whose image lacks a program, the kit has it.
const FOLDERS: [&str; 7] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/run/nestlab/kit/tools",
];

/// The file of a program, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

/// Runs a program with a text as its input and gives its output.
pub(crate) async fn run(
    place: Option<&Namespaces>,
    (program, package): (&'static str, &'static str),
    arguments: &[&str],
    input: &str,
    action: &str,
) -> Result<String, NetworkError> {
    let path = find(program).ok_or(NetworkError::MissingProgram { program, package })?;
    let mut command = Command::new(path);
    command.args(arguments).kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(place) = place {
        place.attach(&mut command);
    }
    let failed = |message: String| NetworkError::Command {
        action: action.to_owned(),
        message,
    };
    let mut child = command
        .spawn()
        .map_err(NetworkError::io(format!("start `{program}`")))?;
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // A program that ends early says why on its standard error.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        drop(stdin);
    };
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let output = tokio::time::timeout(DEADLINE, both)
        .await
        .map_err(|_| {
            failed(format!(
                "`{program}` did not end in {} s",
                DEADLINE.as_secs()
            ))
        })?
        .map_err(NetworkError::io(format!("wait for `{program}`")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!(
        "`{program}` said: {}",
        words.trim().replace('\n', "; ")
    )))
}

/// Runs a batch of `ip` commands; an empty one is not run.
pub(crate) async fn ip_batch(
    place: Option<&Namespaces>,
    batch: &str,
    action: &str,
) -> Result<(), NetworkError> {
    if batch.is_empty() {
        return Ok(());
    }
    run(place, ("ip", "iproute2"), &["-batch", "-"], batch, action)
        .await
        .map(drop)
}

/// Applies an nftables script, wholly or not at all.
pub(crate) async fn nft(
    place: Option<&Namespaces>,
    script: &str,
    action: &str,
) -> Result<(), NetworkError> {
    run(place, ("nft", "nftables"), &["-f", "-"], script, action)
        .await
        .map(drop)
}
