//! The engine's handle, and what its parts share.

use crate::cell::NodeCell;
use crate::node::Begun;
use crate::record;
use crate::support::SupportTable;
use crate::targets::{self, Targets};
use crate::template::Templates;
use crate::{BaseImage, ConsoleSession, Fault, Ground, KitParts, Progress};
use futures::future::join_all;
use nestlab_api::client::Client;
use nestlab_api::message::{LayerSpec, Outcome, UpRequest};
use nestlab_backend::Backend;
use nestlab_model::{
    Event, EventKind, ImageName, Node, NodeKind, NodeName, NodePath, NodeState, Stage,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

/// What shall stand in a layer, in its folder.
pub const LAYER_FILE: &str = "layer.json";

/// How long a link to a guest that runs may take. A few ms are usual.
const LINK_UNDER_WAY: Duration = Duration::from_secs(5);

/// Where an engine keeps its things.
#[derive(Debug, Clone)]
pub struct Config {
    /// Records, disks and logs. Survives a reboot.
    pub state_dir: PathBuf,
    /// Sockets. At most about 60 bytes long, for the sockets' own names.
    pub run_dir: PathBuf,
    /// Archives that the parent sent.
    pub blobs: PathBuf,
    /// A folder on a tmpfs for the memory of machines, beside those of other labs;
    /// `None` where machines keep their memory to themselves.
    pub memory: Option<PathBuf>,
    /// Where templates are kept; `None` for none.
    pub templates: Option<Templates>,
}

/// The engine of one layer. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub config: Config,
    pub ground: Arc<dyn Ground>,
    pub backends: Vec<Arc<dyn Backend>>,
    pub events: broadcast::Sender<Event>,
    pub support: SupportTable,
    /// Held by a fork: one at a time.
    pub forking: tokio::sync::Mutex<()>,
    spec: Mutex<Option<Arc<LayerSpec>>>,
    cells: Mutex<BTreeMap<NodeName, Arc<NodeCell>>>,
}

impl Engine {
    /// An engine that has not looked at its folders yet: see [`Engine::resume`].
    /// The first backend is the default one.
    pub fn new(config: Config, ground: Arc<dyn Ground>, backends: Vec<Arc<dyn Backend>>) -> Self {
        Self(Arc::new(Shared {
            config,
            ground,
            backends,
            events: broadcast::Sender::new(4096),
            support: SupportTable::default(),
            forking: tokio::sync::Mutex::default(),
            spec: Mutex::new(None),
            cells: Mutex::default(),
        }))
    }

    /// Says what shall stand here, and remembers it. Changes nothing that runs.
    ///
    /// # Errors
    /// The description cannot be written down.
    pub fn put_layer(&self, spec: LayerSpec) -> Result<(), Fault> {
        record::write(&self.layer_path(), &spec)?;
        self.take_layer(spec);
        Ok(())
    }

    pub(crate) fn take_layer(&self, spec: LayerSpec) {
        let mut cells = self.0.cells.lock().expect("no holder panics");
        for node in &spec.layer.nodes {
            cells
                .entry(node.name.clone())
                .or_insert_with(|| Arc::new(self.new_cell(&spec.path, &node.name)));
        }
        *self.0.spec.lock().expect("no holder panics") = Some(Arc::new(spec));
    }

    pub(crate) fn add_cell(&self, parent: &NodePath, name: &NodeName) {
        let cell = Arc::new(self.new_cell(parent, name));
        self.0
            .cells
            .lock()
            .expect("no holder panics")
            .insert(name.clone(), cell);
    }

    fn new_cell(&self, parent: &NodePath, name: &NodeName) -> NodeCell {
        let config = &self.0.config;
        NodeCell::new(
            parent.child(name),
            config.state_dir.join("nodes").join(name.as_str()),
            config.run_dir.join(short_name(name)),
            config
                .memory
                .as_ref()
                .map(|folder| folder.join(name.as_str())),
            self.0.events.clone(),
        )
    }

    pub(crate) fn layer_path(&self) -> PathBuf {
        self.0.config.state_dir.join(LAYER_FILE)
    }

    /// What shall stand here.
    ///
    /// # Errors
    /// Nobody has said so yet.
    pub fn spec(&self) -> Result<Arc<LayerSpec>, Fault> {
        self.0
            .spec
            .lock()
            .expect("no holder panics")
            .clone()
            .ok_or_else(|| {
                Fault::new("Nothing has been brought up here yet").with_hint("Run `nestlab up`")
            })
    }

