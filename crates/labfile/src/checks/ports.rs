//! Forwarded ports all listen on this machine, whichever node lists them.

use super::Check;
use crate::marks::Part;
use crate::report::{Mark, Problem, did_you_mean, list};
use nestlab_model::{Lab, Node, NodePath, PortForward};

impl Check<'_> {
    pub(super) fn ports(&mut self, lab: &Lab) {
        let mut seen: Vec<(&PortForward, NodePath, Mark)> = Vec::new();
        for (path, node) in lab.layer.walk() {
            for (position, port) in node.ports.iter().enumerate() {
                let mark = self.marks.get(&path, Part::Port(position));
                self.target(node, &path, port, mark);
                match seen.iter().find(|(other, ..)| clash(port, other)) {
                    Some((_, owner, first)) => self.port_twice(port, &path, mark, owner, *first),
                    None => seen.push((port, path.clone(), mark)),
                }
            }
        }
    }

    fn port_twice(
        &mut self,
        port: &PortForward,
        path: &NodePath,
        mark: Mark,
        owner: &NodePath,
        first: Mark,
    ) {
        let message = format!(
            "Port {}/{} of this machine leads to `{owner}` already",
            port.host_port, port.protocol
        );
        let problem = Problem::error("port-twice", mark, message);
        let problem = if first == mark {
            let hint = "let it differ from node to node: \"808{{ index }}:80\"";
            problem.label(format!("wanted by `{path}` too")).hint(hint)
        } else {
            problem.label(format!("first on line {}", first.start.line))
        };
        self.report.add(problem);
    }

    fn target(&mut self, node: &Node, path: &NodePath, port: &PortForward, mark: Mark) {
        if port.target.is_host() || node.inside.descend(&port.target).is_some() {
            return;
        }
        let below: Vec<String> = node
            .inside
            .walk()
            .iter()
            .map(|(path, _)| path.to_string())
            .collect();
        let known = || below.iter().map(String::as_str);
        let hint = did_you_mean(&port.target.to_string(), known())
            .unwrap_or_else(|| format!("inside `{path}`: {}", list(known())));
        let message = format!("The port leads to `{}`, which is not there", port.target);
        let problem = Problem::error("unknown-node", mark, message);
        self.report.add(
            problem
                .label(format!("not a node inside `{path}`"))
                .hint(hint),
        );
    }
}

/// Whether two listeners cannot both be had. Port 0 is any free one.
fn clash(one: &PortForward, other: &PortForward) -> bool {
    let same_family = one.listen.is_ipv4() == other.listen.is_ipv4();
    let wildcard = one.listen.is_unspecified() || other.listen.is_unspecified();
    one.host_port != 0
        && one.host_port == other.host_port
        && one.protocol == other.protocol
        && (one.listen == other.listen || (same_family && wildcard))
}
