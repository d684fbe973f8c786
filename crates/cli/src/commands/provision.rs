//! `nestlab provision` and `nestlab rsync`: what was done to nodes that run is done again,
//! by the lab file as it is now. Nodes that do not run are left alone.

use super::up::{self, Way};
use crate::cli::ProvisionArgs;
use crate::context::Context;
use crate::error::Error;
use crate::supervisor;
use nestlab_api::message::ProvisionChoice;
use nestlab_model::{NodePath, NodeState, NodeStatus};

pub fn run(context: &Context, args: ProvisionArgs) -> Result<u8, Error> {
    let way = Way {
        action: up::PROVISION,
        paths: args.paths,
        provision: match args.provision_with {
            Some(names) => ProvisionChoice::Only(names),
            None => ProvisionChoice::Force,
        },
        ..Way::default()
    };
    context.block_on(again(context, way))
}

/// `nestlab rsync`
pub fn copy_again(context: &Context, paths: Vec<NodePath>) -> Result<u8, Error> {
    let way = Way {
        action: up::SYNC,
        paths,
        // A node that is set up again for no provisioner's sake has its files copied.
        provision: ProvisionChoice::Only(Vec::new()),
        ..Way::default()
    };
    context.block_on(again(context, way))
}

async fn again(context: &Context, mut way: Way) -> Result<u8, Error> {
    let place = context.place()?;
    let record = place.known()?.clone();
    let lab = up::current(context, &place, &record, &way).await?;
    let client = supervisor::ensure_running(&place, &record).await?;
    let status = client.layer().await?.status;
    way.paths = super::fit(context, &status, &way.paths, runs)?;
    if way.paths.is_empty() {
        context.say("Nothing runs; `nestlab up` brings nodes up");
        return Ok(0);
    }
    up::bring_up(context, &place, &record, lab, &way).await
}

/// Whether a node runs: one whose provisioner failed does.
fn runs(node: &NodeStatus) -> bool {
    match node.state {
        NodeState::Ready => true,
        NodeState::Failed { .. } => node.pid.is_some(),
        _ => false,
    }
}
