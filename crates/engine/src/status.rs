//! What the layer looks like now, at every level below.

use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::hearsay;
use futures::future::join_all;
use nestlab_api::message::LayerReport;
use nestlab_model::{LayerStatus, Node, NodeState, NodeStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the status of a level below may take before it is left out.
const BELOW: Duration = Duration::from_secs(5);

impl Engine {
    /// Looks at every node, and asks the agents of those with an inside.
    pub async fn status(&self) -> LayerStatus {
        let Ok(spec) = self.spec() else {
            return LayerStatus::default();
        };
        let nodes = spec.layer.nodes.iter().map(|node| self.node_status(node));
        LayerStatus {
            nodes: join_all(nodes).await.into_iter().flatten().collect(),
        }
    }

    /// The status with what only this level knows.
    pub async fn report(&self) -> LayerReport {
        LayerReport {
            status: self.status().await,
            proved: self.proved(),
            keeper: self.0.ground.keeper().await.map(|process| process.pid),
            listeners: Vec::new(),
        }
    }

    async fn node_status(&self, node: &Node) -> Option<NodeStatus> {
        let cell = self.cell(&node.name).ok()?;
        let live = cell.live();
        let record = live.as_ref().map(|live| live.machine.record());
        let inside = if node.inside.is_empty() {
            Some(LayerStatus::default())
        } else {
            self.below(&cell).await
        };
        Some(NodeStatus {
            name: node.name.clone(),
            path: cell.path.clone(),
            level: cell.path.level(),
            state: cell.state(),
            kind: node.kind,
            backend: self
                .backend(node)
                .map_or_else(|_| "?".into(), |b| b.name().to_owned()),
            accelerator: record.as_ref().map(|record| record.spec.accelerator),
            addresses: node
                .endpoints
                .iter()
                .map(|endpoint| endpoint.address.addr())
                .collect(),
            uptime_seconds: record
                .as_ref()
                .map(|record| uptime(seconds_since(record.started_at), level_uptime())),
            boot_millis: cell.record().and_then(|record| millis(record.boot?)),
            memory_bytes: node.memory.as_bytes(),
            resident_bytes: live.as_ref().and_then(|live| live.machine.resident_bytes()),
            killed_for_memory: live
                .as_ref()
                .map_or(0, |live| live.machine.killed_for_memory()),
            cpus: node.cpus,
            image: node.image.to_string(),
            pid: record.map(|record| record.process.pid),
            ports: node.ports.clone(),
            inside,
        })
    }

    async fn below(&self, cell: &NodeCell) -> Option<LayerStatus> {
        if cell.state() == NodeState::Paused {
            return cell.kept_inside();
        }
        let agent = cell.live()?.agent_now()?;
        let report = tokio::time::timeout(BELOW, agent.layer())
            .await
            .ok()?
            .ok()?;
        Some(hearsay::status(&cell.path, report.status))
    }

    /// Whether nothing of this layer runs or is worked on.
    pub fn is_idle(&self) -> bool {
        let copying = self.0.forking.try_lock().is_err();
        !copying
            && self.cells().iter().all(|cell| {
                cell.live().is_none()
                    && !matches!(
                        cell.state(),
                        NodeState::Starting { .. } | NodeState::Halting
                    )
            })
    }
}

/// How long a machine has run. It was started in another time than the present one if
/// the level is a copy that was woken much later: it has not run longer than that.
fn uptime(since_start: u64, level: Option<u64>) -> u64 {
    level.map_or(since_start, |level| since_start.min(level))
}

/// How long this level has run, in seconds; proc_uptime(5).
fn level_uptime() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split('.').next()?.parse().ok()
}

fn millis(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}

fn seconds_since(start: u64) -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs().saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_not_run_longer_than_its_level() {
        assert_eq!(uptime(10, Some(100)), 10);
        assert_eq!(uptime(3000, Some(40)), 40);
        assert_eq!(uptime(3000, None), 3000);
        assert!(level_uptime().is_some_and(|seconds| seconds > 0));
    }
}
