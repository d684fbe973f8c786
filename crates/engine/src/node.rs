//! One node's way from whatever it is to ready.

use crate::cell::{Boot, Live, NodeCell};
use crate::engine::Engine;
use crate::start::Started;
use crate::{Fault, console, disks, firmware, lower, probe, provision};
use nestlab_api::client::Client;
use nestlab_api::message::{Configure, HostEntry, InterfaceConfig, LayerSpec, UpRequest};
use nestlab_backend::MachineSpec;
use nestlab_model::{DependencyCondition, EventKind, Node, NodeKind, NodeName, NodeState, Stage};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedMutexGuard, watch};

/// How long a guest may take from power-on until its agent answers. Three
/// levels of emulation on two busy cores take well under a third of it.
const BOOT_DEADLINE: Duration = Duration::from_secs(300);

/// The same of a guest whose agent begins only when cloud-init has come so far: after
/// boot loader, initramfs and the image's own services, all of them emulated perhaps.
const FIRMWARE_DEADLINE: Duration = Duration::from_secs(900);

/// How often its console is looked at meanwhile.
const LOOK: Duration = Duration::from_secs(2);

/// How many lines of a console are shown with a boot that failed.
const LAST_LINES: usize = 12;

/// How long a machine that no longer answers may take to be seen to end.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// How long a guest that went silent in the middle may take to come back.
pub(super) const RESTART: Duration = Duration::from_secs(60);

impl Engine {
    /// Brings one node up. Its state tells how that went.
    pub(crate) async fn bring_up(&self, node: &Node, request: UpRequest, begun: &Begun) {
        let Ok(cell) = self.cell(&node.name) else {
            return begun.tell(&node.name);
        };
        let work = Arc::new(cell.work.clone().lock_owned().await);
        if self.nothing_to_do(&cell, node, &request).await {
            return begun.tell(&node.name);
        }
        cell.enter_stage(Stage::Waiting);
        begun.tell(&node.name);
        let interrupted = Interrupted(&cell);
        let mut interrupts = cell.watch_interrupts();
        let rise = Rise {
            engine: self,
            cell: &cell,
            node,
            request,
            begun,
            work,
            started: Mutex::default(),
            console_before: AtomicU64::default(),
        };
        tokio::select! {
            result = rise.run() => match result {
                Ok(state) => cell.enter(state),
                Err((stage, fault)) => cell.enter(fault.at(stage)),
            },
            _ = interrupts.changed() => {}
        }
        drop(interrupted);
    }

    /// Sets a node up whose guest has restarted by itself.
    pub(crate) async fn set_up_again(self, cell: Arc<NodeCell>) {
        let node = self
            .spec()
            .ok()
            .and_then(|spec| spec.layer.node(&cell.name).cloned());
        if let Some(node) = node {
            cell.enter_stage(Stage::Boot);
            self.bring_up(&node, UpRequest::default(), &Begun::default())
                .await;
        }
    }

    /// Tells a node who it is, and what time it is.
    pub(crate) async fn tell_identity(
        &self,
        cell: &NodeCell,
        node: &Node,
        agent: &Client,
    ) -> Result<(), Fault> {
        let spec = self.spec()?;
        let resolver = self.0.ground.resolver().await;
        let mut identity = identity(&spec, cell, node, resolver);
        if let Some(live) = cell.live() {
            name_cards(&mut identity, &live.machine.record().spec);
        }
        let cannot =
            |error| Fault::caused(format!("Cannot configure node `{}`", cell.path), &error);
        let version = agent.configure(&identity).await.map_err(cannot)?;
        cell.configure_boot(version.boot_id);
        Ok(())
    }

    /// Whether the node and everything in it is as the file says.
    async fn nothing_to_do(&self, cell: &NodeCell, node: &Node, request: &UpRequest) -> bool {
        let same = cell.record().is_some_and(|record| record.node == *node);
        if !same || cell.state() != NodeState::Ready || request.provision.is_order() {
            return false;
        }
        let Some(live) = cell.live() else {
            return false;
        };
        if node.inside.is_empty() {
            return true;
        }
        match live.agent_now() {
            Some(agent) => stands(&agent).await,
            None => false,
        }
    }
}

