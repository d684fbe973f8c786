//! The tree of a lab as a table, parents above their children.

use super::{bytes, duration};
use crate::context::paint;
use crate::error::clean;
use nestlab_model::{LayerStatus, NodeState, NodeStatus};
use std::time::Duration;

const HEAD: [&str; 8] = [
    "NODE", "STATE", "LEVEL", "BACKEND", "ACCEL", "ADDRESS", "UP", "MEMORY",
];

/// A row: the cells, and the colour of the state.
struct Row {
    cells: [String; 8],
    ansi: &'static str,
}

/// The table, its header included.
pub fn render(status: &LayerStatus, color: bool) -> String {
    let mut rows = Vec::new();
    add(status, "", true, &mut rows);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: &[String; 8], ansi: Option<&str>| {
        let mut text = String::new();
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let padded = format!("{cell:width$}");
            match ansi {
                Some(ansi) if column == 1 => text.push_str(&paint(color, ansi, &padded)),
                _ => text.push_str(&padded),
            }
            text.push_str("  ");
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(&HEAD.map(str::to_owned), None);
    for row in &rows {
        text.push_str(&line(&row.cells, Some(row.ansi)));
    }
    text
}

/// Reasons and hints of failed nodes, one below the other.
pub fn failures(status: &LayerStatus, color: bool) -> String {
    let mut text = String::new();
    for node in status.walk() {
        if let NodeState::Failed {
            stage,
            reason,
            hint,
        } = &node.state
        {
            let mut lines = reason.lines();
            let first = clean(lines.next().unwrap_or_default());
            let path = paint(color, "1", &node.path.to_string());
            text.push_str(&format!("{path} failed at {stage}: {first}\n"));
            for line in lines {
                text.push_str(&format!("  {}\n", clean(line)));
            }
            if let Some(hint) = hint {
                text.push_str(&format!(
                    "  {}: {}\n",
                    paint(color, "1;32", "hint"),
                    clean(hint)
                ));
            }
        }
    }
    text
}

/// What has gone wrong in nodes that go on, one below the other.
pub fn troubles(status: &LayerStatus, color: bool) -> String {
    let killed = |node: &&NodeStatus| node.killed_for_memory > 0;
    let line = |node: &NodeStatus| {
        let programs = match node.killed_for_memory {
            1 => "a program".to_owned(),
            many => format!("{many} programs"),
        };
        let path = paint(color, "1", &node.path.to_string());
        let memory = bytes(node.memory_bytes);
        format!(
            "{path}: the kernel has ended {programs} in it, which needed more than its {memory} of memory\n"
        )
    };
    status.walk().into_iter().filter(killed).map(line).collect()
}

fn add(layer: &LayerStatus, indent: &str, top: bool, rows: &mut Vec<Row>) {
    let last = layer.nodes.len().saturating_sub(1);
    for (position, node) in layer.nodes.iter().enumerate() {
        let (branch, trunk) = match (top, position == last) {
            (true, _) => ("", ""),
            (false, true) => ("└─ ", "   "),
            (false, false) => ("├─ ", "│  "),
        };
        rows.push(row(node, &format!("{indent}{branch}")));
        if let Some(inside) = &node.inside {
            add(inside, &format!("{indent}{trunk}"), false, rows);
        }
    }
}

fn row(node: &NodeStatus, indent: &str) -> Row {
    let none = || "-".to_owned();
    let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
    let memory = match node.resident_bytes {
        Some(held) => format!("{} of {}", bytes(held), bytes(node.memory_bytes)),
        None => bytes(node.memory_bytes),
    };
    let uptime = node.uptime_seconds.map(|seconds| match seconds {
        0..60 => format!("{seconds} s"),
        _ => duration(Duration::from_secs(seconds)),
    });
    Row {
        cells: [
            format!("{indent}{}", node.name),
            node.state.word(),
            format!("L{}", node.level),
            clean(&node.backend),
            node.accelerator
                .map_or_else(none, |accelerator| accelerator.to_string()),
            if addresses.is_empty() {
                none()
            } else {
                addresses.join(" ")
            },
            uptime.unwrap_or_else(none),
            memory,
        ],
        ansi: ansi(&node.state),
    }
}

/// The colour of a state, beside its word.
pub fn ansi(state: &NodeState) -> &'static str {
    match state {
        NodeState::Ready => "32",
        NodeState::Failed { .. } => "31",
        NodeState::Starting { .. } | NodeState::Halting => "33",
        NodeState::Paused | NodeState::Saved => "36",
        NodeState::Absent | NodeState::Halted => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::{Accelerator, NodeName, NodePath, Stage};

    fn node(path: &str, state: NodeState, inside: Vec<NodeStatus>) -> NodeStatus {
        let path: NodePath = path.parse().unwrap();
        NodeStatus {
            name: path
                .name()
                .cloned()
                .unwrap_or_else(|| NodeName::new("x").unwrap()),
            level: path.level(),
            path,
            kind: nestlab_model::NodeKind::Vm,
            accelerator: (state == NodeState::Ready).then_some(Accelerator::Tcg),
            state,
            backend: "qemu".into(),
            addresses: vec!["10.10.10.11".parse().unwrap()],
            uptime_seconds: Some(75),
            boot_millis: None,
            memory_bytes: 384 << 20,
            resident_bytes: Some(100 << 20),
            killed_for_memory: 0,
            cpus: 1,
            image: "debian".into(),
            pid: None,
            ports: Vec::new(),
            inside: Some(LayerStatus { nodes: inside }),
        }
    }

    #[test]
    fn a_tree_shows_its_levels_and_its_failures() {
        let failed = NodeState::Failed {
            stage: Stage::Provision,
            reason: "`bootstrap.sh` exited with 3\ncaused by: No \u{7}space".into(),
            hint: Some("nestlab logs --provision l1/b".into()),
        };
        let inner = vec![
            node("l1/a", NodeState::Ready, vec![]),
            node("l1/b", failed, vec![]),
        ];
        let status = LayerStatus {
            nodes: vec![node("l1", NodeState::Ready, inner)],
        };
        insta::assert_snapshot!(render(&status, false), @r"
        NODE  STATE               LEVEL  BACKEND  ACCEL  ADDRESS      UP        MEMORY
        l1    ready               L1     qemu     TCG    10.10.10.11  1 m 15 s  100 MiB of 384 MiB
        ├─ a  ready               L2     qemu     TCG    10.10.10.11  1 m 15 s  100 MiB of 384 MiB
        └─ b  failed (provision)  L2     qemu     -      10.10.10.11  1 m 15 s  100 MiB of 384 MiB
        ");
        insta::assert_snapshot!(failures(&status, false), @r"
        l1/b failed at provision: `bootstrap.sh` exited with 3
          caused by: No �space
          hint: nestlab logs --provision l1/b
        ");
    }
}
