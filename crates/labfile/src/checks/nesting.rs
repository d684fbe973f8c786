//! A virtual machine inside a node needs hardware virtualisation there, or TCG.

use super::Check;
use crate::marks::Part;
use crate::report::{Problem, list};
use nestlab_model::{AcceleratorChoice, Layer, Node, NodeKind, NodePath};

/// The backend by which a container is an engine's, and knows nothing of what stands inside it.
const DOCKER: &str = "docker";

/// What a container needs for virtual machines inside it.
const KVM: &str = "/dev/kvm";

impl Check<'_> {
    pub(super) fn nesting(&mut self, node: &Node, path: &NodePath) {
        if node.kind == NodeKind::Container {
            self.containers_in_a_container(node, path);
        }
        if has_what_it_takes(node) {
            return;
        }
        let needing = node.inside.nodes.iter().filter(|child| needs_kvm(child));
        let names: Vec<&str> = needing.map(|child| child.name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let (need, mend) = match node.kind {
            NodeKind::Vm => ("to be `nested: true`", "add `nested: true`"),
            NodeKind::Container => ("to have `/dev/kvm`", "add `devices: [/dev/kvm]`"),
        };
        let message = format!("Machines inside `{path}` need it {need}");
        let hint = format!(
            "{mend} to `{}`, or `accel: tcg` (much slower) to what is inside",
            node.name
        );
        self.add("nesting-off", path, message, &names, hint);
    }

    fn containers_in_a_container(&mut self, node: &Node, path: &NodePath) {
        let of_engine: Vec<&str> = node
            .inside
            .containers()
            .filter(|child| is_of_engine(node) || is_of_engine(child))
            .map(|child| child.name.as_str())
            .collect();
        if !of_engine.is_empty() {
            let message =
                format!("Container `{path}` cannot hold other containers by a container engine");
            let hint =
                "leave `backend: docker` out of both, or have a virtual machine between them";
            self.add(
                "container-in-container",
                path,
                message,
                &of_engine,
                hint.to_owned(),
            );
        }
    }

    fn add(
        &mut self,
        code: &'static str,
        path: &NodePath,
        message: String,
        names: &[&str],
        hint: String,
    ) {
        let mark = self.marks.get(path, Part::Inside);
        let problem = Problem::error(code, mark, message);
        let label = format!("holds {}", list(names.to_vec()));
        self.report.add(problem.label(label).hint(hint));
    }
}

fn is_of_engine(node: &Node) -> bool {
    node.backend.as_deref() == Some(DOCKER)
}

fn has_what_it_takes(node: &Node) -> bool {
    match node.kind {
        NodeKind::Vm => node.nested,
        NodeKind::Container => node.container.devices.iter().any(|device| device == KVM),
    }
}

/// Whether a node wants to use KVM where it stands; a container does for what is inside.
fn needs_kvm(node: &Node) -> bool {
    let for_inside = |layer: &Layer| layer.nodes.iter().any(needs_kvm);
    match node.kind {
        NodeKind::Vm => node.accel != AcceleratorChoice::Tcg,
        NodeKind::Container => for_inside(&node.inside),
    }
}
