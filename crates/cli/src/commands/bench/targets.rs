//! What of a lab is measured, and who speaks with whom there.

use crate::error::{Code, Error};
use nestlab_api::client::Client;
use nestlab_model::{Accelerator, Layer, LayerStatus, Node, NodePath, NodeState, NodeStatus};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One level that is measured.
pub struct Target {
    pub path: NodePath,
    /// What it and all below it run on, from the first level.
    pub accelerators: Vec<Accelerator>,
    /// How long its last start took, in milliseconds.
    pub boot_millis: Option<u64>,
    /// Where files are written, if that is not left to the program that measures.
    pub folder: Option<PathBuf>,
    pub peers: Vec<Peer>,
}

/// Somebody to speak with.
pub struct Peer {
    /// In the names of figures.
    pub name: String,
    /// The level that answers.
    pub at: NodePath,
    /// Where it does.
    pub address: IpAddr,
}

impl Target {
    /// The machine that labs stand on, whose labs are in `folder`.
    pub fn this_machine(folder: &Path) -> Self {
        Self {
            path: NodePath::host(),
            accelerators: Vec::new(),
            boot_millis: None,
            folder: Some(folder.to_owned()),
            peers: Vec::new(),
        }
    }
}

/// The nodes that are asked for, each after those it stands in; of every layer the first
/// that is ready if none are. Nodes that stand beside each other differ little.
pub async fn inside(client: &Client, paths: &[NodePath]) -> Result<Vec<Target>, Error> {
    let status = client.layer().await?.status;
    let layer = client.spec().await?.layer;
    for path in paths {
        let state = super::super::check_path(&status, path)?;
        if state != "ready" {
            return Err(Error::new(
                Code::Failed,
                format!("`{path}` cannot be measured: it is {state}"),
            )
            .hint(format!("`nestlab up {path}`")));
        }
    }
    let wanted = |path: &NodePath| paths.iter().any(|wanted| path.contains(wanted));
    let mut targets = Vec::new();
    collect(
        &status,
        &layer,
        &[],
        &mut targets,
        &|node, first| match paths.is_empty() {
            true => first,
            false => wanted(&node.path),
        },
    );
    Ok(targets)
}

fn collect(
    status: &LayerStatus,
    layer: &Layer,
    below: &[Accelerator],
    targets: &mut Vec<Target>,
    wanted: &impl Fn(&NodeStatus, bool) -> bool,
) {
    let ready = |node: &&NodeStatus| node.state == NodeState::Ready;
    let mut first = true;
    for node in status.nodes.iter().filter(ready) {
        let meant = wanted(node, first);
        first = false;
        let (true, Some(told)) = (meant, layer.node(&node.name)) else {
            continue;
        };
        let accelerators = [below, node.accelerator.as_slice()].concat();
        targets.push(Target {
            path: node.path.clone(),
            accelerators: accelerators.clone(),
            boot_millis: node.boot_millis,
            folder: None,
            peers: peers(status, layer, node, told),
        });
        if let Some(inside) = &node.inside {
            collect(inside, &told.inside, &accelerators, targets, wanted);
        }
    }
}

/// The parent at the other end of the node's first network, and the first other node in
/// it that is ready.
fn peers(status: &LayerStatus, layer: &Layer, node: &NodeStatus, told: &Node) -> Vec<Peer> {
    let Some(card) = told.endpoints.first() else {
        return Vec::new();
    };
    let Some((parent, _)) = node.path.split_last() else {
        return Vec::new();
    };
    let network = layer.networks.iter().find(|net| net.name == card.network);
    let bridge = network.map(|network| Peer {
        name: "parent".into(),
        at: parent.clone(),
        address: network.gateway,
    });
    let others = status
        .nodes
        .iter()
        .filter(|other| other.name != node.name && other.state == NodeState::Ready);
    let sibling = others.into_iter().find_map(|other| {
        let endpoints = &layer.node(&other.name)?.endpoints;
        let theirs = endpoints.iter().find(|end| end.network == card.network)?;
        Some(Peer {
            name: "sibling".into(),
            at: other.path.clone(),
            address: theirs.address.addr(),
        })
    });
    bridge.into_iter().chain(sibling).collect()
}
