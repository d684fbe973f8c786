//! Pausing nodes and letting them go on: inside-out, and outside-in.
//!
//! The VMM is the one who knows whether a machine stands still, so nothing of it
//! is written down: whoever takes hold of a machine asks.

use crate::carry::to_the_end;
use crate::cell::{Live, NodeCell, Standstill};
use crate::engine::Engine;
use crate::resume::state_of;
use crate::{Fault, hearsay};
use nestlab_api::client::{ApiError, Client};
use nestlab_api::message::{Outcome, PauseRequest, UpRequest};
use nestlab_backend::BackendError;
use nestlab_model::{LayerStatus, NodePath, NodeState, Stage};
use std::sync::Arc;
use std::time::Duration;

/// How long an agent may take to answer once its machine goes on.
const WAKING: Duration = Duration::from_secs(60);

/// How long a level may take to pause or wake all that stands in it.
const ANSWER: Duration = Duration::from_secs(300);

/// How long what is inside a node waits for somebody who freezes the node, in
/// seconds of the node's own time: that stands still as well, once it is frozen.
const LEASE: u64 = 60;

/// Why a node is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody wants it to stand still. Its link waits as well. With a lease it goes
    /// on by itself when that has run out.
    Asked { leased: bool },
    /// It will be saved. Nothing is said to the guest any more: what is written to a
    /// VMM's socket ends up in memory, which shall not change.
    Frozen,
}

/// Whom a resume means of those that stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All.
    Everyone,
    /// Who was paused with a lease, for the sake of what is around it, or saved.
    Leased,
}

impl Engine {
    /// Stops the virtual CPUs of nodes, those of what is inside them first. Of a
    /// whole layer only the nodes that are ready are meant. Once begun it is carried
    /// to its end, even if the caller goes away: the states are true, and a lease
    /// runs, whatever became of who asked.
    ///
    /// # Errors
    /// A path names no node, or one that is not ready; a machine or what is inside
    /// it could not be stopped. What goes on then is told by the states.
    pub async fn pause(&self, request: &PauseRequest) -> Result<Outcome, Fault> {
        let (engine, request) = (self.clone(), request.clone());
        let work = async move { engine.pause_meant(&request).await };
        to_the_end("The pause", work).await
    }

    async fn pause_meant(&self, request: &PauseRequest) -> Result<Outcome, Fault> {
        let named = !request.paths.is_empty();
        let why = Why::Asked {
            leased: request.lease_seconds.is_some(),
        };
        let results = self
            .for_each(&request.paths, |cell, below| async move {
                match below.is_empty() {
                    true => self.pause_node(&cell, named, why).await.map(drop),
                    false => self.pause_below(&cell, below).await,
                }
            })
            .await?;
        if let Some(seconds) = request.lease_seconds {
            self.lease(Duration::from_secs(seconds));
        }
        self.outcome(results).await
    }

