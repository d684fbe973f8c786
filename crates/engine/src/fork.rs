//! Copying a lab as it is now into new labs that go on by themselves.
//!
//! ```text
//! what can be copied beforehand is ─► pause inside-out, links silent
//!   ─► devices saved, new overlays for the disks
//!   ─► machines branch off: what was there is frozen, each new lab given names for it
//!   ─► the lab goes on, outside-in
//! ```
//!
//! The lab's own machines stay what they are, with their links and whatever goes on
//! over them. Where one cannot branch off (another processor, a kernel that lets
//! nobody look into processes) it is ended, and begins anew from the same files as
//! the forks.
//!
//! What is frozen is never written to again: the lab and its forks keep what
//! they write in new disks, and in memory of their own. So the first fork copies
//! nothing. A machine that began from a frozen file has its memory partly there
//! and partly to itself: the next fork makes a new file of the two, from which all
//! go on then. Where memory is in no file, it is written out with the devices.
//!
//! A new lab is at rest, its nodes saved; its layer is written down last, so one
//! that was not finished holds nothing that could be brought up.

use crate::carry::to_the_end;
use crate::cell::NodeCell;
use crate::engine::{Engine, LAYER_FILE};
use crate::memory::{self, Rest};
use crate::pause::Why;
use crate::still::{Home, Ports, Still};
use crate::{Fault, disks, record};
use futures::future::join_all;
use nestlab_api::message::{ForkReport, ForkRequest};
use nestlab_model::{NodeName, NodePath, NodeState};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

impl Engine {
    /// Copies the layer into new labs and goes on; or copies what a snapshot keeps,
    /// with which the layer has nothing to do. Once begun it is carried to its end,
    /// even if the caller goes away.
    ///
    /// # Errors
    /// A node is neither ready, paused nor at rest; something could not be frozen
    /// or copied. The lab goes on all the same, and of the new labs nothing is left.
    pub async fn fork(&self, request: &ForkRequest) -> Result<ForkReport, Fault> {
        let homes = self.homes(&request.labs)?;
        let engine = self.clone();
        let snapshot = request.snapshot.clone();
        let containers = Containers::of(request.disks_only);
        let work = async move {
            let _alone = engine.0.forking.lock().await;
            let copy = |still: &Still| homes.iter().try_for_each(|home| still.copy_to(home));
            let done = match snapshot {
                Some(name) => engine
                    .open_snapshot(&name)
                    .await
                    .and_then(|(still, _unpacked)| {
                        copy(&still)?;
                        Ok(ForkReport::default())
                    }),
                None => engine
                    .while_still(containers, copy)
                    .await
                    .map(|((), report)| report),
            };
            if done.is_err() {
                homes.iter().for_each(Home::clear);
            }
            done
        };
        to_the_end("The fork", work).await
    }

    /// Copies the layer while nothing of it moves. The caller is the only one who
    /// does.
    pub(crate) async fn while_still<T>(
        &self,
        containers: Containers,
        copy: impl FnOnce(&Still) -> Result<T, Fault>,
    ) -> Result<(T, ForkReport), Fault> {
        let sleepers = self.sleepers(containers)?;
        join_all(
            sleepers
                .iter()
                .map(|sleeper| memory::prepare(&sleeper.cell)),
        )
        .await;
        let marker = Marker::set(self, &sleepers)?;
        let copied = match self.freeze(&sleepers).await {
            Ok(written) => Still::of(self).and_then(|still| Ok((copy(&still)?, written))),
            Err(fault) => Err(fault),
        };
        let stood = self.thaw_all(&sleepers).await;
        drop(marker);
        for sleeper in &sleepers {
            memory::forget_prepared(&sleeper.cell);
        }
        tokio::spawn(self.clone().shorten_disks());
        let (copied, written) = copied?;
        let report = ForkReport {
            pause_seconds: stood?.as_secs_f64(),
            written,
        };
        Ok((copied, report))
    }

    /// Lets all go on that did before; tells how long the one stood still that did so
    /// the longest.
    async fn thaw_all(&self, sleepers: &[Sleeper]) -> Result<Duration, Fault> {
        let awake = sleepers.iter().filter(|sleeper| !sleeper.was_paused);
        // What fails here is tried again, and told then.
        join_all(awake.map(|sleeper| self.thaw_machine(&sleeper.cell))).await;
        let thaws = sleepers
            .iter()
            .map(|sleeper| self.thaw(&sleeper.cell, sleeper.was_paused));
        let stood = all(thaws).await?;
        Ok(stood.into_iter().max().unwrap_or_default())
    }

    /// Has the disks of running nodes lose layers where those have become many, while
    /// nobody copies the lab.
    async fn shorten_disks(self) {
        let _alone = self.0.forking.lock().await;
        for cell in self.cells() {
            let (Some(live), Some(record)) = (cell.live_now(), cell.record()) else {
                continue;
            };
            for (disk, first) in disks::crowded(&cell.folder, &record.node) {
                match live.machine.shorten(&disk, &first).await {
                    Ok(()) => disks::forget_between(&cell.folder, &disk),
                    Err(error) => {
                        tracing::info!(path = %cell.path, disk, error = &error as &dyn std::error::Error, "its layers stay");
                    }
                }
            }
        }
    }

