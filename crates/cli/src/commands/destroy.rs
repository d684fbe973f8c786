//! `nestlab destroy`: removes nodes and everything they wrote. When the whole
//! lab is meant, nothing of it is left on this machine: no process, no socket,
//! no file, and the lab itself is forgotten.

use super::operation;
use crate::cli::DestroyArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::place::{Place, Record};
use crate::terminal::agrees;
use crate::{machine, supervisor, sweep};
use nestlab_api::client::Client;
use nestlab_api::message::StopRequest;
use nestlab_model::NodePath;
use std::io::{self, IsTerminal};

pub fn run(context: &Context, args: DestroyArgs) -> Result<u8, Error> {
    let place = context.place()?;
    let Some(record) = place.record.clone() else {
        context.say("There is nothing to destroy: the lab was never brought up");
        return Ok(0);
    };
    context.block_on(destroy(context, &place, &record, args))
}

async fn destroy(
    context: &Context,
    place: &Place,
    record: &Record,
    args: DestroyArgs,
) -> Result<u8, Error> {
    let whole = args.paths.is_empty() || args.paths.iter().any(NodePath::is_host);
    let client = match supervisor::ensure_running(place, record).await {
        Ok(client) => client,
        // Not even its supervisor can be had: what is left is taken by force.
        Err(error) if whole => {
            context.warn(
                error
                    .render("", "")
                    .trim_start_matches([':', ' '])
                    .trim_end(),
            );
            return remove_by_force(context, place, record).await;
        }
        Err(error) => return Err(error),
    };
    let report = client.layer().await?;
    let keeper = supervisor::keeper(&report);
    for path in &args.paths {
        super::check_path(&report.status, path)?;
    }
    let nodes = report.status.walk().len();
    if !args.yes && !confirmed(record, &args.paths, nodes)? {
        return Err(Error::new(Code::Interrupted, "Nothing was destroyed"));
    }
    let paths = if whole { Vec::new() } else { args.paths };
    let meant = super::meant(&report.status, &paths);
    machine::action(context, "destroy", "start", &meant);
    let request = StopRequest {
        paths,
        force: true,
        save: false,
        deadline_seconds: None,
    };
    let begin = |client: Client| async move { client.destroy(&request).await };
    let done = operation::run(context, &client, Vec::new(), begin).await?;
    if !done.outcome.ok {
        return Err(operation::failure(
            context,
            &done.outcome.status,
            &done.progress,
            "destroyed",
        ));
    }
    if whole {
        supervisor::end(&client, keeper).await?;
        clear(place, record).await?;
    }
    machine::action(context, "destroy", "end", &meant);
    said(context, record, whole, &done.progress.elapsed());
    Ok(0)
}

async fn remove_by_force(context: &Context, place: &Place, record: &Record) -> Result<u8, Error> {
    clear(place, record).await?;
    said(context, record, true, "no time");
    Ok(0)
}

/// Removes what carries the lab's id and what is written down about it.
async fn clear(place: &Place, record: &Record) -> Result<(), Error> {
    let left = sweep::sweep(&record.id).await;
    if left > 0 {
        tracing::info!(left, "ended processes that were left over");
    }
    place.forget(record)
}

fn said(context: &Context, record: &Record, whole: bool, elapsed: &str) {
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "lab": record.name, "destroyed": true, "whole": whole }),
        );
    }
    let what = if whole {
        record.name.as_str()
    } else {
        "The nodes"
    };
    context.say(&format!("{what} destroyed in {elapsed}"));
}

/// Asks a person; a script is taken at its word.
fn confirmed(record: &Record, paths: &[NodePath], nodes: usize) -> Result<bool, Error> {
    if nodes == 0 || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    let what = if paths.is_empty() {
        format!("all of {} ({nodes} nodes)", record.name)
    } else {
        let names: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
        format!("{} and everything inside", names.join(", "))
    };
    agrees(&format!("Destroy {what}, with all its disks?"))
}
