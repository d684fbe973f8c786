//! Programs of ours that measure or are measured with, wherever they run.

use crate::commands::compare::Bundle;
use crate::error::{Code, Error};
use nestlab_api::client::{Client, ExecEvent, ExecSession};
use nestlab_api::message::ExecRequest;
use nestlab_sys::namespace::Namespaces;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Where the kit has this program in a node.
const IN_A_NODE: &str = "/run/nestlab/kit/bin/nestlab";

/// The longest line that is taken from a program, in bytes.
const LONGEST: usize = 1 << 20;

/// Where a program runs.
pub enum Place {
    /// On this machine.
    Here,
    /// On this machine, in the network of a lab.
    Network(Namespaces),
    /// On this machine, in a container.
    Container(Bundle),
    /// In a node.
    Node(Client),
}

impl Place {
    /// Starts this program there in one of its roles.
    pub async fn start(&self, arguments: &[&str]) -> Result<Program, Error> {
        match self {
            Self::Node(client) => {
                let argv = std::iter::once(IN_A_NODE).chain(arguments.iter().copied());
                let request = ExecRequest {
                    argv: argv.map(str::to_owned).collect(),
                    ..ExecRequest::default()
                };
                Ok(Program::There(client.exec(request).await?, Vec::new()))
            }
            here => here.spawn(arguments),
        }
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Program, Error> {
        let cannot = |error| Error::caused("Cannot start a program that measures", &error);
        let mut command = match self {
            Self::Container(bundle) => bundle.command(arguments).map_err(cannot)?,
            _ => {
                let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
                command.args(arguments);
                command
            }
        };
        command.kill_on_drop(true);
        // Its end is told by that of its input: that reaches it through any runtime.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Self::Network(namespaces) = self {
            namespaces.attach(&mut command);
        }
        let mut child = command.spawn().map_err(cannot)?;
        let output = child.stdout.take().expect("it is a pipe");
        Ok(Program::Here(child, BufReader::new(output).lines()))
    }
}

/// A program that writes lines. Dropping it ends it.
pub enum Program {
    Here(Child, Lines<BufReader<ChildStdout>>),
    There(ExecSession, Vec<u8>),
}

impl Program {
    /// Its next line; `None` at its good end.
    pub async fn line(&mut self) -> Result<Option<String>, Error> {
        match self {
            Self::Here(child, lines) => {
                let cannot = |error| Error::caused("Cannot read what was measured", &error);
                match lines.next_line().await.map_err(cannot)? {
                    Some(line) => Ok(Some(line)),
                    None => match child.wait().await.map_err(cannot)? {
                        status if status.success() => Ok(None),
                        status => Err(ended(&status.to_string())),
                    },
                }
            }
            Self::There(session, kept) => loop {
                if let Some(end) = kept.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = kept.drain(..=end).collect();
                    return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
                }
                match session.next().await? {
                    ExecEvent::Stdout(bytes) if kept.len() < LONGEST => {
                        kept.extend_from_slice(&bytes);
                    }
                    ExecEvent::Stdout(_) => return Err(ended("it writes without an end")),
                    ExecEvent::Stderr(_) => {}
                    ExecEvent::End(end) if end.code() == 0 => return Ok(None),
                    ExecEvent::End(end) => return Err(ended(&format!("exit {}", end.code()))),
                }
            },
        }
    }

    /// Bytes of this machine that are its own, by its share of what several use
    /// (proc_pid_smaps_rollup(5)); `None` in a node, or where the kernel does not tell.
    pub fn memory(&self) -> Option<u64> {
        let Self::Here(child, _) = self else {
            return None;
        };
        nestlab_sys::proc::tree_memory(child.id()?)
    }

    /// Its next line, which it has to have.
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        let line = self.line().await?.ok_or_else(|| ended("it said nothing"))?;
        serde_json::from_str(&line).map_err(|error| ended(&error.to_string()))
    }
}

fn ended(why: &str) -> Error {
    Error::new(
        Code::Failed,
        format!("The program that measures did not work: {why}"),
    )
}
