//! What a level below tells is whatever a guest likes: before it is passed on or kept, it is cut
//! to what an honest one could have told.

use nestlab_api::message::Outcome;
use nestlab_model::{Event, EventKind, LayerStatus, NodePath, NodeState, NodeStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most nodes of one level that are believed, and the most levels.
const NODES: usize = 1024;
const LEVELS: usize = 40;

/// The longest text of a status, and of an event, in characters.
const WORD: usize = 200;
const LINE: usize = 4096;

/// The most addresses or ports of one node.
const MANY: usize = 64;

/// The longest standstill.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most facts that one level proves, and the longest of them, in bytes of JSON.
const FACTS: usize = 64;
const FACT: usize = 8 << 10;

/// The status of a layer that stands in the node at a path: with paths that follow from where it
/// stands, and of a bounded size.
pub(crate) fn status(at: &NodePath, told: LayerStatus) -> LayerStatus {
    let mut names = BTreeSet::new();
    let nodes = told.nodes.into_iter();
    let nodes = nodes.filter(|node| names.insert(node.name.clone()));
    LayerStatus {
        nodes: nodes.take(NODES).map(|told| node(at, told)).collect(),
    }
}

fn node(at: &NodePath, told: NodeStatus) -> NodeStatus {
    let path = at.child(&told.name);
    let inside = told.inside.filter(|_| path.level() < LEVELS);
    NodeStatus {
        level: path.level(),
        state: state(told.state),
        backend: cut(told.backend, WORD),
        image: cut(told.image, WORD),
        addresses: told.addresses.into_iter().take(MANY).collect(),
        ports: told.ports.into_iter().take(MANY).collect(),
        inside: inside.map(|inside| status(&path, inside)),
        path,
        ..told
    }
}

fn state(told: NodeState) -> NodeState {
    match told {
        NodeState::Failed {
            stage,
            reason,
            hint,
        } => NodeState::Failed {
            stage,
            reason: cut(reason, LINE),
            hint: hint.map(|hint| cut(hint, LINE)),
        },
        other => other,
    }
}

/// An event of what stands in the node at a path; of anything else it has nothing to tell.
pub(crate) fn event(at: &NodePath, told: Event) -> Option<Event> {
    let is_count = matches!(told.kind, EventKind::Lagged { .. });
    let inside = at.contains(&told.path) && (is_count || *at != told.path);
    let kind = match told.kind {
        EventKind::State { state: told } => EventKind::State { state: state(told) },
        EventKind::Progress { stage, message } => EventKind::Progress {
            stage,
            message: cut(message, LINE),
        },
        EventKind::Output { step, stream, line } => EventKind::Output {
            step: cut(step, WORD),
            stream,
            line: cut(line, LINE),
        },
        EventKind::Accelerator {
            accelerator,
            reason,
        } => EventKind::Accelerator {
            accelerator,
            reason: reason.map(|reason| cut(reason, LINE)),
        },
        EventKind::Warning { message } => EventKind::Warning {
            message: cut(message, LINE),
        },
        kind @ EventKind::Lagged { .. } => kind,
    };
    (inside && told.path.level() <= LEVELS).then_some(Event { kind, ..told })
}

/// How long a level has stood still.
pub(crate) fn standstill(outcome: &Outcome) -> Duration {
    let told = Duration::try_from_secs_f64(outcome.standstill_seconds);
    told.unwrap_or_default().min(YEAR)
}

/// What a level has proved of itself and of levels in it: facts under names that begin with its
/// own chain.
pub(crate) fn facts(
    chain: &str,
    told: &BTreeMap<String, serde_json::Value>,
) -> BTreeMap<String, serde_json::Value> {
    let of_it = told.iter().filter(|(name, fact)| {
        name.strip_prefix(chain)
            .is_some_and(|rest| rest.starts_with(" | ") || rest.starts_with(" > "))
            && name.len() + fact.to_string().len() <= FACT
    });
    of_it
        .take(FACTS)
        .map(|(name, fact)| (name.clone(), fact.clone()))
        .collect()
}

fn cut(text: String, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(name: &str, inside: serde_json::Value) -> serde_json::Value {
        json!({
            "name": name, "path": "somebody/else", "level": 1_u64 << 40, "state": "ready",
            "backend": "q".repeat(100_000), "accelerator": null,
            "addresses": vec!["10.0.0.1"; 1000], "uptime_seconds": null, "memory_bytes": 0,
            "resident_bytes": null, "cpus": 1, "image": "x", "pid": null, "ports": [], "inside": inside,
        })
    }

    #[test]
    fn a_status_is_what_an_honest_level_could_tell() {
        let inner = json!({ "nodes": [told("in", json!(null))] });
        let nodes = vec![
            told("a", inner),
            told("a", json!(null)),
            told("b", json!(null)),
        ];
        let told = serde_json::from_value(json!({ "nodes": nodes })).unwrap();
        let status = status(&"l1".parse().unwrap(), told);
        let paths: Vec<_> = status
            .walk()
            .iter()
            .map(|node| node.path.to_string())
            .collect();
        assert_eq!(paths, ["l1/a", "l1/a/in", "l1/b"]);
        let node = &status.nodes[0];
        assert_eq!((node.level, node.addresses.len()), (2, MANY));
        assert_eq!(node.backend.chars().count(), WORD + 1);
    }

    #[test]
    fn events_are_of_what_is_inside() {
        let at: NodePath = "l1".parse().unwrap();
        let of = |path: &str| {
            let kind = EventKind::Warning {
                message: "é".repeat(LINE + 1),
            };
            let path = path.parse().unwrap();
            event(&at, Event { path, kind })
        };
        assert!(of("l1").is_none() && of("l2/a").is_none() && of(".").is_none());
        let passed = of("l1/a").unwrap();
        let EventKind::Warning { message } = passed.kind else {
            unreachable!()
        };
        assert_eq!(message.chars().count(), LINE + 1);
    }

    #[test]
    fn facts_are_of_its_own_chain() {
        let fact = json!({ "works": true });
        let names = [
            "host | qemu",
            "host > TCG true | qemu",
            "host > TCG true > KVM | qemu",
        ];
        let told = names.map(|name| (name.to_owned(), fact.clone()));
        let mut told = BTreeMap::from(told);
        told.insert("host > TCG true | big".into(), json!("x".repeat(FACT)));
        let kept = facts("host > TCG true", &told);
        let mut own = names[1..].to_vec();
        own.sort_unstable();
        assert_eq!(kept.keys().collect::<Vec<_>>(), own);
    }
}
