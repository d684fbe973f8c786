//! Machines that only pretend, for tests of logic.
//!
//! No process is started: a machine is an entry in memory, and two Unix sockets
//! in its run folder. Clones of a [`Fake`] share their machines, so that a
//! second engine with a clone is a supervisor that was restarted. What goes
//! wrong is scripted per node with [`Fake::script`].

mod machine;

use async_trait::async_trait;
use machine::{FakeMachine, Running};
use nestlab_backend::{
    Backend, BackendError, BootSpec, Finding, Machine, MachineRecord, MachineSpec, Plan, Support,
};
use nestlab_model::{Accelerator, NodePath};
use nestlab_sys::namespace::Namespaces;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::UnixStream;

/// Serves one connection to a machine's link or console. Dropped when the
/// machine ends or the client leaves.
pub type Service =
    Arc<dyn Fn(UnixStream, MachineSpec) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What becomes of one `create`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fate {
    /// The machine runs until it is killed or its power button is pressed.
    #[default]
    Runs,
    /// The machine runs and does not hear its power button.
    IgnoresPower,
    /// The VMM ends at once, with these last words.
    Fails(String),
    /// `create` never returns.
    Hangs,
    /// The machine runs, and ends by itself after a time.
    DiesAfter(Duration),
}

/// What was asked of the backend, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A probe.
    Probe,
    /// The creation of a node's machine, before its outcome.
    Create(NodePath),
    /// A start from a saved state, before its outcome.
    Restore(NodePath),
    /// An adoption, before its outcome.
    Adopt(NodePath),
    /// The power button of a running machine.
    Power(NodePath),
    /// A kill, also of what has ended already.
    Kill(NodePath),
}

/// The backend that pretends.
#[derive(Clone)]
pub struct Fake {
    support: Support,
    agent: Service,
    console: Service,
    shared: Shared,
}

pub(crate) type Shared = Arc<Mutex<World>>;

/// What all clones see.
#[derive(Default)]
pub(crate) struct World {
    calls: Vec<Call>,
    fates: BTreeMap<NodePath, VecDeque<Fate>>,
    /// By pretended process number.
    running: BTreeMap<u32, Running>,
    started: u32,
    /// Whether machines can branch off.
    branches: bool,
}

/// No real process has a larger number (PID_MAX_LIMIT of the kernel).
const FIRST_PID: u32 = 1 << 23;

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// A backend on which everything works, under KVM, and whose links accept
    /// connections but never answer.
    pub fn new() -> Self {
        let finding = |accelerator| Finding {
            accelerator,
            works: true,
            reason: "it is pretended".into(),
            hint: None,
        };
        Self {
            support: Support {
                version: Some("1".into()),
                accelerators: vec![finding(Accelerator::Kvm), finding(Accelerator::Tcg)],
            },
            agent: machine::silent(),
            console: machine::silent(),
            shared: Arc::new(Mutex::new(World {
                branches: true,
                ..World::default()
            })),
        }
    }

    /// Serves the link of every machine that is created from now on through
    /// this handle.
    pub fn with_agent(mut self, agent: Service) -> Self {
        self.agent = agent;
        self
    }

    /// Serves the consoles likewise.
    pub fn with_console(mut self, console: Service) -> Self {
        self.console = console;
        self
    }

    /// What `probe` finds.
    pub fn with_support(mut self, support: Support) -> Self {
        self.support = support;
        self
    }

    /// Has no machine branch off any more, as where the kernel forbids it.
    pub fn forbid_branches(&self) {
        self.world().branches = false;
    }

    /// Decides over the next creations of a node's machine; those after the
    /// last run.
    pub fn script(&self, path: &NodePath, fates: impl IntoIterator<Item = Fate>) {
        self.world()
            .fates
            .entry(path.clone())
            .or_default()
            .extend(fates);
    }

    /// What was asked so far.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// The nodes whose machines run.
    pub fn running(&self) -> Vec<NodePath> {
        self.world()
            .running
            .values()
            .map(|machine| machine.spec().path.clone())
            .collect()
    }

    /// The nodes whose machines run and are paused.
    pub fn paused(&self) -> Vec<NodePath> {
        let world = self.world();
        let paused = world.running.values().filter(|machine| machine.is_paused());
        paused.map(|machine| machine.spec().path.clone()).collect()
    }

    /// Ends a node's machine as a crash would, with its sockets left behind.
    /// Returns whether it ran.
    pub fn crash(&self, path: &NodePath) -> bool {
        let mut world = self.world();
        let found = world
            .running
            .iter()
            .find(|(_, machine)| machine.spec().path == *path);
        let Some(pid) = found.map(|(pid, _)| *pid) else {
            return false;
        };
        world.end(pid, "it crashed");
        true
    }

    fn start(
        &self,
        spec: &MachineSpec,
        fate: &Fate,
        paused: bool,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let pid = {
            let mut world = self.world();
            world.started += 1;
            FIRST_PID + world.started
        };
        let running = Running::start(spec, pid, fate, &self.agent, &self.console)?;
        running.set_paused(paused);
        let machine = FakeMachine::new(&running, &self.shared);
        self.world().running.insert(pid, running);
        if let Fate::DiesAfter(time) = *fate {
            let shared = self.shared.clone();
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                lock(&shared).end(pid, "it died as scripted");
            });
        }
        Ok(Arc::new(machine))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared)
    }
}

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().expect("no holder panics")
}

