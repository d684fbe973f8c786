//! Halting and destroying.

use crate::cell::{Live, NodeCell};
use crate::engine::Engine;
use crate::record::NodeRecord;
use crate::save::discard;
use crate::targets::{self, Targets};
use crate::{Fault, record};
use futures::future::join_all;
use nestlab_api::client::Client;
use nestlab_api::message::{LayerSpec, Outcome, Power, StopRequest};
use nestlab_model::{NodeName, NodePath, NodeState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a graceful end may take unless the caller says otherwise.
const GRACE: Duration = Duration::from_secs(60);

/// How long an agent may take to show that it hears, before the power button is pressed.
/// A guest under emulation on a busy machine is slow to do so.
const HEARING: Duration = Duration::from_secs(15);

/// What to do about a container that cannot be saved.
const STAND_INSIDE: &str = "have it stand in a virtual machine, with which it can be";

impl Engine {
    /// Powers nodes off; their disks stay. Children first.
    ///
    /// # Errors
    /// A path names no node, or a machine could not be stopped.
    pub async fn halt(&self, request: &StopRequest) -> Result<Outcome, Fault> {
        if request.save {
            self.refuse_containers("saved", STAND_INSIDE)?;
        }
        let results = self
            .for_each(&request.paths, |cell, below| {
                self.halt_node(cell, below, request)
            })
            .await?;
        self.outcome(results).await
    }

    /// Removes nodes with their disks; with no paths, everything of the layer.
    ///
    /// # Errors
    /// A path names no node, or something could not be removed.
    pub async fn destroy(&self, request: &StopRequest) -> Result<Outcome, Fault> {
        let results = self
            .for_each(&request.paths, |cell, below| {
                self.destroy_node(cell, below, request)
            })
            .await?;
        let outcome = self.outcome(results).await?;
        if request.paths.is_empty() {
            self.0.ground.remove().await?;
            self.remove_folders()?;
        }
        Ok(outcome)
    }

    fn remove_folders(&self) -> Result<(), Fault> {
        let path = self.layer_path();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Fault::io(format!(
                "Cannot remove {}",
                path.display()
            ))(error)),
            _ => {
                self.forget_layer();
                Ok(())
            }
        }
    }

    pub(crate) async fn outcome(&self, results: Vec<Result<(), Fault>>) -> Result<Outcome, Fault> {
        results.into_iter().collect::<Result<Vec<()>, Fault>>()?;
        Ok(Outcome {
            ok: true,
            status: self.status().await,
            standstill_seconds: 0.0,
        })
    }

    /// Applies an action to every node meant, all at once.
    pub(crate) async fn for_each<F, R, T>(
        &self,
        paths: &[NodePath],
        action: F,
    ) -> Result<Vec<Result<T, Fault>>, Fault>
    where
        F: Fn(Arc<NodeCell>, Vec<NodePath>) -> R,
        R: Future<Output = Result<T, Fault>>,
    {
        let mut actions = Vec::new();
        for (name, below) in self.meant(paths)? {
            actions.push(action(self.cell(&name)?, below));
        }
        Ok(join_all(actions).await)
    }

    /// The nodes meant by some paths, each with the paths meant below it (none:
    /// the node itself).
    fn meant(&self, paths: &[NodePath]) -> Result<Targets, Fault> {
        if paths.is_empty() {
            return Ok(self
                .cells()
                .iter()
                .map(|cell| (cell.name.clone(), Vec::new()))
                .collect());
        }
        targets::sort(paths, |_, name| self.cell(name).map(drop))
    }

    /// Hands the stopping of nodes inside a node to its agent.
    async fn stop_below(
        &self,
        cell: &NodeCell,
        paths: Vec<NodePath>,
        request: &StopRequest,
        verb: Verb,
    ) -> Result<(), Fault> {
        let agent = self.agent(&cell.name)?;
        let inner = StopRequest {
            paths,
            ..request.clone()
        };
        let (word, stopped) = match verb {
            Verb::Halt => ("halt", agent.halt(&inner).await),
            Verb::Destroy => ("destroy", agent.destroy(&inner).await),
        };
        stopped
            .map(drop)
            .map_err(|error| Fault::caused(format!("Cannot {word} inside `{}`", cell.path), &error))
    }

    async fn halt_node(
        &self,
        cell: Arc<NodeCell>,
        below: Vec<NodePath>,
        request: &StopRequest,
    ) -> Result<(), Fault> {
        if !below.is_empty() {
            return self.stop_below(&cell, below, request, Verb::Halt).await;
        }
        if request.save {
            return self.save_node(&cell, !request.paths.is_empty()).await;
        }
        let _work = cell.interrupt().await;
        let Some(live) = cell.live() else {
            if discard(&cell)? {
                cell.drop_memory();
                cell.enter(NodeState::Halted);
            }
            return Ok(());
        };
        cell.enter(NodeState::Halting);
        if !request.force {
            let grace = request.deadline_seconds.map_or(GRACE, Duration::from_secs);
            if tokio::time::timeout(grace, ask_to_end(&live, request))
                .await
                .is_err()
            {
                let seconds = grace.as_secs();
                self.warn(
                    &cell.path,
                    format!("did not power off within {seconds} s; pulling the plug"),
                );
            }
        }
        self.end(&cell, &live).await?;
        cell.enter(NodeState::Halted);
        Ok(())
    }

    pub(crate) async fn end(&self, cell: &NodeCell, live: &Live) -> Result<(), Fault> {
        pull_the_plug(cell, live).await?;
        if let Some(record) = cell.record() {
            cell.amend(&record.node, NodeRecord::end_machine)?;
        }
        cell.tidy_memory();
        self.unplug(cell, live).await
    }

    /// Removes what attached a machine to its networks. The interfaces of a container went
    /// with it: they belonged to a network of its own.
    async fn unplug(&self, cell: &NodeCell, live: &Live) -> Result<(), Fault> {
        match live.machine.record().spec.boot.container() {
            Some(_) => Ok(()),
            None => self.0.ground.remove_taps(&cell.name).await,
        }
    }

    async fn destroy_node(
        &self,
        cell: Arc<NodeCell>,
        below: Vec<NodePath>,
        request: &StopRequest,
    ) -> Result<(), Fault> {
        if !below.is_empty() {
            return self.stop_below(&cell, below, request, Verb::Destroy).await;
        }
        let _work = cell.interrupt().await;
        cell.enter(NodeState::Halting);
        match cell.live() {
            Some(live) => {
                pull_the_plug(&cell, &live).await?;
                self.unplug(&cell, &live).await?;
            }
            None => self.0.ground.remove_taps(&cell.name).await?,
        }
        self.discard_written(&cell).await?;
        cell.erase()?;
        cell.enter(NodeState::Absent);
        self.drop_if_unlisted(&cell.name);
        Ok(())
    }

    /// A node that the file no longer lists is gone for good.
    fn drop_if_unlisted(&self, name: &NodeName) {
        let listed = |spec: Arc<LayerSpec>| spec.layer.node(name).is_some();
        if !self.spec().is_ok_and(listed) {
            self.forget(name);
        }
    }
}

