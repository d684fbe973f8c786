//! The owner of one node's state.

use crate::Fault;
use crate::console::ConsoleHub;
use crate::link::LinkKeeper;
use crate::record::{self, NodeRecord};
use futures::FutureExt;
use nestlab_api::client::Client;
use nestlab_backend::Machine;
use nestlab_model::{Event, EventKind, LayerStatus, Node, NodeName, NodePath, NodeState, Stage};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

/// A running machine and what hangs on it.
#[derive(Clone)]
pub(crate) struct Live {
    pub machine: Arc<dyn Machine>,
    /// The agent, while it answers.
    pub agent: watch::Receiver<Option<Client>>,
    pub console: ConsoleHub,
    link: LinkKeeper,
    /// Tasks that end with the machine or when it is let go.
    _tasks: Arc<Tasks>,
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Live {
    pub fn new(
        machine: Arc<dyn Machine>,
        agent: watch::Receiver<Option<Client>>,
        console: ConsoleHub,
        link: LinkKeeper,
        tasks: Vec<AbortHandle>,
    ) -> Self {
        Self {
            machine,
            agent,
            console,
            link,
            _tasks: Arc::new(Tasks(tasks)),
        }
    }

    /// Closes the link for good: nothing of ours touches the guest any more.
    pub async fn cut_link(&self) {
        self.link.cut().await;
    }

    /// Has nothing of ours reach the guest until [`Self::speak`].
    pub async fn be_quiet(&self) {
        self.link.be_quiet().await;
    }

    /// Ends the silence; tells whether the link is still there.
    pub fn speak(&self) -> bool {
        self.link.speak()
    }

    /// The agent, if it answers now.
    pub fn agent_now(&self) -> Option<Client> {
        self.agent.borrow().clone()
    }
}

/// One node of the layer: its state, its record, its machine.
pub(crate) struct NodeCell {
    pub name: NodeName,
    /// Its path from the host.
    pub path: NodePath,
    /// Its folder: record, disks, logs.
    pub folder: PathBuf,
    /// Its folder for sockets.
    pub run_dir: PathBuf,
    /// The file for its memory, where this level has a place for such.
    pub memory_path: Option<PathBuf>,
    state: watch::Sender<NodeState>,
    live: watch::Sender<Option<Live>>,
    record: Mutex<Option<NodeRecord>>,
    events: broadcast::Sender<Event>,
    /// Held by the operation that changes the node.
    pub work: Arc<tokio::sync::Mutex<()>>,
    /// Raised by whoever wants the operation to let go.
    interrupts: watch::Sender<u64>,
    /// The guest's boot that was configured, and how often it has booted anew
    /// by itself since.
    boot: watch::Sender<Boot>,
    /// What stood inside when the node was paused: it cannot be asked now.
    inside_when_paused: Mutex<Option<LayerStatus>>,
    /// The pause that it is in.
    standstill: Mutex<Option<Standstill>>,
}

/// A pause of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standstill {
    /// When it began; tells one from the next.
    pub since: Instant,
    /// Whether it ends with what it is a part of, or by itself.
    pub leased: bool,
    /// How long it took, once it is over.
    pub took: Option<Duration>,
}

impl Standstill {
    pub fn new(leased: bool) -> Self {
        Self {
            since: Instant::now(),
            leased,
            took: None,
        }
    }
}

/// What is known of a guest's boots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// The kernel's random id of the boot that was configured.
    configured: Option<String>,
    /// How many boots came that nobody here asked for.
    pub surprises: u64,
}

impl NodeCell {
    pub fn new(
        path: NodePath,
        folder: PathBuf,
        run_dir: PathBuf,
        memory_path: Option<PathBuf>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        let name = path
            .name()
            .expect("a node's path is never the host's")
            .clone();
        Self {
            name,
            path,
            folder,
            run_dir,
            memory_path,
            state: watch::Sender::new(NodeState::Absent),
            live: watch::Sender::new(None),
            record: Mutex::new(None),
            events,
            work: Arc::default(),
            interrupts: watch::Sender::new(0),
            boot: watch::Sender::default(),
            inside_when_paused: Mutex::default(),
            standstill: Mutex::default(),
        }
    }

    pub fn state(&self) -> NodeState {
        self.state.borrow().clone()
    }

    pub fn watch_state(&self) -> watch::Receiver<NodeState> {
        self.state.subscribe()
    }

    /// Enters a state and tells everyone. Entering the present one is silent.
    pub fn enter(&self, state: NodeState) {
        let changed = self.state.send_if_modified(|present| {
            let differs = *present != state;
            *present = state.clone();
            differs
        });
        if changed {
            self.tell(EventKind::State { state });
        }
    }

    pub fn enter_stage(&self, stage: Stage) {
        self.enter(NodeState::Starting { stage });
    }

    /// Makes an operation that brings the node up stop where it is, and takes
    /// its lock.
    pub async fn interrupt(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.interrupts.send_modify(|count| *count += 1);
        self.work.clone().lock_owned().await
    }

