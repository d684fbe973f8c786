//! What can be judged from the finished lab: each check walks the model and
//! points into the text by its marks. A part that was wrong in the text is
//! passed over: it has been reported.

mod budget;
mod dependencies;
mod nesting;
mod networks;
mod ports;

use crate::marks::Marks;
use crate::report::Report;
use nestlab_model::{Lab, Layer, Node, NodePath};

/// What every check is given.
pub(crate) struct Check<'a> {
    pub marks: &'a Marks,
    pub report: &'a mut Report,
}

/// Runs every check.
pub(crate) fn run(lab: &Lab, marks: &Marks, report: &mut Report) {
    let mut check = Check { marks, report };
    check.layer(&lab.layer, &NodePath::host(), &[]);
    check.ports(lab);
}

impl Check<'_> {
    /// A layer and everything below. `above` are the layers around it with
    /// their paths, outermost first.
    fn layer(&mut self, layer: &Layer, path: &NodePath, above: &[(&Layer, &NodePath)]) {
        self.subnets(layer, path, above);
        self.macs(layer, path);
        self.dependency_cycles(layer, path);
        let around: Vec<_> = above.iter().copied().chain([(layer, path)]).collect();
        for node in &layer.nodes {
            let path = path.child(&node.name);
            self.node(layer, node, &path);
            self.layer(&node.inside, &path, &around);
        }
    }

    fn node(&mut self, layer: &Layer, node: &Node, path: &NodePath) {
        if node.inside.nodes.is_empty() {
            return;
        }
        self.memory(node, path);
        self.cpus(node, path);
        self.nesting(node, path);
        self.mtu(layer, node, path);
    }
}