    /// Lets nodes go on that an earlier supervisor froze and did not come to thaw.
    pub(crate) async fn finish_thaw(&self) -> Result<(), Fault> {
        let _alone = self.0.forking.lock().await;
        let marker = Marker(Marker::path(self));
        let Some(frozen) = record::read::<Frozen>(&marker.0)? else {
            return Ok(());
        };
        self.networks(self.spec()?.as_ref()).await?;
        let cells: Vec<_> = frozen
            .nodes
            .iter()
            .flat_map(|name| self.cell(name))
            .collect();
        let thaws = cells.iter().map(|cell| async move {
            if matches!(cell.state(), NodeState::Paused | NodeState::Saved) {
                self.warn(&cell.path, "was left frozen; it goes on");
            }
            if let Err(fault) = self.thaw(cell, false).await {
                self.warn(&cell.path, format!("It does not go on: {fault}"));
            }
        });
        join_all(thaws).await;
        Ok(())
    }

    /// Where new labs are put: beside this one.
    fn homes(&self, ids: &[String]) -> Result<Vec<Home>, Fault> {
        let config = &self.0.config;
        let memory = config.memory.as_ref().ok_or_else(|| {
            Fault::new("A part of a lab cannot be forked")
                .with_hint("`nestlab fork` copies the whole lab")
        })?;
        let home = |id: &String| {
            let folder = config.state_dir.with_file_name(id);
            let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !plain || !folder.is_dir() || folder.join(LAYER_FILE).exists() {
                return Err(Fault::new(format!("`{id}` is not the id of a new lab")));
            }
            Ok(Home {
                lab_id: id.clone(),
                folder,
                memory: memory.with_file_name(id),
                ports: Ports::Free,
            })
        };
        ids.iter().map(home).collect()
    }

    /// The nodes that run and must be stopped.
    fn sleepers(&self, containers: Containers) -> Result<Vec<Sleeper>, Fault> {
        if containers == Containers::Refused {
            self.refuse_containers("copied", FILES_CAN)?;
        }
        self.refuse_kept_elsewhere()?;
        let mut sleepers = Vec::new();
        for cell in self.cells() {
            let was_paused = match cell.state() {
                NodeState::Ready => false,
                NodeState::Paused => true,
                NodeState::Halted | NodeState::Saved | NodeState::Absent => continue,
                state => {
                    return Err(Fault::new(format!(
                        "Node `{}` is {}: a lab can be copied when its nodes are ready or at rest",
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
        all(cells().map(|cell| self.pause_node(cell, true, Why::Frozen))).await?;
        let written = all(sleepers.iter().map(|sleeper| self.freeze_node(sleeper))).await?;
        for cell in self.cells().iter().filter(|cell| cell.live().is_none()) {
            disks::freeze(cell)?;
        }
        Ok(written.into_iter().flatten().collect())
    }

    async fn freeze_node(&self, sleeper: &Sleeper) -> Result<Option<NodePath>, Fault> {
        let Sleeper { cell, was_paused } = sleeper;
        if cell.is_container() {
            return Ok(None);
        }
        let _work = cell.work.clone().lock_owned().await;
        let in_file = self.write_down(cell, Rest::Memory, *was_paused).await?;
        if in_file && self.branch(cell).await? {
            return Ok(None);
        }
        self.put_out(cell).await?;
        Ok((!in_file).then(|| cell.path.clone()))
    }

    /// Has the machine of a node that has been written down never touch again what it
    /// had; tells whether it could.
    async fn branch(&self, cell: &NodeCell) -> Result<bool, Fault> {
        let (Some(live), Some(record)) = (cell.live_now(), cell.record()) else {
            return Ok(false);
        };
        let Some(memory) = record
            .saved
            .as_ref()
            .and_then(|saved| cell.memory_of(saved))
        else {
            return Ok(false);
        };
        let overlays = disks::freeze(cell)?;
        if let Err(error) = live.machine.branch(&memory, &overlays).await {
            tracing::warn!(path = %cell.path, error = &error as &dyn std::error::Error, "it cannot branch off and begins anew");
            return Ok(false);
        }
        cell.amend(&record.node, |record| {
            record.machine = Some(live.machine.record());
        })?;
        Ok(true)
    }
}

/// What is done about containers of this machine, whose processes cannot be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Containers {
    /// Nothing is copied.
    Refused,
    /// Their files are, and they begin anew from those.
    BeginAnew,
}

impl Containers {
    /// As a request wants it.
    pub fn of(disks_only: bool) -> Self {
        match disks_only {
            true => Self::BeginAnew,
            false => Self::Refused,
        }
    }
}

/// What to do about a container that cannot be copied.
const FILES_CAN: &str = "with `--disks-only` its files are copied, and it begins anew in the copy";

/// `frozen.json`
#[derive(Serialize, Deserialize)]
struct Frozen {
    nodes: Vec<NodeName>,
}

/// A file that names the nodes which shall go on, for as long as they are frozen.
struct Marker(PathBuf);

impl Marker {
    fn path(engine: &Engine) -> PathBuf {
        engine.0.config.state_dir.join("frozen.json")
    }

    fn set(engine: &Engine, sleepers: &[Sleeper]) -> Result<Self, Fault> {
        let path = Self::path(engine);
        let awake = sleepers.iter().filter(|sleeper| !sleeper.was_paused);
        let nodes = awake.map(|sleeper| sleeper.cell.name.clone()).collect();
        record::write(&path, &Frozen { nodes })?;
        Ok(Self(path))
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A node that runs, and how it was before the fork.
struct Sleeper {
    cell: Arc<NodeCell>,
    was_paused: bool,
}

/// All results, or the first fault once everything has come to its end.
async fn all<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, Fault>>>,
) -> Result<Vec<T>, Fault> {
    join_all(work).await.into_iter().collect()
}
