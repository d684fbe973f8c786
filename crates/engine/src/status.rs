//! What the layer looks like now, at every level below.

use crate::cell::NodeCell;
use crate::engine::Engine;
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
                .map(|record| seconds_since(record.started_at)),
            memory_bytes: node.memory.as_bytes(),
            resident_bytes: live.as_ref().and_then(|live| live.machine.resident_bytes()),
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
        Some(report.status)
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

fn seconds_since(start: u64) -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs().saturating_sub(start))
}
