//! `nestlab reload`: `halt`, and `up` by the lab file as it is now: what a running machine
//! cannot take up, it has then.

use super::up::{self, Way};
use super::{fit, halt};
use crate::cli::ReloadArgs;
use crate::context::Context;
use crate::error::Error;
use crate::supervisor;
use nestlab_api::message::StopRequest;
use nestlab_model::{NodeState, NodeStatus};

pub fn run(context: &Context, args: ReloadArgs) -> Result<u8, Error> {
    context.block_on(reload(context, args))
}

async fn reload(context: &Context, args: ReloadArgs) -> Result<u8, Error> {
    let place = context.place()?;
    let record = place.known()?.clone();
    let mut way = Way {
        action: "reload",
        provision: up::choice(args.provision, args.no_provision, &args.provision_with),
        paths: args.paths,
        ..Way::default()
    };
    // Mistakes of the file are told before anything is halted.
    let lab = up::current(context, &place, &record, &way).await?;
    let client = supervisor::ensure_running(&place, &record).await?;
    let status = client.layer().await?.status;
    way.paths = fit(context, &status, &way.paths, was_made)?;
    if way.paths.is_empty() {
        context.say("Nothing was brought up yet; `nestlab up` does");
        return Ok(0);
    }
    let request = StopRequest {
        paths: way.paths.clone(),
        force: args.force,
        ..StopRequest::default()
    };
    halt::stop(context, &client, &request).await?;
    up::bring_up(context, &place, &record, lab, &way).await
}

fn was_made(node: &NodeStatus) -> bool {
    node.state != NodeState::Absent
}
