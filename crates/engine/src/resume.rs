//! Going on where another process stopped: after a restart of the supervisor
//! or the agent, a crash, or a reboot.

use crate::Fault;
use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::record::{self, NodeRecord};
use nestlab_api::message::LayerSpec;
use nestlab_model::{NodeName, NodeState, Stage};
use std::sync::Arc;

impl Engine {
    /// Reads the records and takes hold of every machine that still runs.
    /// Returns whether there was anything to read.
    ///
    /// # Errors
    /// A record cannot be read. What could be read is in place.
    pub async fn resume(&self) -> Result<bool, Fault> {
        self.recall();
        let Some(spec) = record::read::<LayerSpec>(&self.layer_path())? else {
            return Ok(false);
        };
        self.learn(&spec.proved);
        self.take_layer(spec.clone());
        self.add_unlisted(&spec);
        let mut running = false;
        for cell in self.cells() {
            running |= self.resume_node(&cell).await?;
        }
        if running {
            self.networks(&spec).await?;
        }
        self.clear_unfinished();
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(fault) = engine.finish_thaw().await {
                tracing::error!(%fault, "what was frozen does not go on");
            }
        });
        Ok(true)
    }

    /// Nodes that have a folder although the layer no longer lists them.
    fn add_unlisted(&self, spec: &LayerSpec) {
        let folder = self.0.config.state_dir.join("nodes");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for name in entries.filter_map(|e| NodeName::new(e.file_name().into_string().ok()?).ok()) {
            if spec.layer.node(&name).is_none() {
                self.add_cell(&spec.path, &name);
            }
        }
    }

    /// Takes hold of one node; returns whether its machine runs.
    async fn resume_node(&self, cell: &Arc<NodeCell>) -> Result<bool, Fault> {
        let Some(record) = cell.load()? else {
            return Ok(false);
        };
        let at_rest = match record.saved {
            Some(_) => NodeState::Saved,
            None => NodeState::Halted,
        };
        let Some(machine) = &record.machine else {
            cell.enter(at_rest);
            return Ok(false);
        };
        let backend = self.backend(&record.node)?;
        let adopted = match backend.adopt(machine).await {
            Ok(adopted) => adopted,
            Err(error) => {
                let fault =
                    Fault::caused(format!("Cannot take hold of node `{}`", cell.path), &error)
                        .with_hint(format!("`nestlab halt --force {}` ends it", cell.path));
                cell.enter(fault.at(Stage::Launch));
                return Ok(true);
            }
        };
        let Some(machine) = adopted else {
            cell.amend(&record.node, NodeRecord::end_machine)?;
            cell.tidy_memory();
            cell.enter(at_rest);
            return Ok(false);
        };
        // Its supervisor was killed before it ended the machine, which stands
        // still and may go on: what was saved is older than that.
        crate::save::discard(cell)?;
        cell.tidy_memory();
        // First: should it end at once, that is the later news.
        cell.enter(match machine.is_paused().await {
            Ok(true) => NodeState::Paused,
            _ => state_of(cell, record.ready),
        });
        self.hold(cell, machine);
        Ok(true)
    }
}

/// What a node is whose machine runs, as its record has it.
pub(crate) fn state_of(cell: &NodeCell, ready: bool) -> NodeState {
    if ready {
        return NodeState::Ready;
    }
    Fault::new(format!(
        "Node `{}` was still starting when its supervisor ended",
        cell.path
    ))
    .with_hint("`nestlab up` continues")
    .at(Stage::Boot)
}
