//! Who a node can call by name.

use nestlab_model::{Layer, NodeName};
use std::net::IpAddr;

/// The addresses and names of every node that shares a network with `node`, the
/// node itself included, in the order of the layer.
pub fn hosts(layer: &Layer, node: &NodeName) -> Vec<(IpAddr, NodeName)> {
    let Some(own) = layer.node(node) else {
        return Vec::new();
    };
    let shared = |network| own.endpoints.iter().any(|mine| mine.network == network);
    let mut found = Vec::new();
    for other in &layer.nodes {
        for endpoint in &other.endpoints {
            if shared(endpoint.network.clone()) {
                found.push((endpoint.address.addr(), other.name.clone()));
            }
        }
    }
    found
}
