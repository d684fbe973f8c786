//! Putting nodes to rest on disk, and waking them from there.
//!
//! ```text
//! pause inside-out, link silent ─► memory and state to files ─► written down ─► machine ended
//! machine from the files ─► written down, state of no use ─► goes on
//! ```
//!
//! The state and the disks belong together: once the machine goes on, the file
//! is of no use, and it is removed before that.

use crate::carry::to_the_end;
use crate::cell::{Live, NodeCell};
use crate::engine::Engine;
use crate::memory::{self, Rest};
use crate::pause::{Whom, Why, has_inside, wake};
use crate::record::NodeRecord;
use crate::{Fault, disks, firmware, seed};
use nestlab_backend::{BackendError, Contents, MachineSpec, Mapping, MemoryFile, Start};
use nestlab_model::{Node, NodeState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

impl Engine {
    /// Saves a node that is ready or paused, and ends its machine. One that could
    /// not be saved goes on.
    pub(crate) async fn save_node(&self, cell: &Arc<NodeCell>, named: bool) -> Result<(), Fault> {
        let was_paused = cell.state() == NodeState::Paused;
        if !self.pause_node(cell, named, Why::Frozen).await? {
            return Ok(());
        }
        let saved = async {
            let _work = cell.interrupt().await;
            self.write_down(cell, Rest::Disk, was_paused).await?;
            self.put_out(cell).await
        };
        let saved = saved.await;
        if saved.is_err() {
            self.thaw(cell, was_paused).await?;
        }
        saved
    }

    /// Writes down a paused node whose link is silent; the caller holds its lock.
    /// What is written is true as long as the machine stands still. Tells whether its
    /// memory is in a file.
    pub(crate) async fn write_down(
        &self,
        cell: &Arc<NodeCell>,
        rest: Rest,
        was_paused: bool,
    ) -> Result<bool, Fault> {
        let (Some(live), Some(record)) = (cell.live_now(), cell.record()) else {
            return Err(Fault::new(format!(
                "The machine of node `{}` has ended",
                cell.path
            )));
        };
        // Memory comes second: until devices are saved it may still move.
        if live.machine.record().spec.memory_file.is_some() {
            write_state(cell, &live, Contents::Devices, rest).await?;
        }
        let memory = memory::lay_down(cell, &live, rest).await;
        let in_file = memory.is_some();
        if !in_file {
            write_state(cell, &live, Contents::Everything, rest).await?;
        }
        let spec = once_saved(live.machine.record().spec, memory);
        cell.amend(&record.node, |record| {
            record.saved = Some(spec);
            record.was_paused = was_paused;
        })?;
        Ok(in_file)
    }

    /// Ends the machine of a node that has been written down.
    pub(crate) async fn put_out(&self, cell: &NodeCell) -> Result<(), Fault> {
        if let Some(live) = cell.live_now() {
            cell.enter(NodeState::Halting);
            self.end(cell, &live).await?;
        }
        cell.enter(NodeState::Saved);
        Ok(())
    }

    /// Has the virtual CPUs of a node that was to be saved go on, if its machine is
    /// still there, and does no more.
    pub(crate) async fn thaw_machine(&self, cell: &Arc<NodeCell>) -> Result<(), Fault> {
        let _work = cell.work.clone().lock_owned().await;
        match (cell.state(), cell.live_now()) {
            (NodeState::Paused, Some(live)) => {
                // It goes on: what was written down is older than that.
                discard(cell)?;
                wake(cell, &self.speak(cell, live)).await
            }
            _ => Ok(()),
        }
    }

    /// Lets a node go on as it was, whether its machine was ended, stands still or
    /// only what is inside it does; tells how long the one stood still that did so the
    /// longest.
    pub(crate) async fn thaw(
        &self,
        cell: &Arc<NodeCell>,
        was_paused: bool,
    ) -> Result<Duration, Fault> {
        let work = Arc::new(cell.work.clone().lock_owned().await);
        let live = match (cell.state(), cell.live_now(), cell.record()) {
            (NodeState::Paused, Some(live), _) => {
                discard(cell)?;
                self.speak(cell, live)
            }
            (NodeState::Ready, Some(live), _) if has_inside(cell) => {
                return self.set_right(cell, &live, Whom::Leased).await;
            }
            (
                _,
                None,
                Some(NodeRecord {
                    node,
                    saved: Some(spec),
                    ..
                }),
            ) => self.restore_saved(cell, &node, spec, work.clone()).await?,
            _ => return Ok(Duration::ZERO),
        };
        if was_paused {
            cell.enter(NodeState::Paused);
            return Ok(Duration::ZERO);
        }
        wake(cell, &live).await?;
        self.go_on(cell, &live, Whom::Leased).await
    }

    /// Lets a saved node go on as it was, without setting anything up again, or stand
    /// still as it did. Its networks are there.
    pub(crate) async fn wake_saved(
        &self,
        cell: &Arc<NodeCell>,
        whom: Whom,
    ) -> Result<Duration, Fault> {
        let work = Arc::new(cell.work.clone().lock_owned().await);
        let Some(NodeRecord {
            node,
            saved: Some(spec),
            was_paused,
            ..
        }) = cell.record()
        else {
            return Ok(Duration::ZERO);
        };
        let live = self.restore_saved(cell, &node, spec, work.clone()).await?;
        if was_paused && whom == Whom::Leased {
            cell.enter(NodeState::Paused);
            return Ok(Duration::ZERO);
        }
        wake(cell, &live).await?;
        self.go_on(cell, &live, Whom::Leased).await
    }

    /// Starts the machine of a saved node from its state, and leaves it standing
    /// still. As with a launch, it is written down even if the caller goes away in
    /// the middle.
    pub(crate) async fn restore_saved(
        &self,
        cell: &Arc<NodeCell>,
        node: &Node,
        spec: MachineSpec,
        work: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Live, Fault> {
        let backend = self.backend(node)?;
        let spec = self.at_home(cell, node, spec).await?;
        let place = self.0.ground.place().await;
        let (engine, cell, node) = (self.clone(), cell.clone(), node.clone());
        let work = async move {
            let _work = work;
            let state = cell.state_path();
            let restored = backend.restore(&spec, place.as_ref(), &state).await;
            let machine = restored.map_err(|error| refused(&cell, &error))?;
            cell.amend(&node, |record| {
                record.machine = Some(machine.record());
                record.saved = None;
            })?;
            cell.forget_boot();
            cell.tidy_memory();
            remove(&state)?;
            Ok(engine.hold(&cell, machine))
        };
        to_the_end("The waking", work).await
    }

    /// A saved machine as it is started here: it may have been saved elsewhere,
    /// by the lab that this one was forked from. Its taps have gone with it, and
    /// are made again.
    async fn at_home(
        &self,
        cell: &NodeCell,
        node: &Node,
        saved: MachineSpec,
    ) -> Result<MachineSpec, Fault> {
        let memory_file = match cell.memory_of(&saved) {
            Some(path) => Some(frozen_memory(cell, &saved, path)?),
            None => self.memory_file(cell, node),
        };
        let mut disks = saved.disks;
        for disk in disks.iter_mut().filter(|disk| !disk.read_only) {
            disk.path = disks::at_work(&cell.folder, &disk.serial);
        }
        for disk in disks.iter_mut().filter(|disk| disk.serial == seed::SERIAL) {
            disk.path = seed::path(&cell.folder);
        }
        let mut boot = saved.boot;
        if let Start::Firmware(firmware) = &mut boot {
            firmware.variables = firmware::variables(&cell.folder);
        }
        // Its cards are those of the node as it was when it was saved.
        let endpoints = cell.record().map(|record| record.node.endpoints);
        let mut nics = saved.nics;
        for (nic, endpoint) in nics.iter_mut().zip(endpoints.into_iter().flatten()) {
            nic.tap = self.0.ground.tap(&cell.name, &endpoint.network).await?;
        }
        Ok(MachineSpec {
            nics,
            lab_id: self.spec()?.lab_id.clone(),
            run_dir: cell.run_dir.clone(),
            boot,
            disks,
            memory_file,
            ..saved
        })
    }
}

/// Drops the state of a saved node, which is an ordinary halted one then.
/// Returns whether there was any.
pub(crate) fn discard(cell: &NodeCell) -> Result<bool, Fault> {
    let Some(record) = cell.record().filter(|record| record.saved.is_some()) else {
        return Ok(false);
    };
    cell.amend(&record.node, |record| {
        record.saved = None;
        record.ready &= record.machine.is_some();
    })?;
    remove(&cell.state_path())?;
    Ok(true)
}

/// What a machine is as long as nothing is there of it but its state, and its
/// memory in a file or in the state.
fn once_saved(spec: MachineSpec, memory: Option<PathBuf>) -> MachineSpec {
    MachineSpec {
        memory_file: memory.map(|path| MemoryFile {
            path,
            mapping: Mapping::Private,
        }),
        ..spec
    }
}

/// The file that holds the memory of a node whose state does not.
fn frozen_memory(cell: &NodeCell, saved: &MachineSpec, path: PathBuf) -> Result<MemoryFile, Fault> {
    let whole = std::fs::metadata(&path).is_ok_and(|file| file.len() == saved.memory.as_bytes());
    if !whole {
        return Err(Fault::new(format!(
            "The memory of node `{}` is gone: it was in {} (a tmpfs does not outlive a reboot)",
            cell.path,
            path.display()
        ))
        .with_hint(format!(
            "`nestlab halt {0}` keeps the disks; then `nestlab up {0}` boots it",
            cell.path
        )));
    }
    Ok(MemoryFile {
        path,
        mapping: Mapping::Private,
    })
}

async fn write_state(
    cell: &NodeCell,
    live: &Live,
    contents: Contents,
    rest: Rest,
) -> Result<(), Fault> {
    let path = cell.state_path();
    let part = path.with_extension("part");
    // Left by somebody who was killed in the middle.
    remove(&part)?;
    let cannot = || format!("Cannot save node `{}`; it goes on", cell.path);
    let saved = live.machine.save(&part, contents).await;
    saved.map_err(|error| {
        let hint = match error {
            BackendError::Restless => {
                "Try again, or give what restarts inside it all the time a rest"
            }
            _ => "It takes as much disk space as the guest has used of its memory",
        };
        Fault::caused(cannot(), &error).with_hint(hint)
    })?;
    if rest == Rest::Disk {
        nestlab_sys::disk::sync(&part).map_err(Fault::io(cannot()))?;
    }
    std::fs::rename(&part, &path).map_err(Fault::io(cannot()))
}

fn refused(cell: &NodeCell, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::caused(
        format!("Cannot wake node `{}` from what was saved", cell.path),
        error,
    )
    .with_hint(format!(
        "`nestlab halt {0}` drops the saved memory and keeps the disks; then `nestlab up {0}` boots it",
        cell.path
    ))
}

fn remove(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Fault::io(format!(
            "Cannot remove {}",
            path.display()
        ))(error)),
        _ => Ok(()),
    }
}
