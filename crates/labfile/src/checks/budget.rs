//! What is inside must fit into what is around it.

use super::Check;
use crate::limits::{PARENT_RESERVE, VM_OVERHEAD};
use crate::marks::Part;
use crate::report::Problem;
use nestlab_model::{ByteSize, Node, NodePath};

impl Check<'_> {
    /// The memory of all children, with what each VM costs, and the parent's own.
    pub(super) fn memory(&mut self, node: &Node, path: &NodePath) {
        let children = || {
            node.inside
                .nodes
                .iter()
                .map(|child| (child, path.child(&child.name)))
        };
        let wrong = children().any(|(_, path)| self.marks.is_wrong(&path, Part::Memory));
        if wrong || self.marks.is_wrong(path, Part::Memory) {
            return;
        }
        let sum: ByteSize = children()
            .map(|(child, _)| child.memory.saturating_add(VM_OVERHEAD))
            .sum();
        let needed = sum.saturating_add(PARENT_RESERVE);
        if needed <= node.memory {
            return;
        }
        let machines: ByteSize = children().map(|(child, _)| child.memory).sum();
        let count = node.inside.nodes.len();
        let message = format!(
            "What is inside `{path}` does not fit into its {}",
            node.memory
        );
        let label = format!("expected at least {needed}");
        let hint = format!(
            "{machines} for {count} machine{}, {VM_OVERHEAD} more for each, {PARENT_RESERVE} for \
             `{}` itself",
            if count == 1 { "" } else { "s" },
            node.name,
        );
        let mark = self.marks.get(path, Part::Memory);
        self.report.add(
            Problem::error("memory-budget", mark, message)
                .label(label)
                .hint(hint),
        );
    }

    /// One child with more vCPUs than its parent would wait for itself; a
    /// larger sum is only slow.
    pub(super) fn cpus(&mut self, node: &Node, path: &NodePath) {
        if self.marks.is_wrong(path, Part::Cpus) {
            return;
        }
        for child in node
            .inside
            .nodes
            .iter()
            .filter(|child| child.cpus > node.cpus)
        {
            let below = path.child(&child.name);
            let message = format!(
                "`{below}` has more CPUs than its parent: {} of {}",
                child.cpus, node.cpus
            );
            let mark = self.marks.get(&below, Part::Cpus);
            let label = format!("expected at most {}", node.cpus);
            self.report
                .add(Problem::error("cpu-budget", mark, message).label(label));
        }
        let sum: u64 = node
            .inside
            .nodes
            .iter()
            .map(|child| u64::from(child.cpus))
            .sum();
        let fits = node
            .inside
            .nodes
            .iter()
            .all(|child| child.cpus <= node.cpus);
        if fits && sum > u64::from(node.cpus) {
            let message = format!(
                "What is inside `{path}` shares its CPUs: {sum} on {}",
                node.cpus
            );
            let mark = self.marks.get(path, Part::Cpus);
            self.report.add(Problem::note("cpu-shared", mark, message));
        }
    }
}