/// Which nodes of one `up` have left the state they were in before it: what
/// failed then says nothing about now.
#[derive(Default)]
pub(crate) struct Begun(BTreeMap<NodeName, watch::Sender<bool>>);

impl Begun {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a NodeName>) -> Self {
        Self(
            names
                .map(|name| (name.clone(), watch::Sender::new(false)))
                .collect(),
        )
    }

    fn tell(&self, name: &NodeName) {
        if let Some(begun) = self.0.get(name) {
            begun.send_replace(true);
        }
    }

    async fn wait(&self, name: &NodeName) {
        if let Some(begun) = self.0.get(name) {
            let _ = begun.subscribe().wait_for(|begun| *begun).await;
        }
    }
}

/// Leaves a truthful state if the operation is dropped in the middle.
struct Interrupted<'a>(&'a NodeCell);

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        if let NodeState::Starting { stage } = self.0.state() {
            let fault = Fault::new(format!(
                "Interrupted while node `{}` was starting",
                self.0.path
            ))
            .with_hint("`nestlab up` continues, `nestlab destroy` removes the lab");
            self.0.enter(fault.at(stage));
        }
    }
}

pub(super) type Step<T> = Result<T, (Stage, Fault)>;

/// The way up of one node.
pub(super) struct Rise<'a> {
    pub engine: &'a Engine,
    pub cell: &'a Arc<NodeCell>,
    pub node: &'a Node,
    pub request: UpRequest,
    begun: &'a Begun,
    /// The node's lock. Shared with a launch, which may outlast this.
    pub work: Arc<OwnedMutexGuard<()>>,
    /// When its machine was started, until its agent has answered.
    started: Mutex<Option<Instant>>,
    /// How much of its console's log machines before this one have written, in bytes.
    console_before: AtomicU64,
}

