//! Provisioners: scripts and files, each once, always or never.

use crate::cell::NodeCell;
use crate::console::append_bounded;
use crate::engine::Engine;
use crate::{Fault, node, parcel};
use nestlab_api::client::{Client, ExecEvent};
use nestlab_api::message::{ExecEnd, ExecRequest, ProvisionChoice};
use nestlab_model::{
    EventKind, FileCopy, LogStream, Node, ProvisionAction, Provisioner, RunPolicy, Stage,
};
use std::collections::VecDeque;
use std::path::Path;

/// The folder in the node that holds scripts while they run.
const SCRIPTS: &str = "/var/lib/nestlab/provision";

/// How many last lines of a failed script are shown.
const LAST_LINES: usize = 20;

/// The longest line of output that is passed on, in bytes; the rest of a longer
/// one comes as further lines.
const MAX_LINE: usize = 4096;

/// The size at which a provisioning log is rotated, in bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// Runs what is due, in order. What has succeeded is not run again.
pub(crate) async fn run(
    engine: &Engine,
    cell: &NodeCell,
    node: &Node,
    agent: &Client,
    choice: &ProvisionChoice,
) -> Result<(), Fault> {
    for step in &node.provision {
        let digest = parcel::digest_of(format!("{:?}", step.action).as_bytes()).to_string();
        let done = cell
            .record()
            .is_some_and(|r| r.done.get(&step.name) == Some(&digest));
        if !is_due(step, done, choice) {
            continue;
        }
        node::say(cell, Stage::Provision, format!("running {}", step.name));
        run_step(engine, cell, step, agent).await.map_err(|fault| {
            fault.with_hint(format!(
                "Mend `{0}`, then `nestlab up` continues here; `nestlab logs --provision {1}` shows all of its output",
                step.name, cell.path
            ))
        })?;
        cell.amend(node, |record| {
            record.done.insert(step.name.clone(), digest);
        })?;
    }
    Ok(())
}

fn is_due(step: &Provisioner, done: bool, choice: &ProvisionChoice) -> bool {
    match choice.policy(&step.name, step.action.kind(), step.run) {
        RunPolicy::Never => false,
        RunPolicy::Always => true,
        RunPolicy::Once => !done,
    }
}

pub(crate) async fn run_step(
    engine: &Engine,
    cell: &NodeCell,
    step: &Provisioner,
    agent: &Client,
) -> Result<(), Fault> {
    match &step.action {
        ProvisionAction::File(copy) => {
            send_file(agent, copy, engine.blobs())
                .await
                .map_err(|fault| {
                    fault.while_doing(format!(
                        "Cannot copy {} to node `{}`",
                        copy.target, cell.path
                    ))
                })
        }
        ProvisionAction::Shell { script, args } => {
            let argv = send_script(agent, &step.name, script, args).await?;
            let request = ExecRequest {
                argv,
                env: step.env.clone(),
                ..ExecRequest::default()
            };
            run_script(cell, step, agent, request).await
        }
    }
}

/// Copies a file or folder into the node.
pub(crate) async fn send_file(agent: &Client, copy: &FileCopy, blobs: &Path) -> Result<(), Fault> {
    let parcel = parcel::pack(copy, blobs)?;
    let archive = tokio::fs::File::from_std(parcel.archive);
    agent
        .put_files(&parcel.into, archive)
        .await
        .map_err(|error| Fault::caused(format!("Cannot unpack into {}", parcel.into), &error))
}

/// Puts a script into the node; returns the command line that runs it.
async fn send_script(
    agent: &Client,
    name: &str,
    script: &str,
    args: &[String],
) -> Result<Vec<String>, Fault> {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let archive =
        parcel::pack_text(&safe, script, 0o700).map_err(Fault::io("Cannot pack the script"))?;
    agent
        .put_files(SCRIPTS, tokio::fs::File::from_std(archive))
        .await
        .map_err(|error| Fault::caused(format!("Cannot send the script {name}"), &error))?;
    let path = format!("{SCRIPTS}/{safe}");
    let mut argv = if script.starts_with("#!") {
        vec![path]
    } else {
        vec!["/bin/sh".into(), path]
    };
    argv.extend(args.iter().cloned());
    Ok(argv)
}