/// Which of the two ways to stop.
#[derive(Clone, Copy)]
enum Verb {
    Halt,
    Destroy,
}

/// Ends a node's machine at once.
pub(crate) async fn pull_the_plug(cell: &NodeCell, live: &Live) -> Result<(), Fault> {
    live.machine.kill().await.map_err(|error| {
        Fault::caused(
            format!("Cannot stop the machine of `{}`", cell.path),
            &error,
        )
    })?;
    cell.set_live(None);
    Ok(())
}

/// The agent, if it answers. One that has ended leaves a link on which nothing comes.
async fn hearing_agent(live: &Live) -> Option<Client> {
    let agent = live.agent_now()?;
    let answer = tokio::time::timeout(HEARING, agent.version()).await;
    matches!(answer, Ok(Ok(_))).then_some(agent)
}

/// Asks the guest to end: what is inside it first, then itself, by its agent or
/// else by the power button. Returns when the machine has ended.
async fn ask_to_end(live: &Live, request: &StopRequest) {
    // A paused guest hears nothing.
    let _ = live.machine.resume().await;
    // To the first program of a container both are the same signal, and its agent would
    // wait until its answer has left.
    let is_container = live.machine.record().spec.boot.container().is_some();
    let asked = match hearing_agent(live).await {
        Some(agent) => {
            let inner = StopRequest {
                paths: Vec::new(),
                ..request.clone()
            };
            if let Err(error) = agent.halt(&inner).await {
                tracing::debug!(%error, "the inside did not halt");
            }
            let power = async || {
                let asked = tokio::time::timeout(HEARING, agent.power(Power::Off)).await;
                matches!(asked, Ok(Ok(())))
            };
            !is_container && power().await
        }
        None => false,
    };
    if !asked {
        let _ = live.machine.power_button().await;
    }
    live.machine.wait().await;
}

impl Engine {
    /// Nodes that run although the file no longer lists them.
    pub fn unlisted(&self) -> Vec<NodePath> {
        let Ok(spec) = self.spec() else {
            return Vec::new();
        };
        let cells = self.cells();
        let gone = cells
            .iter()
            .filter(|cell| spec.layer.node(&cell.name).is_none());
        gone.map(|cell| cell.path.clone()).collect()
    }

    /// Whether any record of the layer exists on disk.
    pub fn is_known(&self) -> bool {
        matches!(record::read::<LayerSpec>(&self.layer_path()), Ok(Some(_)))
    }
}

impl Engine {
    /// Ends machines of the lab that no record knows: their supervisor died
    /// between the start and the writing down.
    pub async fn end_orphans(&self, lab_id: &str) {
        let known: BTreeSet<u32> = self
            .cells()
            .iter()
            .filter_map(|cell| Some(cell.record()?.machine?.process.pid))
            .collect();
        let word = format!("nestlab:{lab_id}:");
        let level = self.spec().map_or(0, |spec| spec.path.level());
        // Of a container here we also see what its own agent has started inside it.
        let ours = |argument: &String| {
            let path = argument.strip_prefix(&word);
            let path = path.and_then(|path| path.parse::<NodePath>().ok());
            path.is_some_and(|path| path.level() == level + 1)
        };
        for process in nestlab_sys::proc::find(|argv| argv.iter().any(ours)) {
            if known.contains(&process.pid) {
                continue;
            }
            tracing::warn!(pid = process.pid, "ending a machine that no record knows");
            if let Ok(Some(handle)) = process.open() {
                let _ = handle.signal(nestlab_sys::process::Signal::SIGKILL);
                let _ = handle.wait().await;
            }
        }
    }
}