impl Rise<'_> {
    async fn run(&self) -> Step<NodeState> {
        if !self.request.boot_only {
            self.at(Stage::Waiting, self.wait_for_others()).await?;
        }
        let live = match self.rejoin().await? {
            Some(live) => live,
            None => match self.start().await? {
                Started::Whole => return Ok(NodeState::Ready),
                Started::Machine(live) => live,
            },
        };
        let mut boots = self.cell.watch_boots();
        loop {
            let surprises = boots.borrow_and_update().surprises;
            let restarted = |boot: &Boot| boot.surprises > surprises;
            // A machine that ends fails the node at once, whatever is being
            // waited for; a guest that restarts is set up from the start.
            let failed = tokio::select! {
                biased;
                done = self.go_through(&live) => match done {
                    Err(failed) if live.agent_now().is_none() => failed,
                    done => return done,
                },
                exit = live.machine.wait() => {
                    return Err((self.stage(), self.ended(&exit.description)));
                }
                _ = boots.wait_for(restarted) => continue,
            };
            // The link is gone: the guest may just be restarting.
            if tokio::time::timeout(RESTART, boots.wait_for(restarted))
                .await
                .is_err()
            {
                return Err(failed);
            }
        }
    }

    /// Has the machine go on if it runs and stands still. One that has just ended may
    /// be found by that.
    async fn rejoin(&self) -> Step<Option<Live>> {
        let Some(live) = self.cell.live_now() else {
            return Ok(None);
        };
        self.note_changes();
        let woken = self
            .at(Stage::Boot, crate::pause::wake(self.cell, &live))
            .await;
        let Err(failed) = woken else {
            return Ok(Some(live));
        };
        match tokio::time::timeout(LAST_MOMENT, live.machine.wait()).await {
            Ok(_) => Ok(self.cell.live_now()),
            Err(_) => Err(failed),
        }
    }

    async fn go_through(&self, live: &Live) -> Step<NodeState> {
        match self.request.boot_only {
            true => self.only_boot(live).await,
            false => self.set_up(live).await.map(|()| NodeState::Ready),
        }
    }

    async fn set_up(&self, live: &Live) -> Step<()> {
        // The kernel of a container runs already: its network need not wait for its agent.
        let (agent, plugged) = tokio::join!(
            self.at(Stage::Boot, self.first_answer(live)),
            self.engine.plug(self.cell, self.node)
        );
        let agent = agent?;
        self.at(Stage::Configure, async { plugged }).await?;
        self.at(Stage::Configure, self.configure(&agent)).await?;
        let seeded = self.engine.seed_has_grown(self.cell, &agent);
        self.at(Stage::Configure, seeded).await?;
        self.use_disks(&agent).await;
        self.at(Stage::Files, self.copy_files(&agent)).await?;
        self.at(Stage::Provision, self.provision(&agent)).await?;
        if !self.node.inside.is_empty() {
            self.at(Stage::Inside, self.inside(live, &agent)).await?;
        }
        self.at(Stage::Probe, probe::wait(self.cell, self.node, &agent))
            .await?;
        self.at(Stage::Probe, async {
            self.cell.amend(self.node, |record| {
                record.node = self.node.clone();
                record.ready = true;
            })
        })
        .await
    }

    /// Has the guest use all of a root that is larger than its image, which not every
    /// image does by itself. One that stays small is of use all the same.
    async fn use_disks(&self, agent: &Client) {
        if self.node.kind != NodeKind::Vm || self.node.disk.is_none() {
            return;
        }
        let grown = async {
            let bytes = disks::size(&self.cell.folder, disks::ROOT)?;
            crate::resize::grow(agent, disks::ROOT, bytes).await
        };
        if let Err(fault) = grown.await {
            self.engine.warn(&self.cell.path, fault.message);
        }
    }

    pub(super) async fn at<T>(
        &self,
        stage: Stage,
        step: impl Future<Output = Result<T, Fault>>,
    ) -> Step<T> {
        self.cell.enter_stage(stage);
        step.await.map_err(|fault| (stage, fault))
    }

    pub(super) fn stage(&self) -> Stage {
        match self.cell.state() {
            NodeState::Starting { stage } => stage,
            _ => Stage::Boot,
        }
    }

    pub(super) fn ended(&self, description: &str) -> Fault {
        Fault::new(format!(
            "The machine of node `{}` has ended: {description}",
            self.cell.path
        ))
        .with_hint(format!(
            "`nestlab logs {}` shows its console",
            self.cell.path
        ))
    }

    /// Says which changes of the file a running machine cannot take up.
    pub(super) fn note_changes(&self) {
        let Some(record) = self.cell.record() else {
            return;
        };
        let changed = record.node.changes_to(self.node).machine;
        if !changed.is_empty() {
            let path = &self.cell.path;
            self.engine.warn(path, format!(
                "{} changed in the file; the running machine takes it up after `nestlab halt {path}` and `nestlab up`",
                changed.join(", "),
            ));
        }
    }

    async fn wait_for_others(&self) -> Result<(), Fault> {
        for dependency in &self.node.depends_on {
            let other = self.engine.cell(&dependency.node)?;
            self.begun.wait(&dependency.node).await;
            let mut state = other.watch_state();
            let reached = state
                .wait_for(|state| settled(state, dependency.condition).is_some())
                .await
                .map_or(NodeState::Absent, |state| state.clone());
            if settled(&reached, dependency.condition) != Some(true) {
                return Err(Fault::new(format!(
                    "Node `{}` waits for `{}`, which is {}",
                    self.cell.path,
                    other.path,
                    reached.word()
                ))
                .with_hint(format!(
                    "Mend `{}` first, then run `nestlab up`",
                    other.path
                )));
            }
        }
        Ok(())
    }

    async fn configure(&self, agent: &Client) -> Result<(), Fault> {
        self.engine.tell_identity(self.cell, self.node, agent).await
    }

    /// Its machine is started now.
    pub(super) fn note_start(&self) {
        let said = std::fs::metadata(self.cell.log_path("console"));
        let said = said.map_or(0, |log| log.len());
        self.console_before.store(said, Ordering::Relaxed);
        *self.started_at() = Some(Instant::now());
    }

    /// Keeps how long it took, if this is the first answer since the start.
    pub(super) fn note_answer(&self) -> Result<(), Fault> {
        let Some(started) = self.started_at().take() else {
            return Ok(());
        };
        let took = started.elapsed();
        self.cell
            .amend(self.node, |record| record.boot = Some(took))
    }

    fn started_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn wait_for_agent(&self, live: &Live) -> Result<Client, Fault> {
        let mut agent = live.agent.clone();
        let firmware = live.machine.record().spec.boot.firmware().is_some();
        let deadline = match firmware {
            true => FIRMWARE_DEADLINE,
            false => BOOT_DEADLINE,
        };
        if firmware && live.agent_now().is_none() {
            let words =
                "the image's own boot loader and kernel start it, then cloud-init the agent";
            say(self.cell, Stage::Boot, words);
        }
        let answered = tokio::time::timeout(deadline, agent.wait_for(Option::is_some));
        let fault = tokio::select! {
            answered = answered => match answered {
                Ok(Ok(client)) => return Ok(client.clone().expect("waited for just this")),
                _ => Fault::new(format!(
                    "The agent of node `{}` did not answer within {} s of power-on",
                    self.cell.path,
                    deadline.as_secs()
                )),
            },
            end = self.dead_end(), if firmware => Fault::new(format!(
                "Node `{}` does not boot: {end}",
                self.cell.path
            )),
        };
        Err(self.with_console(fault, firmware))
    }

    /// Returns once the console tells that a firmware has found nothing to start.
    async fn dead_end(&self) -> &'static str {
        let log = self.cell.log_path("console");
        loop {
            tokio::time::sleep(LOOK).await;
            let begin = self.console_before.load(Ordering::Relaxed);
            let lines = console::last_lines(&log, begin, LAST_LINES);
            if let Some(end) = firmware::dead_end(&lines) {
                return end;
            }
        }
    }

    /// Adds the last that the guest has written, and where to read on.
    fn with_console(&self, fault: Fault, firmware: bool) -> Fault {
        let path = &self.cell.path;
        let lines = console::last_lines(&self.cell.log_path("console"), 0, LAST_LINES);
        let message = match lines.is_empty() {
            true => format!("{fault}\nIts console is empty"),
            false => format!("{fault}\nIts console ends so:\n  {}", lines.join("\n  ")),
        };
        let why = match firmware {
            true => {
                " Its agent is started by cloud-init, which must be in the image and may not be \
                 switched off; `firmware:` says what starts the machine."
            }
            false => "",
        };
        Fault::new(message).with_hint(format!(
            "`nestlab logs {path}` shows how far the guest came.{why}"
        ))
    }

    async fn first_answer(&self, live: &Live) -> Result<Client, Fault> {
        let agent = self.wait_for_agent(live).await?;
        self.note_answer().map(|()| agent)
    }

    async fn copy_files(&self, agent: &Client) -> Result<(), Fault> {
        for copy in &self.node.files {
            provision::send_file(agent, copy, self.engine.blobs())
                .await
                .map_err(|fault| {
                    fault.while_doing(format!(
                        "Cannot copy {} to node `{}`",
                        copy.target, self.cell.path
                    ))
                })?;
        }
        Ok(())
    }

    async fn provision(&self, agent: &Client) -> Result<(), Fault> {
        provision::run(
            self.engine,
            self.cell,
            self.node,
            agent,
            &self.request.provision,
        )
        .await
    }

    async fn inside(&self, live: &Live, agent: &Client) -> Result<(), Fault> {
        let path = &self.cell.path;
        let accelerator = live.machine.record().spec.accelerator;
        lower::send(self.engine, agent, path, self.node, accelerator).await?;
        let outcome = agent.up(&self.request).await.map_err(|error| {
            Fault::caused(format!("Cannot bring up the inside of `{path}`"), &error)
        })?;
        lower::learn(self.engine, agent, self.node, accelerator).await;
        if outcome.ok {
            return Ok(());
        }
        let failed: Vec<String> = outcome
            .status
            .walk()
            .iter()
            .filter(|node| matches!(node.state, NodeState::Failed { .. }))
            .map(|node| format!("`{}`", node.path))
            .collect();
        Err(Fault::new(format!(
            "Inside `{path}` these did not come up: {}",
            failed.join(", ")
        )))
    }
}

