//! A machine inside a machine needs hardware virtualisation there, or TCG.

use super::Check;
use crate::marks::Part;
use crate::report::{Problem, list};
use nestlab_model::{AcceleratorChoice, Node, NodePath};

impl Check<'_> {
    pub(super) fn nesting(&mut self, node: &Node, path: &NodePath) {
        if node.nested {
            return;
        }
        let needing = node
            .inside
            .nodes
            .iter()
            .filter(|child| child.accel != AcceleratorChoice::Tcg);
        let names: Vec<&str> = needing.map(|child| child.name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let message = format!("Machines inside `{path}` need it to be `nested: true`");
        let label = format!("holds {}", list(names));
        let hint = format!(
            "add `nested: true` to `{}`, or `accel: tcg` (much slower) to what is inside",
            node.name
        );
        let mark = self.marks.get(path, Part::Inside);
        self.report.add(
            Problem::error("nesting-off", mark, message)
                .label(label)
                .hint(hint),
        );
    }
}
