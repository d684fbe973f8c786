//! Where a node stands in the tree.

use crate::{NameError, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A path from the host (L0) down to a node, such as `l1/consul-1`.
///
/// The empty path is the host itself and is written `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodePath(Vec<NodeName>);

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Segment {segment:?} of the path is not a node name")]
pub struct ParsePathError {
    /// The text between two slashes that is at fault.
    pub segment: String,
    /// Which rule it breaks.
    #[source]
    pub source: NameError,
}

impl NodePath {
    /// The host itself.
    pub fn host() -> Self {
        Self::default()
    }

    /// The names from the top down.
    pub fn segments(&self) -> &[NodeName] {
        &self.0
    }

    /// The depth of the node: 0 for the host, 1 for a node on it.
    pub fn level(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the host itself.
    pub fn is_host(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of a node inside this one.
    pub fn child(&self, name: &NodeName) -> Self {
        let mut segments = self.0.clone();
        segments.push(name.clone());
        Self(segments)
    }

    /// The path of `below` seen from above this node.
    pub fn join(&self, below: &NodePath) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// The first name and what remains below it; `None` for the host.
    pub fn split_first(&self) -> Option<(&NodeName, NodePath)> {
        let (first, rest) = self.0.split_first()?;
        Some((first, Self(rest.to_vec())))
    }

    /// The parent and the node's own name; `None` for the host.
    pub fn split_last(&self) -> Option<(NodePath, &NodeName)> {
        let (last, init) = self.0.split_last()?;
        Some((Self(init.to_vec()), last))
    }

    /// The node's own name; `None` for the host.
    pub fn name(&self) -> Option<&NodeName> {
        self.0.last()
    }

    /// Whether this path is `other` or stands above it.
    pub fn contains(&self, other: &NodePath) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (position, name) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("/")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for NodePath {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.is_empty() || trimmed == "." {
            return Ok(Self::host());
        }
        trimmed
            .split('/')
            .map(|segment| {
                NodeName::new(segment).map_err(|source| ParsePathError {
                    segment: segment.to_owned(),
                    source,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<String> for NodePath {
    type Error = ParsePathError;
    fn try_from(text: String) -> Result<Self, ParsePathError> {
        text.parse()
    }
}

impl From<NodePath> for String {
    fn from(path: NodePath) -> String {
        path.to_string()
    }
}

impl FromIterator<NodeName> for NodePath {
    fn from_iter<I: IntoIterator<Item = NodeName>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_split_and_join() {
        let path: NodePath = "l1/consul-1".parse().unwrap();
        assert_eq!(path.level(), 2);
        let (first, rest) = path.split_first().unwrap();
        assert_eq!(
            (first.as_str(), rest.to_string().as_str()),
            ("l1", "consul-1")
        );
        assert!("l1".parse::<NodePath>().unwrap().contains(&path));
        assert!("l1/../x".parse::<NodePath>().is_err());
        assert_eq!(".".parse::<NodePath>().unwrap(), NodePath::host());
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(names in proptest::collection::vec("[a-z][a-z0-9]{0,8}", 0..6)) {
            let path: NodePath = names.into_iter().map(|n| NodeName::new(n).unwrap()).collect();
            prop_assert_eq!(path.to_string().parse::<NodePath>().unwrap(), path);
        }
    }
}
