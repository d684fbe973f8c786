//! One file per verb: it calls a level's API and renders what comes back.

pub mod ansible;
pub mod bench;
pub mod boxes;
pub mod compare;
pub mod connect;
pub mod console;
pub mod convert;
pub mod cp;
pub mod describe;
pub mod destroy;
pub mod doctor;
pub mod exec;
pub mod fork;
pub mod halt;
pub mod image;
pub mod init;
pub mod inventory;
pub mod logs;
pub mod ls;
pub mod net;
mod operation;
pub mod pause;
pub mod plan;
pub mod plugin;
pub mod port;
pub mod provision;
pub mod reload;
pub mod resize;
mod scratch;
pub mod snapshot;
pub mod ssh_config;
pub mod status;
pub mod up;
pub mod validate;
pub mod wait;

use crate::context::Context;
use crate::error::{Code, Error};
use crate::supervisor;
use nestlab_api::client::Client;
use nestlab_model::{LayerStatus, NodePath, NodeStatus};

/// A client of the lab that is meant; its supervisor is started if it died.
async fn client(context: &Context) -> Result<Client, Error> {
    let place = context.place()?;
    supervisor::ensure_running(&place, place.known()?).await
}

/// The nodes of the tree that paths mean, with all inside them.
fn meant(status: &LayerStatus, paths: &[NodePath]) -> Vec<NodePath> {
    let is_meant =
        |path: &NodePath| paths.is_empty() || paths.iter().any(|meant| meant.contains(path));
    let all = status.walk().into_iter().map(|node| node.path.clone());
    all.filter(is_meant).collect()
}

/// Of the nodes that paths mean, those that something can be done to; of the others it is
/// said that they are left alone. Without paths the nodes at the top are meant.
fn fit(
    context: &Context,
    status: &LayerStatus,
    paths: &[NodePath],
    fits: impl Fn(&NodeStatus) -> bool,
) -> Result<Vec<NodePath>, Error> {
    for path in paths {
        check_path(status, path)?;
    }
    let top = || status.nodes.iter().map(|node| node.path.clone()).collect();
    let whole = paths.is_empty() || paths.iter().any(NodePath::is_host);
    let paths: Vec<NodePath> = if whole { top() } else { paths.to_vec() };
    let nodes = status.walk();
    let (fit, unfit): (Vec<_>, Vec<_>) = paths
        .into_iter()
        .partition(|path| nodes.iter().any(|node| node.path == *path && fits(node)));
    for path in unfit {
        let state = check_path(status, &path)?;
        context.say(&format!("{path} is {state} and left alone"));
    }
    Ok(fit)
}

/// What a call on a node came to: if the node is the trouble, in which way.
async fn explain(client: &Client, path: &NodePath, error: Error) -> Error {
    let Ok(report) = client.layer().await else {
        return error;
    };
    match check_path(&report.status, path) {
        Ok(state) if state == "ready" => error,
        Ok(state) if state == "paused" => {
            error.hint(format!("`nestlab resume {path}` lets it go on"))
        }
        Ok(state) => error.hint(format!(
            "`{path}` is {state}; `nestlab up {path}` brings it up"
        )),
        Err(unknown) => unknown,
    }
}

/// The state of a node in a word, or an error that names those there are.
fn check_path(status: &LayerStatus, path: &NodePath) -> Result<String, Error> {
    let nodes = status.walk();
    if path.is_host() {
        return Ok("ready".to_owned());
    }
    if let Some(node) = nodes.iter().find(|node| node.path == *path) {
        return Ok(node.state.word());
    }
    // The inside of a node that does not answer is not known.
    let dark = nodes
        .iter()
        .find(|node| node.path.contains(path) && node.inside.is_none());
    if let Some(node) = dark {
        return Ok(format!(
            "inside `{}`, which is {}",
            node.path,
            node.state.word()
        ));
    }
    let known: Vec<String> = nodes
        .iter()
        .map(|node| format!("`{}`", node.path))
        .collect();
    let error = Error::new(
        Code::Unknown,
        format!("There is no node `{path}` in this lab"),
    );
    Err(if known.is_empty() {
        error.hint("The lab is not up: `nestlab up`")
    } else {
        error.hint(format!("Its nodes: {}", known.join(", ")))
    })
}