async fn run_script(
    cell: &NodeCell,
    step: &Provisioner,
    agent: &Client,
    request: ExecRequest,
) -> Result<(), Fault> {
    let cannot = |error: &dyn std::error::Error| {
        Fault::caused(
            format!("Cannot run `{}` on node `{}`", step.name, cell.path),
            error,
        )
    };
    let mut session = agent.exec(request).await.map_err(|error| cannot(&error))?;
    let mut out = Lines::new(cell, step, LogStream::Stdout);
    let mut err = Lines::new(cell, step, LogStream::Stderr);
    loop {
        match session.next().await.map_err(|error| cannot(&error))? {
            ExecEvent::Stdout(bytes) => out.take(&bytes),
            ExecEvent::Stderr(bytes) => err.take(&bytes),
            ExecEvent::End(end) => {
                out.finish();
                err.finish();
                return judge(cell, step, &end, out.last.into_iter().chain(err.last));
            }
        }
    }
}

fn judge(
    cell: &NodeCell,
    step: &Provisioner,
    end: &ExecEnd,
    last: impl Iterator<Item = String>,
) -> Result<(), Fault> {
    let how = match end {
        ExecEnd::Exited(0) => return Ok(()),
        ExecEnd::Exited(code) => format!("exited with {code}"),
        ExecEnd::Signalled(signal) => format!("was ended by signal {signal}"),
        ExecEnd::Detached { .. } => "went into the background".to_owned(),
        ExecEnd::NotStarted { reason, .. } => format!("could not be started: {reason}"),
    };
    let lines: Vec<String> = last.map(|line| format!("\n  | {line}")).collect();
    Err(Fault::new(format!(
        "Provisioner `{}` of node `{}` {how}{}",
        step.name,
        cell.path,
        lines.concat()
    )))
}

/// Cuts a stream into lines, passes them on, keeps the last ones.
struct Lines<'a> {
    cell: &'a NodeCell,
    step: &'a Provisioner,
    stream: LogStream,
    partial: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    fn new(cell: &'a NodeCell, step: &'a Provisioner, stream: LogStream) -> Self {
        Self {
            cell,
            step,
            stream,
            partial: Vec::new(),
            last: VecDeque::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let _ = append_bounded(&self.cell.log_path("provision"), bytes, LOG_LIMIT);
        for &byte in bytes {
            if byte == b'\n' || self.partial.len() >= MAX_LINE {
                self.finish_line();
            }
            if byte != b'\n' {
                self.partial.push(byte);
            }
        }
    }

    fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.finish_line();
        }
    }

    fn finish_line(&mut self) {
        let line = String::from_utf8_lossy(&self.partial)
            .trim_end_matches('\r')
            .to_owned();
        self.partial.clear();
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        self.cell.tell(EventKind::Output {
            step: self.step.name.clone(),
            stream: self.stream,
            line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_decide_what_is_due() {
        use ProvisionChoice::{Force, None, Only, Policy};
        use RunPolicy::{Always, Never, Once};
        let check = |policy, done, choice, due| {
            let step = Provisioner {
                name: "setup".into(),
                run: policy,
                action: ProvisionAction::Shell {
                    script: "true".into(),
                    args: Vec::new(),
                },
                env: Default::default(),
            };
            assert_eq!(
                is_due(&step, done, &choice),
                due,
                "{policy:?} {done} {choice:?}"
            );
        };
        let only = |names: &[&str]| Only(names.iter().map(|name| name.to_string()).collect());
        check(Once, false, Policy, true);
        check(Once, true, Policy, false);
        check(Once, true, Force, true);
        check(Always, true, Policy, true);
        check(Always, false, None, false);
        check(Never, false, Force, false);
        check(Once, true, only(&["other", "setup"]), true);
        check(Once, true, only(&["shell"]), true);
        check(Always, true, only(&["file"]), false);
        check(Never, false, only(&["setup"]), true);
        check(Never, false, only(&["shell"]), false);
        check(Once, false, only(&[]), false);
    }
}
