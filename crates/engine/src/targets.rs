//! Which nodes of a layer some paths mean.

use crate::Fault;
use nestlab_model::{NodeName, NodePath};
use std::collections::btree_map::{BTreeMap, Entry};

/// Nodes of a layer, each with the paths meant below it; none: the node itself
/// with all that is inside it.
pub(crate) type Targets = BTreeMap<NodeName, Vec<NodePath>>;

/// Sorts paths by the node of this layer that each begins with. `check` says
/// what is wrong with a path, if anything.
pub(crate) fn sort(
    paths: &[NodePath],
    check: impl Fn(&NodePath, &NodeName) -> Result<(), Fault>,
) -> Result<Targets, Fault> {
    let mut targets = Targets::new();
    for path in paths {
        let (first, rest) = path
            .split_first()
            .ok_or_else(|| Fault::new("The host itself is no node"))?;
        check(path, first)?;
        let below = (!rest.is_host()).then_some(rest);
        match (targets.entry(first.clone()), below) {
            (Entry::Vacant(entry), below) => drop(entry.insert(below.into_iter().collect())),
            (Entry::Occupied(mut entry), None) => entry.get_mut().clear(),
            // The whole node is meant already.
            (Entry::Occupied(entry), Some(_)) if entry.get().is_empty() => {}
            (Entry::Occupied(mut entry), Some(below)) => entry.get_mut().push(below),
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(paths: &[&str]) -> String {
        let paths: Vec<NodePath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let targets = sort(&paths, |_, _| Ok(())).unwrap();
        let words = targets.into_iter().map(|(name, below)| {
            let below: Vec<String> = below.iter().map(ToString::to_string).collect();
            format!("{name}[{}]", below.join(" "))
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_whole_node_outweighs_what_is_in_it() {
        assert_eq!(sorted(&["a/b", "c", "a/d/e"]), "a[b d/e] c[]");
        assert_eq!(sorted(&["a/b", "a"]), "a[]");
        assert_eq!(sorted(&["a", "a/b"]), "a[]");
    }

    #[test]
    fn the_host_is_no_target() {
        assert!(sort(&[NodePath::host()], |_, _| Ok(())).is_err());
    }
}
