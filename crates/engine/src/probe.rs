//! Readiness: trying inside the node until it is as the file says.

use crate::Fault;
use crate::cell::NodeCell;
use nestlab_api::client::Client;
use nestlab_api::message::ExecRequest;
use nestlab_model::{Node, Probe, ProbeCheck, Protocol};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);

/// The most that is read of an HTTP answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Waits until the node's probe succeeds. At once if it has none.
pub(crate) async fn wait(cell: &NodeCell, node: &Node, agent: &Client) -> Result<(), Fault> {
    let Some(probe) = &node.ready else {
        return Ok(());
    };
    let mut last = String::from("it was never tried");
    let tries = async {
        loop {
            match tokio::time::timeout(TRY, attempt(probe, agent)).await {
                Ok(Ok(())) => return,
                Ok(Err(why)) => last = why,
                Err(_) => last = format!("no answer within {} s", TRY.as_secs()),
            }
            tokio::time::sleep(probe.interval).await;
        }
    };
    if tokio::time::timeout(probe.timeout, tries).await.is_ok() {
        return Ok(());
    }
    Err(Fault::new(format!(
        "Node `{}` was not ready within {} s\ncaused by: {last}",
        cell.path,
        probe.timeout.as_secs()
    ))
    .with_optional_hint(probe.hint.clone())
    .with_hint_if_none(format!("`nestlab exec {} -- …` lets you look", cell.path)))
}

impl Fault {
    fn with_hint_if_none(self, hint: String) -> Self {
        self.with_optional_hint(Some(hint))
    }
}

async fn attempt(probe: &Probe, agent: &Client) -> Result<(), String> {
    match &probe.check {
        ProbeCheck::Exec { command } => exec(agent, command).await,
        ProbeCheck::Tcp { address } => {
            let port = port_of(address)?;
            agent
                .dial(port, Protocol::Tcp)
                .await
                .map(drop)
                .map_err(|e| e.to_string())
        }
        ProbeCheck::Http { url, matches } => http(agent, url, matches.as_deref()).await,
    }
}

async fn exec(agent: &Client, command: &str) -> Result<(), String> {
    let argv = ["/bin/sh", "-c", command].map(String::from).to_vec();
    let output = agent
        .run(ExecRequest {
            argv,
            ..ExecRequest::default()
        })
        .await
        .map_err(|error| error.to_string())?;
    match output.end.code() {
        0 => Ok(()),
        code => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{command}` exited with {code}: {}", text.trim()))
        }
    }
}

fn port_of(address: &str) -> Result<u16, String> {
    let port = address.rsplit(':').next().unwrap_or_default();
    port.parse().map_err(|_| format!("{address:?} has no port"))
}

/// Speaks just enough HTTP/1.0 to see a status and a body.
async fn http(agent: &Client, url: &str, matches: Option<&str>) -> Result<(), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("{url:?} is not an http:// address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if host.contains(':') {
        port_of(host)?
    } else {
        80
    };
    let mut stream = agent
        .dial(port, Protocol::Tcp)
        .await
        .map_err(|error| error.to_string())?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let io = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).await.map_err(io)?;
    let mut answer = Vec::new();
    stream
        .take(MAX_ANSWER)
        .read_to_end(&mut answer)
        .await
        .map_err(io)?;
    judge(&String::from_utf8_lossy(&answer), matches)
}

fn judge(answer: &str, matches: Option<&str>) -> Result<(), String> {
    let status = answer.split_ascii_whitespace().nth(1).unwrap_or("nothing");
    if !status.starts_with('2') {
        return Err(format!("the answer was {status}"));
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    match matches {
        Some(text) if !body.contains(text) => {
            let start: String = body.chars().take(80).collect();
            Err(format!("the answer {start:?} does not contain {text:?}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let ok = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n\"10.10.10.11:8300\"";
        assert_eq!(judge(ok, Some(":8300")), Ok(()));
        assert!(
            judge(ok, Some("x"))
                .unwrap_err()
                .contains("does not contain")
        );
        assert!(
            judge("HTTP/1.1 500 No\r\n\r\n", None)
                .unwrap_err()
                .contains("500")
        );
        assert!(judge("", None).is_err());
    }
}
