//! `nestlab halt`: powers nodes off and keeps their disks.

use super::operation;
use crate::cli::HaltArgs;
use crate::context::Context;
use crate::error::Error;
use crate::output;
use nestlab_api::client::Client;
use nestlab_api::message::StopRequest;

pub fn run(context: &Context, args: HaltArgs) -> Result<u8, Error> {
    context.block_on(halt(context, args))
}

async fn halt(context: &Context, args: HaltArgs) -> Result<u8, Error> {
    let client = super::client(context).await?;
    let report = client.layer().await?;
    for path in &args.paths {
        super::check_path(&report.status, path)?;
    }
    let request = StopRequest {
        paths: args.paths,
        force: args.force,
        save: args.save,
        deadline_seconds: args.timeout,
    };
    let begin = |client: Client| async move { client.halt(&request).await };
    let done = operation::run(context, &client, Vec::new(), begin).await?;
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "ok": done.outcome.ok, "status": done.outcome.status }),
        );
    }
    if !done.outcome.ok {
        return Err(operation::failure(
            context,
            &done.outcome.status,
            &done.progress,
            "halted",
        ));
    }
    let word = if args.save { "Saved" } else { "Halted" };
    context.say(&format!("{word} in {}", done.progress.elapsed()));
    Ok(0)
}
