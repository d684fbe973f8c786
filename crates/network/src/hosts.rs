//! Names within a layer.

use nestlab_model::{Layer, NetworkName, NodeName};
use std::net::IpAddr;

/// The nodes that share a network with a node, itself included, each with its
/// address on the first network that they share. For the node's hosts file.
pub fn hosts(layer: &Layer, node: &NodeName) -> Vec<(IpAddr, NodeName)> {
    let Some(asking) = layer.node(node) else {
        return Vec::new();
    };
    let shared = |network: &NetworkName| asking.endpoints.iter().any(|own| own.network == *network);
    layer
        .nodes
        .iter()
        .filter_map(|other| {
            let endpoint = other.endpoints.iter().find(|e| shared(&e.network))?;
            Some((endpoint.address.addr(), other.name.clone()))
        })
        .collect()
}
