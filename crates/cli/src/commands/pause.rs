//! `nestlab pause` and `nestlab resume`: nodes stand still, and go on.

use super::operation;
use crate::cli::PauseArgs;
use crate::context::Context;
use crate::error::Error;
use crate::{machine, output};
use nestlab_api::client::Client;
use nestlab_api::message::PauseRequest;
use operation::Done;

pub fn pause(context: &Context, args: PauseArgs) -> Result<u8, Error> {
    context.block_on(async {
        let (client, request) = meant(context, args).await?;
        let begin = |client: Client| async move { client.pause(&request).await };
        let done = operation::run(context, &client, Vec::new(), begin).await?;
        tell(context, &done, "Paused")
    })
}

pub fn resume(context: &Context, args: PauseArgs) -> Result<u8, Error> {
    context.block_on(async {
        let (client, request) = meant(context, args).await?;
        let nodes = super::meant(&client.layer().await?.status, &request.paths);
        machine::action(context, "resume", "start", &nodes);
        let begin = |client: Client| async move { client.resume(&request).await };
        let done = operation::run(context, &client, Vec::new(), begin).await?;
        machine::action(context, "resume", "end", &nodes);
        tell(context, &done, "Resumed")
    })
}

async fn meant(context: &Context, args: PauseArgs) -> Result<(Client, PauseRequest), Error> {
    let client = super::client(context).await?;
    let report = client.layer().await?;
    for path in &args.paths {
        super::check_path(&report.status, path)?;
    }
    let request = PauseRequest {
        paths: args.paths,
        ..PauseRequest::default()
    };
    Ok((client, request))
}

fn tell(context: &Context, done: &Done, word: &str) -> Result<u8, Error> {
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "ok": done.outcome.ok, "status": done.outcome.status }),
        );
    }
    context.say(&format!("{word} in {}", done.progress.elapsed()));
    Ok(0)
}
