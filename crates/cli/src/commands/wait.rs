//! `nestlab wait`: waits until nodes are ready.

use crate::cli::WaitArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::render::tree;
use nestlab_api::client::Client;
use nestlab_model::{LayerStatus, NodePath, NodeState};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two looks.
const STEP: Duration = Duration::from_millis(250);

pub fn run(context: &Context, args: WaitArgs) -> Result<u8, Error> {
    context.block_on(wait(context, args))
}

async fn wait(context: &Context, args: WaitArgs) -> Result<u8, Error> {
    let client: Client = super::client(context).await?;
    let deadline = args
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        let status = client.layer().await?.status;
        match look(&status, &args.paths)? {
            Look::Ready => return Ok(0),
            Look::Failed => {
                let text = tree::failures(&status, context.color);
                crate::output::say(text.trim_end());
                return Err(Error::new(Code::Failed, "A node has failed")
                    .hint("Mend it, then `nestlab up` continues from there"));
            }
            Look::Pending(names) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                let seconds = args.timeout.unwrap_or_default();
                let message = format!("After {seconds} s not ready: {}", names.join(", "));
                return Err(Error::new(Code::Failed, message)
                    .hint("`nestlab status` shows how far each node is"));
            }
            Look::Pending(_) => sleep(STEP).await,
        }
    }
}

enum Look {
    Ready,
    Failed,
    Pending(Vec<String>),
}

fn look(status: &LayerStatus, paths: &[NodePath]) -> Result<Look, Error> {
    for path in paths {
        super::check_path(status, path)?;
    }
    let wanted = |path: &NodePath| paths.is_empty() || paths.iter().any(|p| p.contains(path));
    let nodes: Vec<_> = status
        .walk()
        .into_iter()
        .filter(|node| wanted(&node.path))
        .collect();
    if nodes
        .iter()
        .any(|node| matches!(node.state, NodeState::Failed { .. }))
    {
        return Ok(Look::Failed);
    }
    let pending: Vec<String> = nodes
        .iter()
        .filter(|node| node.state != NodeState::Ready)
        .map(|node| format!("`{}` ({})", node.path, node.state.word()))
        .collect();
    Ok(if pending.is_empty() && !nodes.is_empty() {
        Look::Ready
    } else {
        Look::Pending(pending)
    })
}
