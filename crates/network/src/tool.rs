//! Running `ip` and `nft` where a layer's networks stand.

use crate::error::{NetworkError, Refusal};
use crate::place::Place;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Folders that are often missing from an ordinary user's path.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Where a program is; its bare name, left to the search path, if not in the
/// usual folders.
pub(crate) fn locate(program: &str) -> PathBuf {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(program))
}

/// Gives `ip` or `nft` a batch on standard input and returns what it wrote.
/// `action` completes "Cannot …".
pub(crate) async fn run(
    place: &Place,
    program: &'static str,
    arguments: &[&str],
    input: &str,
    action: impl Fn() -> String,
) -> Result<Vec<u8>, NetworkError> {
    tracing::debug!(program, ?arguments, input, "running");
    let output = feed(place, program, arguments, input)
        .await
        .map_err(|source| NetworkError::Program { program, source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let source = Refusal {
        program,
        status: output.status,
        message: explain(&String::from_utf8_lossy(&output.stderr), input),
    };
    Err(NetworkError::Refused { action: action(), source })
}

async fn feed(
    place: &Place,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> io::Result<Output> {
    let mut command = Command::new(locate(program));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C")
        .kill_on_drop(true);
    place.attach(&mut command);
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take();
    let write = async move {
        if let Some(stdin) = &mut stdin {
            // One that refuses early closes its end; its status says why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    output
}

/// The messages on one line, with the line of the batch that `ip` means.
fn explain(messages: &str, input: &str) -> String {
    let mut parts = Vec::new();
    for line in messages.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let number = line
            .strip_prefix("Command failed -:")
            .and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| input.lines().nth(number.checked_sub(1)?)) {
            Some(command) => parts.push(format!("in `{command}`")),
            None => parts.push(line.to_owned()),
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_batch_line_is_quoted() {
        let said = "RTNETLINK answers: File exists\nCommand failed -:2\n";
        insta::assert_snapshot!(
            explain(said, "link set lo up\nlink add x type bridge\n"),
            @"RTNETLINK answers: File exists; in `link add x type bridge`"
        );
    }

    #[tokio::test]
    async fn a_missing_program_has_a_kind() {
        let error = feed(&Place::Machine, "no-such-program", &[], "").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
