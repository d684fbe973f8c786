//! Dependencies lead somewhere: no node waits for itself, however far around.

use super::Check;
use crate::marks::Part;
use crate::report::Problem;
use nestlab_model::{Layer, NodeName, NodePath};
use std::collections::HashMap;

/// How far the search has come with a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    /// On the way that the search is on.
    Open,
    Done,
}

struct Search<'a> {
    layer: &'a Layer,
    numbers: HashMap<&'a NodeName, usize>,
    visits: Vec<Visit>,
    way: Vec<usize>,
    /// Ways that close on themselves.
    cycles: Vec<Vec<usize>>,
}

impl Check<'_> {
    pub(super) fn dependency_cycles(&mut self, layer: &Layer, path: &NodePath) {
        let numbers = layer
            .nodes
            .iter()
            .enumerate()
            .map(|(number, node)| (&node.name, number));
        let mut search = Search {
            layer,
            numbers: numbers.collect(),
            visits: vec![Visit::New; layer.nodes.len()],
            way: Vec::new(),
            cycles: Vec::new(),
        };
        for number in 0..layer.nodes.len() {
            search.visit(number);
        }
        for cycle in &search.cycles {
            self.report_cycle(layer, path, cycle);
        }
    }

    fn report_cycle(&mut self, layer: &Layer, path: &NodePath, cycle: &[usize]) {
        let [.., last] = cycle else { return };
        let names: Vec<&str> = cycle
            .iter()
            .chain(&cycle[..1])
            .map(|n| layer.nodes[*n].name.as_str())
            .collect();
        let closing = &layer.nodes[*last];
        let position = closing
            .depends_on
            .iter()
            .position(|d| d.node.as_str() == names[0]);
        let mark = self.marks.get(
            &path.child(&closing.name),
            Part::Dependency(position.unwrap_or_default()),
        );
        let message = format!(
            "Nodes depend on each other in a circle: {}",
            names.join(" → ")
        );
        let problem = Problem::error("dependency-cycle", mark, message);
        self.report.add(problem.label("closes the circle"));
    }
}

impl Search<'_> {
    fn visit(&mut self, number: usize) {
        match self.visits[number] {
            Visit::Done => {}
            Visit::Open => {
                let from = self
                    .way
                    .iter()
                    .position(|n| *n == number)
                    .unwrap_or_default();
                self.cycles.push(self.way[from..].to_vec());
            }
            Visit::New => {
                self.visits[number] = Visit::Open;
                self.way.push(number);
                let layer = self.layer;
                for dependency in &layer.nodes[number].depends_on {
                    if let Some(next) = self.numbers.get(&dependency.node).copied() {
                        self.visit(next);
                    }
                }
                self.way.pop();
                self.visits[number] = Visit::Done;
            }
        }
    }
}