    /// Lets what stands still on a lease go on after a while, unless somebody else has.
    fn lease(&self, duration: Duration) {
        let leased =
            |cell: &Arc<NodeCell>| cell.standstill().filter(|standstill| standstill.leased);
        let cells = self.cells().into_iter();
        let held: Vec<_> = cells
            .filter_map(|cell| Some((leased(&cell)?, cell)))
            .collect();
        let engine = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            for (standstill, cell) in held {
                if cell.state() != NodeState::Paused || cell.standstill() != Some(standstill) {
                    continue;
                }
                engine.warn(&cell.path, "nobody came back for it; it goes on by itself");
                let resumed = async {
                    engine.stir(&cell, Whom::Leased).await?;
                    engine.unpause_node(&cell, Whom::Leased).await
                };
                if let Err(fault) = resumed.await {
                    tracing::warn!(%fault, path = %cell.path, "it does not go on");
                }
            }
        });
    }

    /// Lets paused and saved nodes go on, those of what is inside them last. Their
    /// clocks are set to the present. Once begun it is carried to its end. Tells how
    /// long they stood still.
    ///
    /// # Errors
    /// A path names no node; a machine does not go on or its agent does not answer.
    pub async fn unpause(&self, request: &PauseRequest) -> Result<Outcome, Fault> {
        let (engine, request) = (self.clone(), request.clone());
        let work = async move { engine.unpause_meant(&request).await };
        to_the_end("The resume", work).await
    }

    async fn unpause_meant(&self, request: &PauseRequest) -> Result<Outcome, Fault> {
        if self
            .cells()
            .iter()
            .any(|cell| cell.state() == NodeState::Saved)
        {
            self.networks(self.spec()?.as_ref()).await?;
        }
        let whom = match request.leased {
            true => Whom::Leased,
            false => Whom::Everyone,
        };
        self.for_each(&request.paths, |cell, below| async move {
            match below.is_empty() {
                true => self.stir(&cell, whom).await,
                false => Ok(()),
            }
        })
        .await?
        .into_iter()
        .collect::<Result<Vec<()>, Fault>>()?;
        let results = self
            .for_each(&request.paths, |cell, below| async move {
                match below.is_empty() {
                    true if cell.state() == NodeState::Saved => self.wake_saved(&cell, whom).await,
                    true => self.unpause_node(&cell, whom).await,
                    false => self.unpause_below(&cell, below).await,
                }
            })
            .await?;
        let stood = results.iter().flatten().max().copied();
        let results = results.into_iter().map(|result| result.map(drop));
        self.begin_anew().await?;
        Ok(Outcome {
            standstill_seconds: stood.unwrap_or_default().as_secs_f64(),
            ..self.outcome(results.collect()).await?
        })
    }

    /// Brings up what ran when it was copied and could not be copied running.
    async fn begin_anew(&self) -> Result<(), Fault> {
        let restarts = |cell: &Arc<NodeCell>| cell.record().is_some_and(|record| record.restarts);
        let cells = self.cells().into_iter().filter(restarts);
        let paths: Vec<_> = cells
            .map(|cell| NodePath::host().child(&cell.name))
            .collect();
        if paths.is_empty() {
            return Ok(());
        }
        let request = UpRequest {
            paths,
            ..UpRequest::default()
        };
        self.up(&request).await.map(drop)
    }

    /// Pauses a node and what is inside it; tells whether it stands still now.
    pub(crate) async fn pause_node(
        &self,
        cell: &Arc<NodeCell>,
        named: bool,
        why: Why,
    ) -> Result<bool, Fault> {
        let _work = cell.work.clone().lock_owned().await;
        let live = match (cell.state(), cell.live_now()) {
            (NodeState::Paused, Some(live)) if why == Why::Frozen => {
                live.be_quiet().await;
                return Ok(true);
            }
            (NodeState::Paused, _) => {
                if why == (Why::Asked { leased: false })
                    && let Some(standstill) = cell.standstill()
                {
                    let leased = false;
                    cell.stand_still(Standstill {
                        leased,
                        ..standstill
                    });
                }
                return Ok(true);
            }
            (NodeState::Ready, Some(live)) => live,
            (state, _) if named => {
                return Err(Fault::new(format!(
                    "Node `{}` is {}: only one that is ready can be paused",
                    cell.path,
                    state.word()
                ))
                .with_hint(format!("`nestlab up {}` makes it ready", cell.path)));
            }
            (state, live) => {
                if live.is_some() {
                    let state = state.word();
                    self.warn(&cell.path, format!("is {state} and is left as it is"));
                }
                return Ok(false);
            }
        };
        let inside = self.pause_inside(cell, &live).await?;
        if why == Why::Frozen {
            live.be_quiet().await;
        }
        let leased = why == Why::Asked { leased: true };
        let standstill = Standstill::new(leased);
        if let Err(error) = live.machine.pause().await {
            // A container without a control group of its own stands still with what is around it.
            if leased && matches!(error, BackendError::Unsupported { .. }) {
                return Ok(false);
            }
            if let Some(live) = cell.live_now() {
                let live = self.speak(cell, live);
                let _ = self.set_right(cell, &live, Whom::Leased).await;
            }
            return Err(cannot("pause", cell, &error));
        }
        cell.keep_inside(inside);
        cell.stand_still(standstill);
        cell.enter(NodeState::Paused);
        Ok(true)
    }

    /// Ends the silence on the link of a machine that was to be saved.
    pub(crate) fn speak(&self, cell: &Arc<NodeCell>, live: Live) -> Live {
        match live.speak() {
            true => live,
            false => self.hold(cell, live.machine),
        }
    }

    /// Pauses everything inside a node, if anything is; tells what stands there. Should
    /// the node itself not be paused then, that ends by itself.
    async fn pause_inside(
        &self,
        cell: &NodeCell,
        live: &Live,
    ) -> Result<Option<LayerStatus>, Fault> {
        if !has_inside(cell) {
            return Ok(Some(LayerStatus::default()));
        }
        let agent = live.agent_now().ok_or_else(|| {
            Fault::new(format!(
                "The agent of node `{}` does not answer, so what is inside it cannot be paused first",
                cell.path
            ))
        })?;
        let request = PauseRequest {
            paths: Vec::new(),
            lease_seconds: Some(LEASE),
            leased: false,
        };
        let paused = answer(agent.pause(&request)).await;
        let outcome = paused.map_err(|error| cannot("pause the inside of", cell, &error))?;
        Ok(Some(hearsay::status(&cell.path, outcome.status)))
    }

    /// Has the virtual CPUs of a paused node go on, and does no more: of a layer, they
    /// all do before anything is said to the first of them.
    async fn stir(&self, cell: &Arc<NodeCell>, whom: Whom) -> Result<(), Fault> {
        let _work = cell.work.clone().lock_owned().await;
        match (is_meant(cell, whom), cell.live_now()) {
            (true, Some(live)) => {
                // Whoever was to save it may have gone away before he had.
                let live = self.speak(cell, live);
                wake(cell, &live).await
            }
            _ => Ok(()),
        }
    }

    /// Sets a node right whose virtual CPUs go on again, and what is inside it; tells how
    /// long the one stood still that did so the longest.
    async fn unpause_node(&self, cell: &Arc<NodeCell>, whom: Whom) -> Result<Duration, Fault> {
        let _work = cell.work.clone().lock_owned().await;
        match cell.live_now() {
            Some(live) if is_meant(cell, whom) => self.go_on(cell, &live, whom).await,
            _ => self.unpause_what_is_inside(cell, whom).await,
        }
    }

    /// Sets a node right that has just woken, and what is inside it; tells how long the
    /// one stood still that did so the longest.
    pub(crate) async fn go_on(
        &self,
        cell: &NodeCell,
        live: &Live,
        whom: Whom,
    ) -> Result<Duration, Fault> {
        let stood = cell.stood_still().unwrap_or_default();
        let woken = self.set_right(cell, live, whom).await;
        cell.keep_inside(None);
        cell.enter(match &woken {
            Ok(_) => state_of(cell, cell.record().is_some_and(|record| record.ready)),
            Err(fault) => fault.clone().at(Stage::Configure),
        });
        woken.map(|inside| stood.saturating_add(inside))
    }

    /// Of a node that runs, something inside may be paused all the same.
    async fn unpause_what_is_inside(&self, cell: &NodeCell, whom: Whom) -> Result<Duration, Fault> {
        let agent = cell.live_now().and_then(|live| live.agent_now());
        match agent {
            Some(agent) if has_inside(cell) => resume_inside(cell, &agent, whom).await,
            _ => Ok(Duration::ZERO),
        }
    }

    /// Gives a guest that has just woken the present time, then wakes its inside; tells
    /// how long of that the one stood still that did so the longest.
    pub(crate) async fn set_right(
        &self,
        cell: &NodeCell,
        live: &Live,
        whom: Whom,
    ) -> Result<Duration, Fault> {
        let mut agent = live.agent.clone();
        let answered = tokio::select! {
            answered = tokio::time::timeout(WAKING, agent.wait_for(Option::is_some)) => answered,
            exit = live.machine.wait() => {
                return Err(Fault::new(format!(
                    "The machine of node `{}` has ended: {}",
                    cell.path, exit.description
                ))
                .with_hint(format!("`nestlab up {}` begins it anew", cell.path)));
            }
        };
        let Ok(Ok(Some(agent))) = answered.map(|told| told.map(|agent| agent.clone())) else {
            return Err(Fault::new(format!(
                "The agent of node `{}` does not answer though its machine goes on",
                cell.path
            )));
        };
        if let Some(record) = cell.record() {
            self.tell_identity(cell, &record.node, &agent).await?;
        }
        match has_inside(cell) {
            true => resume_inside(cell, &agent, whom).await,
            false => Ok(Duration::ZERO),
        }
    }

    async fn pause_below(&self, cell: &NodeCell, paths: Vec<NodePath>) -> Result<(), Fault> {
        let request = PauseRequest {
            paths,
            ..PauseRequest::default()
        };
        let agent = self.agent(&cell.name)?;
        let paused = answer(agent.pause(&request)).await;
        paused
            .map(drop)
            .map_err(|error| cannot("pause inside", cell, &error))
    }

    async fn unpause_below(
        &self,
        cell: &NodeCell,
        paths: Vec<NodePath>,
    ) -> Result<Duration, Fault> {
        let request = PauseRequest {
            paths,
            ..PauseRequest::default()
        };
        let agent = self.agent(&cell.name)?;
        let resumed = answer(agent.resume(&request)).await;
        resumed
            .map(|outcome| hearsay::standstill(&outcome))
            .map_err(|error| cannot("resume inside", cell, &error))
    }
}

