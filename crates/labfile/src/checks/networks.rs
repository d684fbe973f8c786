//! Subnets on one path of the tree are routed to each other: they must not
//! overlap. Siblings never meet and may use the same.

use super::Check;
use crate::marks::Part;
use crate::report::Problem;
use crate::resolve::overlap;
use nestlab_model::{Layer, Network, NetworkMode, Node, NodePath};
use std::collections::HashMap;

impl Check<'_> {
    /// Ethernet addresses are hashes of names: a clash is as good as
    /// impossible, and would be as good as impossible to find.
    pub(super) fn macs(&mut self, layer: &Layer, path: &NodePath) {
        let mut owners = HashMap::new();
        for node in &layer.nodes {
            for endpoint in &node.endpoints {
                let key = (&endpoint.network, endpoint.mac);
                let Some(other) = owners.insert(key, &node.name) else {
                    continue;
                };
                let message = format!(
                    "`{}` and `{other}` have the same Ethernet address {}",
                    node.name, endpoint.mac
                );
                let mark = self.marks.get(&path.child(&node.name), Part::Node);
                self.report
                    .add(Problem::error("mac-clash", mark, message).hint("rename one"));
            }
        }
    }

    pub(super) fn subnets(
        &mut self,
        layer: &Layer,
        path: &NodePath,
        above: &[(&Layer, &NodePath)],
    ) {
        for (position, network) in layer.networks.iter().enumerate() {
            let outer = above.iter().flat_map(|(layer, path)| {
                layer.networks.iter().map(move |network| (network, *path))
            });
            let beside = layer.networks[..position]
                .iter()
                .map(|network| (network, path));
            let others: Vec<_> = outer.chain(beside).collect();
            for (other, at) in others {
                self.subnet_pair((network, path), (other, at));
            }
        }
    }

    fn subnet_pair(&mut self, one: (&Network, &NodePath), other: (&Network, &NodePath)) {
        let part = |network: &Network| Part::Network(network.name.clone());
        let wrong =
            |(network, path): (&Network, &NodePath)| self.marks.is_wrong(path, part(network));
        if wrong(one) || wrong(other) || !overlap(&one.0.subnet, &other.0.subnet) {
            return;
        }
        let place = match other.1.is_host() {
            true => "on this machine".to_owned(),
            false => format!("inside `{}`", other.1),
        };
        let message = format!(
            "Subnet {} of `{}` overlaps {} of `{}`",
            one.0.subnet, one.0.name, other.0.subnet, other.0.name
        );
        let line = self.marks.get(other.1, part(other.0)).start.line;
        let label = format!("`{}` stands {place}, line {line}", other.0.name);
        let mark = self.marks.get(one.1, part(one.0));
        let problem = Problem::error("subnet-overlap", mark, message).label(label);
        self.report
            .add(problem.hint("networks on one path of the tree need subnets of their own"));
    }

    /// What leaves an inner network in mode nat crosses the parent's own.
    pub(super) fn mtu(&mut self, layer: &Layer, node: &Node, path: &NodePath) {
        let outer = node
            .endpoints
            .iter()
            .filter_map(|endpoint| layer.network(&endpoint.network));
        let Some(narrow) = outer.min_by_key(|network| network.mtu) else {
            return;
        };
        for inner in node
            .inside
            .networks
            .iter()
            .filter(|n| n.mode == NetworkMode::Nat)
        {
            if inner.mtu <= narrow.mtu {
                continue;
            }
            let message = format!(
                "The MTU of `{}` inside `{path}` is larger than that of `{}` around it: {} over {}",
                inner.name, narrow.name, inner.mtu, narrow.mtu
            );
            let mark = self.marks.get(path, Part::Network(inner.name.clone()));
            let hint = format!("set `mtu: {}` or less", narrow.mtu);
            self.report
                .add(Problem::warning("mtu", mark, message).hint(hint));
        }
    }
}
