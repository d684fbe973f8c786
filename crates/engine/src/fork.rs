//! Copying a lab as it is now into new labs that go on by themselves.
//!
//! ```text
//! pause inside-out, links cut ─► devices saved, machines ended
//!   ─► disks and memory frozen, each new lab given names for them
//!   ─► the lab goes on from the same files, outside-in
//! ```
//!
//! What is frozen is never written to again: the lab and its forks keep what
//! they write in new disks, and in memory of their own. So the first fork copies
//! nothing. A machine that began from a frozen file has its memory partly there
//! and partly to itself: the next fork makes a new file of the two, from which all
//! go on then. Where memory is in no file, it is written out with the devices.
//!
//! A new lab is at rest, its nodes saved; its layer is written down last, so one
//! that was not finished holds nothing that could be brought up.

use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::memory::{self, Rest};
use crate::pause::Link;
use crate::record::{self, NodeRecord};
use crate::{Fault, disks};
use futures::future::join_all;
use nestlab_api::message::{ForkReport, ForkRequest, LayerSpec};
use nestlab_model::{Layer, Node, NodePath, NodeState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

impl Engine {
    /// Copies the layer into new labs and goes on. Once begun it is carried to its
    /// end, even if the caller goes away.
    ///
    /// # Errors
    /// A node is neither ready, paused nor at rest; something could not be frozen
    /// or copied. The lab goes on all the same, and of the new labs nothing is left.
    pub async fn fork(&self, request: &ForkRequest) -> Result<ForkReport, Fault> {
        let homes = self.homes(&request.labs)?;
        let engine = self.clone();
        let task = tokio::spawn(async move {
            let _alone = engine.0.forking.lock().await;
            engine.fork_alone(&homes).await
        });
        task.await
            .unwrap_or_else(|panic| Err(Fault::caused("The fork broke", &panic)))
    }

    async fn fork_alone(&self, homes: &[Home]) -> Result<ForkReport, Fault> {
        let spec = self.spec()?;
        let sleepers = self.sleepers()?;
        let begun = Instant::now();
        let copied = match self.freeze(&sleepers).await {
            Ok(written) => self.copy_to(&spec, homes).map(|()| written),
            Err(fault) => Err(fault),
        };
        let thaws = sleepers
            .iter()
            .map(|sleeper| self.thaw(&sleeper.cell, sleeper.was_paused));
        let woken = join_all(thaws).await;
        let pause_seconds = begun.elapsed().as_secs_f64();
        let done = copied.and_then(|written| {
            woken.into_iter().collect::<Result<(), Fault>>()?;
            Ok(ForkReport {
                pause_seconds,
                written,
            })
        });
        if done.is_err() {
            homes.iter().for_each(Home::clear);
        }
        done
    }

    /// Where new labs are put: beside this one.
    fn homes(&self, ids: &[String]) -> Result<Vec<Home>, Fault> {
        let config = &self.0.config;
        let memory = config.memory.as_ref().ok_or_else(|| {
            Fault::new("A part of a lab cannot be forked")
                .with_hint("`nestlab fork` copies the whole lab")
        })?;
        let home = |id: &String| {
            let state = config.state_dir.with_file_name(id);
            let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !plain || !state.is_dir() || state.join("layer.json").exists() {
                return Err(Fault::new(format!("`{id}` is not the id of a new lab")));
            }
            Ok(Home {
                id: id.clone(),
                state,
                memory: memory.with_file_name(id),
            })
        };
        ids.iter().map(home).collect()
    }

    /// The nodes that run and must be stopped.
    fn sleepers(&self) -> Result<Vec<Sleeper>, Fault> {
        let mut sleepers = Vec::new();
        for cell in self.cells() {
            let was_paused = match cell.state() {
                NodeState::Ready => false,
                NodeState::Paused => true,
                NodeState::Halted | NodeState::Saved | NodeState::Absent => continue,
                state => {
                    return Err(Fault::new(format!(
                        "Node `{}` is {}: a lab can be forked when its nodes are ready or at rest",
                        cell.path,
                        state.word()
                    ))
                    .with_hint(format!(
                        "`nestlab up {0}` makes it ready, `nestlab halt {0}` puts it to rest",
                        cell.path
                    )));
                }
            };
            sleepers.push(Sleeper { cell, was_paused });
        }
        Ok(sleepers)
    }

    /// Puts every machine to rest and makes its disks such that nobody writes to
    /// them; tells whose memory was written out whole.
    async fn freeze(&self, sleepers: &[Sleeper]) -> Result<Vec<NodePath>, Fault> {
        let cells = || sleepers.iter().map(|sleeper| &sleeper.cell);
        all(cells().map(|cell| self.pause_node(cell, true, Link::Cut))).await?;
        let written = all(cells().map(|cell| self.freeze_node(cell))).await?;
        for cell in self.cells() {
            disks::freeze(&cell)?;
        }
        Ok(written.into_iter().flatten().collect())
    }

    async fn freeze_node(&self, cell: &Arc<NodeCell>) -> Result<Option<NodePath>, Fault> {
        let _work = cell.work.clone().lock_owned().await;
        let in_file = self.save_paused(cell, Rest::Memory).await?;
        Ok((!in_file).then(|| cell.path.clone()))
    }

    fn copy_to(&self, spec: &LayerSpec, homes: &[Home]) -> Result<(), Fault> {
        for home in homes {
            let mut copy = LayerSpec {
                lab_id: home.id.clone(),
                ..spec.clone()
            };
            let_ports_be_chosen(&mut copy.layer);
            for cell in self.cells() {
                copy_node(&cell, &copy.layer, home)?;
            }
            record::write(&home.state.join("layer.json"), &copy)?;
        }
        Ok(())
    }
}

/// A node that runs, and how it was before the fork.
struct Sleeper {
    cell: Arc<NodeCell>,
    was_paused: bool,
}

/// Where a new lab is.
struct Home {
    id: String,
    state: PathBuf,
    memory: PathBuf,
}

impl Home {
    /// Removes what was put there.
    fn clear(&self) {
        let _ = std::fs::remove_file(self.state.join("layer.json"));
        for folder in [&self.state.join("nodes"), &self.memory] {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Gives a new lab its own names for what a node has.
fn copy_node(cell: &NodeCell, layer: &Layer, home: &Home) -> Result<(), Fault> {
    let Some(record) = cell.record() else {
        return Ok(());
    };
    let folder = home.state.join("nodes").join(cell.name.as_str());
    make_private(&folder)?;
    disks::copy(cell, &folder)?;
    if record.saved.is_some() {
        let state = cell.state_path();
        link(&state, &folder.join(state.file_name().unwrap_or_default()))?;
    }
    if let Some(memory) = record
        .saved
        .as_ref()
        .and_then(|saved| cell.memory_of(saved))
    {
        let to = match memory.parent() == Some(&cell.folder) {
            true => folder.join(memory::ON_DISK),
            false => home.memory.join(cell.name.as_str()),
        };
        make_private(to.parent().unwrap_or(&home.memory))?;
        link(&memory, &to)?;
    }
    let mut node = record.node.clone();
    if let Some(listed) = layer.node(&cell.name) {
        node.ports.clone_from(&listed.ports);
    }
    let copy = NodeRecord {
        node,
        machine: None,
        ..record
    };
    record::write(&folder.join("node.json"), &copy)
}

/// The ports of this machine that the lab listens on are taken.
fn let_ports_be_chosen(layer: &mut Layer) {
    for Node { ports, inside, .. } in &mut layer.nodes {
        ports.iter_mut().for_each(|port| port.host_port = 0);
        let_ports_be_chosen(inside);
    }
}

/// All results, or the first fault once everything has come to its end.
async fn all<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, Fault>>>,
) -> Result<Vec<T>, Fault> {
    join_all(work).await.into_iter().collect()
}

fn make_private(folder: &Path) -> Result<(), Fault> {
    nestlab_sys::dir::make_private(folder)
        .map_err(Fault::io(format!("Cannot make {}", folder.display())))
}

fn link(from: &Path, to: &Path) -> Result<(), Fault> {
    std::fs::hard_link(from, to).map_err(Fault::io(format!("Cannot make {}", to.display())))
}