impl World {
    pub(crate) fn note(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// Ends a machine, if it runs.
    pub(crate) fn end(&mut self, pid: u32, why: &str) {
        if let Some(machine) = self.running.remove(&pid) {
            machine.end(why);
        }
    }

    pub(crate) fn uses(&self, run_dir: &Path) -> bool {
        self.running
            .values()
            .any(|machine| machine.spec().run_dir == run_dir)
    }

    fn next_fate(&mut self, path: &NodePath) -> Fate {
        self.fates
            .get_mut(path)
            .and_then(VecDeque::pop_front)
            .unwrap_or_default()
    }
}

#[async_trait]
impl Backend for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn probe(&self, _: &BootSpec, _: Option<&Namespaces>) -> Support {
        self.world().note(Call::Probe);
        self.support.clone()
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError> {
        let name = format!("nestlab:{}:{}", spec.lab_id, spec.path);
        Ok(Plan {
            argv: vec!["fake".into(), name.into()],
        })
    }

    async fn create(
        &self,
        spec: &MachineSpec,
        _: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let fate = {
            let mut world = self.world();
            world.note(Call::Create(spec.path.clone()));
            world.next_fate(&spec.path)
        };
        match &fate {
            Fate::Hangs => std::future::pending().await,
            Fate::Fails(stderr) => {
                let status = "exit status: 1".to_owned();
                return Err(BackendError::EndedEarly {
                    status,
                    stderr: stderr.clone(),
                });
            }
            _ => {}
        }
        self.start(spec, &fate, false)
    }

    async fn restore(
        &self,
        spec: &MachineSpec,
        _: Option<&Namespaces>,
        state: &Path,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        self.world().note(Call::Restore(spec.path.clone()));
        let found = std::fs::read_to_string(state);
        let found = found.map_err(BackendError::io("read the state"))?;
        if found != machine::STATE {
            return Err(BackendError::EndedEarly {
                status: "exit status: 1".into(),
                stderr: "not a state".into(),
            });
        }
        self.start(spec, &Fate::Runs, true)
    }

    async fn adopt(
        &self,
        record: &MachineRecord,
    ) -> Result<Option<Arc<dyn Machine>>, BackendError> {
        let mut world = self.world();
        world.note(Call::Adopt(record.spec.path.clone()));
        let Some(running) = world.running.get(&record.process.pid) else {
            if !world.uses(&record.spec.run_dir) {
                machine::clear(&record.spec.run_dir)?;
            }
            return Ok(None);
        };
        Ok(Some(Arc::new(FakeMachine::new(running, &self.shared))))
    }
}