    /// Events of this layer and of all below it, from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    pub(crate) fn blobs(&self) -> &Path {
        &self.0.config.blobs
    }

    pub(crate) fn cells(&self) -> Vec<Arc<NodeCell>> {
        let cells = self.0.cells.lock().expect("no holder panics");
        cells.values().cloned().collect()
    }

    pub(crate) fn forget(&self, name: &NodeName) {
        self.0.cells.lock().expect("no holder panics").remove(name);
    }

    pub(crate) fn forget_layer(&self) {
        *self.0.spec.lock().expect("no holder panics") = None;
    }

    pub(crate) fn cell(&self, name: &NodeName) -> Result<Arc<NodeCell>, Fault> {
        let cells = self.0.cells.lock().expect("no holder panics");
        cells.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = cells.keys().map(NodeName::as_str).collect();
            Fault::new(format!("There is no node `{name}` here"))
                .with_hint(format!("Known here: {}", known.join(", ")))
        })
    }

    /// The agent of a node of this layer.
    ///
    /// # Errors
    /// There is no such node, or its agent does not answer now.
    pub fn agent(&self, name: &NodeName) -> Result<Client, Fault> {
        let cell = self.cell(name)?;
        let live = cell.live().ok_or_else(|| {
            Fault::new(format!(
                "Node `{}` is not running: it is {}",
                cell.path,
                cell.state().word()
            ))
            .with_hint(format!("Run `nestlab up {}`", cell.path))
        })?;
        if cell.state() == NodeState::Paused {
            return Err(Fault::new(format!("Node `{}` is paused", cell.path))
                .with_hint(format!("`nestlab resume {}` lets it go on", cell.path)));
        }
        live.agent_now().ok_or_else(|| {
            Fault::new(format!("The agent of node `{}` does not answer", cell.path))
                .with_hint(format!("`nestlab logs {}` shows its console", cell.path))
        })
    }

    /// The agent of a node of this layer, waited for a moment if the node is ready:
    /// its link may be under way, to a supervisor that has just begun or to a
    /// machine that goes on in another VMM.
    ///
    /// # Errors
    /// As [`Engine::agent`].
    pub async fn agent_soon(&self, name: &NodeName) -> Result<Client, Fault> {
        let cell = self.cell(name)?;
        if let (NodeState::Ready, Some(live)) = (cell.state(), cell.live()) {
            let mut agent = live.agent;
            let _ = tokio::time::timeout(LINK_UNDER_WAY, agent.wait_for(Option::is_some)).await;
        }
        self.agent(name)
    }

    /// The agent of a node at any depth.
    ///
    /// # Errors
    /// As [`Engine::agent`]; deeper levels are reached only when used.
    pub fn agent_at(&self, path: &NodePath) -> Result<Client, Fault> {
        let (first, rest) = path
            .split_first()
            .ok_or_else(|| Fault::new("The host itself has no agent"))?;
        let agent = self.agent(first)?;
        Ok(if rest.is_host() {
            agent
        } else {
            agent.at(&rest)
        })
    }

    /// Attaches to a node's console.
    ///
    /// # Errors
    /// There is no such node or it does not run.
    pub fn console(&self, name: &NodeName) -> Result<ConsoleSession, Fault> {
        let cell = self.cell(name)?;
        let live = cell
            .live()
            .ok_or_else(|| Fault::new(format!("Node `{}` is not running", cell.path)))?;
        Ok(live.console.attach())
    }

    /// The file that holds a node's log, as `console` or `provision`.
    ///
    /// # Errors
    /// There is no such node.
    pub fn log_path(&self, name: &NodeName, log: &str) -> Result<PathBuf, Fault> {
        let cell = self.cell(name)?;
        Ok(match log {
            "vmm" => cell.run_dir.join("qemu.log"),
            _ => cell.log_path(log),
        })
    }

    /// Makes what was described true, for some nodes or all. Dropping the
    /// future stops it where it is.
    ///
    /// # Errors
    /// A path names no node, or the networks cannot be made. A node that fails
    /// is no error: the outcome tells.
    pub async fn up(&self, request: &UpRequest) -> Result<Outcome, Fault> {
        let spec = self.spec()?;
        let wanted = self.select(&spec, &request.paths)?;
        if !self.settled(&spec, &wanted).await {
            self.networks(&spec).await?;
        }
        let nodes = spec
            .layer
            .nodes
            .iter()
            .filter(|node| wanted.contains_key(&node.name));
        let begun = Begun::new(wanted.keys());
        join_all(nodes.map(|node| {
            let inner = UpRequest {
                paths: wanted[&node.name].clone(),
                ..request.clone()
            };
            self.bring_up(node, inner, &begun)
        }))
        .await;
        let arrived = match request.boot_only {
            true => NodeState::Paused,
            false => NodeState::Ready,
        };
        let status = self.status().await;
        let ok = wanted
            .keys()
            .all(|name| self.cell(name).is_ok_and(|cell| cell.state() == arrived));
        Ok(Outcome {
            ok,
            status,
            standstill_seconds: 0.0,
        })
    }

    /// Which nodes of this layer are meant, each with the paths meant below it
    /// (none: everything). What a node depends on is meant with it.
    fn select(&self, spec: &LayerSpec, paths: &[NodePath]) -> Result<Targets, Fault> {
        if paths.is_empty() {
            let all = spec
                .layer
                .nodes
                .iter()
                .map(|node| (node.name.clone(), Vec::new()));
            return Ok(all.collect());
        }
        let mut wanted = targets::sort(paths, |path, _| match spec.layer.descend(path) {
            Some(_) => Ok(()),
            None => Err(
                Fault::new(format!("There is no node `{}`", spec.path.join(path)))
                    .with_hint("`nestlab status` lists the nodes"),
            ),
        })?;
        add_dependencies(spec, &mut wanted);
        Ok(wanted)
    }

    /// Whether all that is wanted runs already: then the networks are there.
    async fn settled(&self, spec: &LayerSpec, wanted: &Targets) -> bool {
        let ready = |name: &NodeName| {
            self.cell(name).is_ok_and(|cell| {
                cell.state() == NodeState::Ready
                    && cell
                        .record()
                        .is_some_and(|r| Some(&r.node) == spec.layer.node(name))
            })
        };
        wanted.keys().all(ready)
    }

    pub(crate) async fn networks(&self, spec: &LayerSpec) -> Result<(), Fault> {
        // A container is in namespaces of its own.
        let cells = self.cells();
        let records = cells.iter().filter_map(|cell| cell.record());
        let machines = records.filter(|record| record.node.kind == NodeKind::Vm);
        let machines: Vec<_> = machines
            .filter_map(|record| Some(record.machine?.process))
            .collect();
        self.0.ground.networks(&spec.layer, &machines).await
    }

    /// Finds or makes an image that the lab names.
    pub(crate) async fn image(
        &self,
        name: &ImageName,
        progress: Progress<'_>,
    ) -> Result<BaseImage, Fault> {
        let spec = self.spec()?;
        let source = spec
            .images
            .get(name)
            .ok_or_else(|| Fault::new(format!("The image `{name}` is not known at this level")))?;
        self.0.ground.image(name, source, progress).await
    }

    pub(crate) async fn kit(&self, progress: Progress<'_>) -> Result<KitParts, Fault> {
        self.0.ground.kit(progress).await
    }

    pub(crate) fn backend(&self, node: &Node) -> Result<Arc<dyn Backend>, Fault> {
        let found = match &node.backend {
            None => self.0.backends.iter().find(|b| b.kind() == node.kind),
            Some(name) => self.0.backends.iter().find(|b| b.name() == name),
        };
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = self.0.backends.iter().map(|b| b.name()).collect();
            Fault::new(format!(
                "There is no backend `{}`",
                node.backend.as_deref().unwrap_or("(default)")
            ))
            .with_hint(format!("Known here: {}", known.join(", ")))
        })
    }

    /// Sends a warning about the layer itself, and keeps it in the log: what it
    /// warns of may happen while nobody listens.
    pub(crate) fn warn(&self, path: &NodePath, message: impl Into<String>) {
        let message = message.into();
        tracing::warn!(%path, "{message}");
        let _ = self.0.events.send(Event {
            path: path.clone(),
            kind: EventKind::Warning { message },
        });
    }

    /// Reports a long step of a node to whoever listens.
    pub(crate) fn progress<'a>(
        &self,
        cell: &'a NodeCell,
        stage: Stage,
    ) -> impl Fn(String) + Send + Sync + 'a {
        move |message| cell.tell(EventKind::Progress { stage, message })
    }
}

/// Adds what the wanted nodes wait for, until nothing is missing.
fn add_dependencies(spec: &LayerSpec, wanted: &mut Targets) {
    loop {
        let missing: Vec<NodeName> = spec
            .layer
            .nodes
            .iter()
            .filter(|node| wanted.contains_key(&node.name))
            .flat_map(|node| &node.depends_on)
            .map(|dependency| dependency.node.clone())
            .filter(|name| !wanted.contains_key(name))
            .collect();
        if missing.is_empty() {
            return;
        }
        wanted.extend(missing.into_iter().map(|name| (name, Vec::new())));
    }
}

/// A folder name for a node's sockets that leaves room for theirs: a Unix
/// socket's path has at most 107 bytes (unix(7)).
fn short_name(name: &NodeName) -> String {
    let text = name.as_str();
    if text.len() <= 12 {
        return text.to_owned();
    }
    let digest = crate::parcel::digest_of(text.as_bytes());
    format!(
        "{}-{}",
        text[..6].trim_end_matches('-'),
        &digest.short()[..6]
    )
}
