//! Where the parts of the resolved lab stand in the text, so that checks on
//! the model can point at it.

use crate::report::Mark;
use nestlab_model::{NetworkName, NodePath};
use std::collections::{HashMap, HashSet};

/// A part of a node, or of the layer inside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The node as a whole.
    Node,
    Memory,
    Cpus,
    Inside,
    Port(usize),
    Dependency(usize),
    /// A network of the layer inside (of the host's, at the host's path).
    Network(NetworkName),
}

#[derive(Debug, Default)]
pub(crate) struct Marks {
    places: HashMap<(NodePath, Part), Mark>,
    wrong: HashSet<(NodePath, Part)>,
}

impl Marks {
    pub fn set(&mut self, path: &NodePath, part: Part, mark: Mark) {
        self.places.insert((path.clone(), part), mark);
    }

    /// Says that the part was wrong in the text: its value is made up, and a
    /// check of it would only repeat what was said.
    pub fn set_wrong(&mut self, path: &NodePath, part: Part) {
        self.wrong.insert((path.clone(), part));
    }

    pub fn is_wrong(&self, path: &NodePath, part: Part) -> bool {
        self.wrong.contains(&(path.clone(), part))
    }

    /// Where a part stands; the node if it was left out; the top of the file
    /// if there is no such node.
    pub fn get(&self, path: &NodePath, part: Part) -> Mark {
        let place = |part| self.places.get(&(path.clone(), part)).copied();
        place(part)
            .or_else(|| place(Part::Node))
            .unwrap_or(Mark::top(0))
    }
}
