//! `nestlab halt`: powers nodes off and keeps their disks.

use super::operation::{self, Done};
use crate::cli::HaltArgs;
use crate::context::Context;
use crate::error::Error;
use crate::{machine, output};
use nestlab_api::client::Client;
use nestlab_api::message::StopRequest;
use nestlab_model::NodePath;

pub fn run(context: &Context, args: HaltArgs) -> Result<u8, Error> {
    let action = if args.save { "suspend" } else { "halt" };
    let request = StopRequest {
        paths: args.paths,
        force: args.force,
        save: args.save,
        deadline_seconds: args.timeout,
    };
    context.block_on(halt(context, action, request))
}

/// `nestlab suspend`
pub fn suspend(context: &Context, paths: Vec<NodePath>) -> Result<u8, Error> {
    let request = StopRequest {
        paths,
        save: true,
        ..StopRequest::default()
    };
    context.block_on(halt(context, "suspend", request))
}

async fn halt(context: &Context, action: &str, request: StopRequest) -> Result<u8, Error> {
    let client = super::client(context).await?;
    let report = client.layer().await?;
    for path in &request.paths {
        super::check_path(&report.status, path)?;
    }
    let meant = super::meant(&report.status, &request.paths);
    machine::action(context, action, "start", &meant);
    let done = stop(context, &client, &request).await?;
    machine::action(context, action, "end", &meant);
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "ok": done.outcome.ok, "status": done.outcome.status }),
        );
    }
    let word = if request.save { "Saved" } else { "Halted" };
    context.say(&format!("{word} in {}", done.progress.elapsed()));
    Ok(0)
}

/// Stops nodes; an error if any could not be stopped.
pub async fn stop(
    context: &Context,
    client: &Client,
    request: &StopRequest,
) -> Result<Done, Error> {
    let begin = |client: Client| async move { client.halt(request).await };
    let done = operation::run(context, client, Vec::new(), begin).await?;
    if done.outcome.ok {
        return Ok(done);
    }
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "ok": false, "status": done.outcome.status }),
        );
    }
    Err(operation::failure(
        context,
        &done.outcome.status,
        &done.progress,
        "halted",
    ))
}