/// Lets a machine go on if it stands still.
pub(crate) async fn wake(cell: &NodeCell, live: &Live) -> Result<(), Fault> {
    let woken = live.machine.resume().await;
    woken.map_err(|error| cannot("resume", cell, &error))?;
    cell.stir();
    Ok(())
}

async fn resume_inside(cell: &NodeCell, agent: &Client, whom: Whom) -> Result<Duration, Fault> {
    let request = PauseRequest {
        leased: whom == Whom::Leased,
        ..PauseRequest::default()
    };
    let resumed = answer(agent.resume(&request)).await;
    resumed
        .map(|outcome| hearsay::standstill(&outcome))
        .map_err(|error| cannot("resume the inside of", cell, &error))
}

/// What a level answers, if it does so in time: the node's lock is held until then.
pub(crate) async fn answer<T>(
    asked: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let answered = tokio::time::timeout(ANSWER, asked).await;
    answered.unwrap_or_else(|_| {
        Err(ApiError::Timeout {
            peer: "Its agent".into(),
            action: "what it was asked".into(),
            after: ANSWER,
        })
    })
}

/// Whether a node stands still and is to go on.
fn is_meant(cell: &NodeCell, whom: Whom) -> bool {
    let leased = || {
        cell.standstill()
            .is_some_and(|standstill| standstill.leased)
    };
    cell.state() == NodeState::Paused && (whom == Whom::Everyone || leased())
}

pub(crate) fn has_inside(cell: &NodeCell) -> bool {
    cell.record()
        .is_some_and(|record| !record.node.inside.is_empty())
}

fn cannot(verb: &str, cell: &NodeCell, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::caused(format!("Cannot {verb} node `{}`", cell.path), error)
}