    /// Remembers which boot of the guest is being set up.
    pub fn configure_boot(&self, boot_id: String) {
        self.boot
            .send_modify(|boot| boot.configured = Some(boot_id));
    }

    /// The machine is a new one: nothing of its guest is known.
    pub fn forget_boot(&self) {
        self.boot.send_modify(|boot| boot.configured = None);
    }

    /// Notes that the guest answers in a boot; tells whether that is a new one
    /// which nobody here asked for.
    pub fn note_boot(&self, boot_id: &str) -> bool {
        self.boot.send_if_modified(|boot| {
            let surprise = boot
                .configured
                .as_ref()
                .is_some_and(|known| known != boot_id);
            if surprise {
                boot.surprises += 1;
                boot.configured = None;
            }
            surprise
        })
    }

    /// Tells of boots from now on.
    pub fn watch_boots(&self) -> watch::Receiver<Boot> {
        self.boot.subscribe()
    }

    /// Remembers what stands inside while nobody can be asked.
    pub fn keep_inside(&self, inside: Option<LayerStatus>) {
        *self.inside_when_paused.lock().expect("no holder panics") = inside;
    }

    /// Notes that it is paused.
    pub fn stand_still(&self, standstill: Standstill) {
        *self.standstill.lock().expect("no holder panics") = Some(standstill);
    }

    /// Notes that its virtual CPUs go on.
    pub fn stir(&self) {
        let mut noted = self.standstill.lock().expect("no holder panics");
        if let Some(standstill) = noted.as_mut().filter(|noted| noted.took.is_none()) {
            standstill.took = Some(standstill.since.elapsed());
        }
    }

    /// Lets go of the pause that it was in; tells how long that took, if it was seen.
    pub fn stood_still(&self) -> Option<Duration> {
        let mut noted = self.standstill.lock().expect("no holder panics");
        noted.take()?.took
    }

    /// The pause that it is in, if that began under our eyes.
    pub fn standstill(&self) -> Option<Standstill> {
        *self.standstill.lock().expect("no holder panics")
    }

    /// What stood inside when the node was paused, if we saw it.
    pub fn kept_inside(&self) -> Option<LayerStatus> {
        let kept = self.inside_when_paused.lock().expect("no holder panics");
        kept.clone()
    }

    /// Tells of interrupts from now on.
    pub fn watch_interrupts(&self) -> watch::Receiver<u64> {
        self.interrupts.subscribe()
    }

    /// Sends an event of this node. That nobody listens is no error.
    pub fn tell(&self, kind: EventKind) {
        let _ = self.events.send(Event {
            path: self.path.clone(),
            kind,
        });
    }

    pub fn live(&self) -> Option<Live> {
        self.live.borrow().clone()
    }

    /// The machine, if it runs. Lets go of one that has ended, should nobody
    /// have noticed yet.
    pub fn live_now(&self) -> Option<Live> {
        let live = self.live()?;
        if live.machine.wait().now_or_never().is_none() {
            return Some(live);
        }
        self.set_live(None);
        None
    }

    /// Whether this is the machine in care.
    pub fn holds(&self, machine: &Arc<dyn Machine>) -> bool {
        self.live()
            .is_some_and(|live| Arc::ptr_eq(&live.machine, machine))
    }

    pub fn set_live(&self, live: Option<Live>) {
        self.live.send_replace(live);
    }

    pub fn record(&self) -> Option<NodeRecord> {
        self.record.lock().expect("no holder panics").clone()
    }

    /// Changes the record, in memory and on disk. `default` is what it starts from.
    pub fn amend(&self, default: &Node, change: impl FnOnce(&mut NodeRecord)) -> Result<(), Fault> {
        let mut slot = self.record.lock().expect("no holder panics");
        let mut record = slot.clone().unwrap_or_else(|| NodeRecord::new(default));
        change(&mut record);
        record::write(&self.record_path(), &record)?;
        *slot = Some(record);
        Ok(())
    }

    /// Reads what another process left.
    pub fn load(&self) -> Result<Option<NodeRecord>, Fault> {
        let record: Option<NodeRecord> = record::read(&self.record_path())?;
        *self.record.lock().expect("no holder panics") = record.clone();
        Ok(record)
    }

    /// Forgets the record and removes the node's folders.
    pub fn erase(&self) -> Result<(), Fault> {
        *self.record.lock().expect("no holder panics") = None;
        self.drop_memory();
        for folder in [&self.folder, &self.run_dir] {
            let cannot = Fault::io(format!("Cannot remove {}", folder.display()));
            nestlab_sys::dir::remove(folder).map_err(cannot)?;
        }
        Ok(())
    }

    /// Where memory and devices of a saved machine are.
    pub fn state_path(&self) -> PathBuf {
        record::state_path(&self.folder)
    }

    fn record_path(&self) -> PathBuf {
        record::node_path(&self.folder)
    }

    pub fn log_path(&self, log: &str) -> PathBuf {
        self.folder.join(format!("{log}.log"))
    }
}