/// Whether everything inside a node is ready.
pub(super) async fn stands(agent: &Client) -> bool {
    let report = agent.layer().await;
    report.is_ok_and(|report| !report.status.nodes.is_empty() && report.status.all_ready())
}

/// Whether a node has come as far as another waits for: `None` while it may
/// still, `Some(false)` when it will not by itself.
fn settled(state: &NodeState, condition: DependencyCondition) -> Option<bool> {
    match (state, condition) {
        (NodeState::Ready, _) => Some(true),
        (NodeState::Starting { stage }, DependencyCondition::Started) => {
            (*stage > Stage::Configure).then_some(true)
        }
        (NodeState::Failed { stage, .. }, DependencyCondition::Started) => {
            Some(*stage > Stage::Configure)
        }
        (NodeState::Failed { .. } | NodeState::Halting, _) => Some(false),
        _ => None,
    }
}

/// Who a node is, as told to its agent after every boot.
fn identity(
    spec: &LayerSpec,
    cell: &NodeCell,
    node: &Node,
    resolver: Option<std::net::IpAddr>,
) -> Configure {
    let nat = nestlab_model::NetworkMode::Nat;
    let gateway = node
        .endpoints
        .iter()
        .filter_map(|endpoint| spec.layer.network(&endpoint.network))
        .find(|network| network.mode == nat)
        .map(|network| network.gateway);
    let interfaces = node.endpoints.iter().filter_map(|endpoint| {
        let network = spec.layer.network(&endpoint.network)?;
        Some(InterfaceConfig {
            mac: endpoint.mac.to_string(),
            address: endpoint.address,
            mtu: network.mtu,
            was: None,
        })
    });
    let hosts = nestlab_network::hosts(&spec.layer, &node.name)
        .into_iter()
        .map(|(address, name)| HostEntry {
            address,
            names: vec![name.to_string()],
        });
    Configure {
        hostname: node.name.to_string(),
        interfaces: interfaces.collect(),
        gateway,
        resolvers: gateway.and(resolver).into_iter().collect(),
        hosts: hosts.collect(),
        env: node.env.clone(),
        clock_unix_nanos: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|elapsed| u64::try_from(elapsed.as_nanos()).ok()),
        entropy: entropy(),
        lab_id: spec.lab_id.clone(),
        path: cell.path.clone(),
    }
}

/// Tells by which addresses the cards are found that have not theirs yet: a clone's
/// are those of its template.
fn name_cards(identity: &mut Configure, machine: &MachineSpec) {
    for (interface, nic) in identity.interfaces.iter_mut().zip(&machine.nics) {
        let built_in = nic.mac.to_string();
        if built_in != interface.mac {
            interface.was = Some(built_in);
        }
    }
}

/// 32 bytes of this level's random pool, in hexadecimal.
fn entropy() -> Option<String> {
    use std::io::Read;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .ok()?
        .read_exact(&mut bytes)
        .ok()?;
    Some(nestlab_model::Digest(bytes).hex())
}

/// Says in one event that a step is under way.
pub(crate) fn say(cell: &NodeCell, stage: Stage, message: impl Into<String>) {
    cell.tell(EventKind::Progress {
        stage,
        message: message.into(),
    });
}
