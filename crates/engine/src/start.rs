//! How a node's machine comes to run: from what was saved, from a template, or from
//! power-on; and what is done before anything of the node's own is.

use crate::cell::{Live, Standstill};
use crate::node::{RESTART, Rise, Step, stands};
use crate::pause::Whom;
use crate::template::{Beginning, Making, bare};
use crate::{Fault, lower};
use nestlab_api::client::Client;
use nestlab_api::message::UpRequest;
use nestlab_backend::MachineSpec;
use nestlab_model::{Node, NodeState, Stage};
use std::time::Duration;

/// How long the agent of a clone may take to answer. It did when it was frozen.
const ANSWER: Duration = Duration::from_secs(60);

/// What a node is whose machine runs now.
pub(super) enum Started {
    /// All that was asked for.
    Whole,
    /// A machine that is to be set up.
    Machine(Live),
}

impl Rise<'_> {
    /// Has the machine run. If a template is to be made of it, that is done.
    pub(super) async fn start(&self) -> Step<Started> {
        let saved = self.cell.record().and_then(|record| record.saved);
        if let Some(spec) = saved {
            return self.wake_up(spec).await;
        }
        let parts = self.engine.parts(self.cell, self.node).await?;
        let beginning = self
            .engine
            .beginning(self.cell, self.node, &self.request, &parts)
            .await;
        let making = match beginning {
            Beginning::PowerOn => None,
            Beginning::First(making) => Some(making),
            Beginning::Clone(spec, key) => match self.clone_wakes(spec).await {
                Ok(live) => return Ok(Started::Machine(live)),
                Err(fault) => {
                    let path = &self.cell.path;
                    let words = format!("its template is of no use, it boots instead: {fault}");
                    self.engine.warn(path, words);
                    let scrapped = self.engine.scrap_clone(self.cell, &key).await;
                    scrapped.map_err(|fault| (Stage::Launch, fault))?;
                    None
                }
            },
        };
        let spec = self.engine.shape(self.cell, self.node, &parts).await?;
        self.note_start();
        let created = self
            .engine
            .create(self.cell, self.node, spec, self.work.clone());
        let live = self.at(Stage::Launch, created).await?;
        match making {
            Some(making) => self.become_template(live, making).await,
            None => Ok(live),
        }
        .map(Started::Machine)
    }

    /// Lets a node go on from where it was saved. Of one that was ready, and is as
    /// the file says, only its place and the time have changed.
    async fn wake_up(&self, spec: MachineSpec) -> Step<Started> {
        let slept = self.slept();
        self.note_changes();
        let live = self.at(Stage::Launch, self.rouse(spec)).await?;
        if !slept {
            return Ok(Started::Machine(live));
        }
        self.at(Stage::Configure, async {
            self.engine
                .set_right(self.cell, &live, Whom::Leased)
                .await?;
            self.cell.amend(self.node, |record| record.ready = true)
        })
        .await?;
        Ok(match self.inside_is_ready(&live).await {
            true => Started::Whole,
            false => Started::Machine(live),
        })
    }

    /// Whether the node was ready when it was saved, and is as the file says.
    fn slept(&self) -> bool {
        self.cell
            .record()
            .is_some_and(|record| record.ready && record.node == *self.node)
            && !self.request.provision.is_order()
    }

    async fn inside_is_ready(&self, live: &Live) -> bool {
        self.node.inside.is_empty()
            || match live.agent_now() {
                Some(agent) => stands(&agent).await,
                None => false,
            }
    }

    async fn rouse(&self, spec: MachineSpec) -> Result<Live, Fault> {
        let (cell, work) = (self.cell, self.work.clone());
        let restored = self.engine.restore_saved(cell, self.node, spec, work);
        let live = restored.await?;
        crate::pause::wake(cell, &live).await?;
        Ok(live)
    }

    async fn clone_wakes(&self, spec: MachineSpec) -> Result<Live, Fault> {
        self.cell.enter_stage(Stage::Launch);
        self.note_start();
        let live = self.rouse(spec).await?;
        self.cell.enter_stage(Stage::Boot);
        let mut agent = live.agent.clone();
        let answered = tokio::time::timeout(ANSWER, agent.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(_)) => self.note_answer().map(|()| live.clone()),
            _ => Err(Fault::new("its agent does not answer")),
        }
    }

    /// Brings a machine that has just booted as far as a template goes, and makes
    /// one of it.
    async fn become_template(&self, live: Live, making: Making) -> Step<Live> {
        let machine = live.machine.clone();
        let made = async {
            let agent = self.at(Stage::Boot, self.wait_for_agent(&live)).await?;
            self.at(Stage::Boot, async { self.note_answer() }).await?;
            let fit = agent.version().await.is_ok_and(|version| !version.systemd);
            if !fit {
                making.give_up();
                return Ok(live);
            }
            if let Err(fault) = self.boot_inside(&live, &agent).await {
                let words = format!("There is no template of it: {fault}");
                self.engine.warn(&self.cell.path, words);
                return self.came_back(live, fault).await;
            }
            let template = self
                .engine
                .make_template(self.cell, live, making, self.work.clone());
            self.at(Stage::Boot, template).await
        };
        tokio::select! {
            biased;
            made = made => made,
            exit = machine.wait() => Err((self.stage(), self.ended(&exit.description))),
        }
    }

    /// A machine that answers still or, if its guest has restarted, again.
    async fn came_back(&self, live: Live, fault: Fault) -> Step<Live> {
        let mut agent = live.agent.clone();
        let answered = tokio::time::timeout(RESTART, agent.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(_)) => Ok(live.clone()),
            _ => Err((Stage::Inside, fault)),
        }
    }

    /// Has the machines inside come as far as their agents, and pauses them there.
    pub(super) async fn boot_inside(&self, live: &Live, agent: &Client) -> Result<(), Fault> {
        if self.node.inside.is_empty() {
            return Ok(());
        }
        let node = Node {
            inside: bare(&self.node.inside),
            ..self.node.clone()
        };
        let path = &self.cell.path;
        let accelerator = live.machine.record().spec.accelerator;
        self.cell.enter_stage(Stage::Inside);
        lower::send(self.engine, agent, path, &node, accelerator).await?;
        let request = UpRequest {
            boot_only: true,
            ..UpRequest::default()
        };
        let cannot = |error| Fault::caused(format!("Cannot boot the inside of `{path}`"), &error);
        let outcome = agent.up(&request).await.map_err(cannot)?;
        lower::learn(self.engine, agent, &node, accelerator).await;
        match outcome.ok {
            true => Ok(()),
            false => Err(Fault::new(format!("not all inside `{path}` has booted"))),
        }
    }

    /// Leaves a machine that has just booted standing still, and all inside it.
    pub(super) async fn only_boot(&self, live: &Live) -> Step<NodeState> {
        let agent = self.at(Stage::Boot, self.wait_for_agent(live)).await?;
        let boot = async {
            self.note_answer()?;
            self.boot_inside(live, &agent).await?;
            let paused = live.machine.pause().await;
            paused.map_err(|error| {
                Fault::caused(format!("Cannot pause node `{}`", self.cell.path), &error)
            })
        };
        self.at(Stage::Boot, boot).await?;
        self.cell.stand_still(Standstill::new(false));
        Ok(NodeState::Paused)
    }
}
