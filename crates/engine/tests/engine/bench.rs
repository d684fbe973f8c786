//! A lab of fake machines and a supervisor that can be restarted.

use crate::ground::{FakeGround, Outliving};
use nestlab_agent::{Guest, GuestConfig, guest_routes, serve_link};
use nestlab_api::message::{
    ForkReport, ForkRequest, ImageSource, LayerSpec, Outcome, PauseRequest, Snapshot,
    SnapshotRequest, StopRequest, UpRequest,
};
use nestlab_backend_fake::{Call, Fake};
use nestlab_engine::{Config, Engine, Fault, Templates};
use nestlab_model::{
    ByteSize, Dependency, DependencyCondition, Digest, ImageName, Layer, Node, NodeKind, NodeName,
    NodePath, NodeState,
};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// How long anything may take that is bound to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The lab that a bench begins with.
const FIRST: &str = "0";

/// Folders, machines and a supervisor.
pub struct Bench {
    pub fake: Fake,
    backend: Outliving,
    layer: Layer,
    /// Whether machines may start from templates.
    templates: bool,
    engine: Engine,
    /// `None` only while the supervisor is being restarted.
    supervisor: Option<Runtime>,
    _machines: Runtime,
    folder: tempfile::TempDir,
}

impl Bench {
    /// A bench on which nothing was brought up yet.
    pub fn new(nodes: Vec<Node>) -> Self {
        Self::with_slow_launch(nodes, Duration::ZERO)
    }

    /// One whose machines may start from templates.
    pub fn with_templates(nodes: Vec<Node>) -> Self {
        let mut bench = Self::new(nodes);
        bench.templates = true;
        bench.tell_again();
        bench
    }

    /// One whose VMMs take that long to start.
    pub fn with_slow_launch(nodes: Vec<Node>, slowness: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (machines, supervisor) = (runtime(), runtime());
        let fake = with_agents(folder.path());
        let layer = Layer {
            networks: Vec::new(),
            nodes,
        };
        let backend = Outliving {
            fake: fake.clone(),
            machines: machines.handle().clone(),
            under_way: Arc::default(),
            slowness,
        };
        let engine = engine(folder.path(), FIRST, backend.clone());
        engine.put_layer(spec(&layer, false)).unwrap();
        Self {
            templates: false,
            fake,
            backend,
            layer,
            engine,
            supervisor: Some(supervisor),
            _machines: machines,
            folder,
        }
    }

    /// Describes the layer anew.
    pub fn put(&mut self, nodes: Vec<Node>) {
        self.layer.nodes = nodes;
        self.engine
            .put_layer(spec(&self.layer, self.templates))
            .unwrap();
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.supervisor
            .as_ref()
            .expect("it is not being restarted")
            .block_on(async { tokio::time::timeout(PATIENCE, work).await })
            .expect("in time")
    }

    /// Brings everything up.
    pub fn up(&self) -> Outcome {
        self.run(self.engine.up(&UpRequest::default())).unwrap()
    }

    /// Brings everything up without templates.
    pub fn up_cold(&self) -> Outcome {
        let request = UpRequest {
            cold: true,
            ..UpRequest::default()
        };
        self.run(self.engine.up(&request)).unwrap()
    }

    /// The folders of templates.
    pub fn templates(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("templates"));
        let paths = entries.into_iter().flatten().flatten();
        let visible = |path: &PathBuf| {
            !path
                .file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".")
        };
        paths.map(|entry| entry.path()).filter(visible).collect()
    }

    /// Makes the image anew.
    pub fn touch_image(&self) {
        std::fs::remove_file(self.folder.path().join("image.raw")).unwrap();
    }

    /// How often a node's machine was started from a state, failures included.
    pub fn restorations(&self, name: &str) -> usize {
        let restore = Call::Restore(path(name));
        let calls = self.fake.calls();
        calls.iter().filter(|call| **call == restore).count()
    }

    /// Brings everything up twice at once.
    pub fn up_twice(&self) -> (Outcome, Outcome) {
        let request = UpRequest::default();
        self.run(async {
            let (one, two) = tokio::join!(self.engine.up(&request), self.engine.up(&request));
            (one.unwrap(), two.unwrap())
        })
    }

    /// Begins to bring everything up, and leaves after a time.
    pub fn up_for(&self, time: Duration) {
        self.run(async {
            let request = UpRequest::default();
            let _ = tokio::time::timeout(time, self.engine.up(&request)).await;
        });
    }

    /// Halts everything.
    pub fn halt(&self) -> Result<Outcome, Fault> {
        self.run(self.engine.halt(&StopRequest::default()))
    }

    /// Copies everything into new labs.
    pub fn fork(&self, labs: &[&str]) -> Result<ForkReport, Fault> {
        for lab in labs {
            std::fs::create_dir_all(self.lab_folder(lab)).unwrap();
        }
        let labs = labs.iter().map(|lab| lab.to_string()).collect();
        self.run(self.engine.fork(&ForkRequest {
            labs,
            ..ForkRequest::default()
        }))
    }

    /// Copies what a snapshot keeps into a new lab.
    pub fn fork_of(&self, snapshot: &str, lab: &str) -> Result<ForkReport, Fault> {
        std::fs::create_dir_all(self.lab_folder(lab)).unwrap();
        self.run(self.engine.fork(&ForkRequest {
            labs: vec![lab.to_owned()],
            snapshot: Some(snapshot.to_owned()),
            ..ForkRequest::default()
        }))
    }

    /// Keeps everything as it is.
    pub fn save_snapshot(&self, name: Option<&str>) -> Result<Snapshot, Fault> {
        self.keep(name, false)
    }

    /// As [`Self::save_snapshot`], in less space.
    pub fn save_compressed(&self, name: &str) -> Result<Snapshot, Fault> {
        self.keep(Some(name), true)
    }

    fn keep(&self, name: Option<&str>, compress: bool) -> Result<Snapshot, Fault> {
        let name = name.map(str::to_owned);
        let request = SnapshotRequest {
            name,
            compress,
            ..SnapshotRequest::default()
        };
        self.run(self.engine.save_snapshot(&request))
    }

    /// What is kept.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.engine.snapshots().unwrap()
    }

    /// Goes back to what is kept.
    pub fn restore_snapshot(&self, name: &str) -> Result<Outcome, Fault> {
        self.run(self.engine.restore_snapshot(name))
    }

    /// Keeps it no longer.
    pub fn delete_snapshot(&self, name: &str) -> Result<(), Fault> {
        self.run(self.engine.delete_snapshot(name))
    }

    /// Where a lab keeps its records and disks.
    pub fn lab_folder(&self, lab: &str) -> PathBuf {
        self.folder.path().join("labs").join(lab)
    }

    /// A bench of the same machines that looks after a lab which was forked.
    pub fn moved_to(mut self, lab: &str) -> Self {
        let engine = engine(self.folder.path(), lab, self.backend.clone());
        self.run(engine.resume()).unwrap();
        self.engine = engine;
        self
    }

    /// Why a node's agent cannot be asked.
    pub fn refusal(&self, name: &str) -> String {
        let asked = self.engine.agent_at(&path(name));
        asked.err().map(|fault| fault.message).unwrap_or_default()
    }

    /// Pauses everything that is ready, or some nodes.
    pub fn pause(&self, names: &[&str]) -> Result<Outcome, Fault> {
        self.run(self.engine.pause(&paused(names)))
    }

    /// Pauses some nodes for no longer than that.
    pub fn pause_for(&self, names: &[&str], seconds: u64) -> Result<Outcome, Fault> {
        let request = PauseRequest {
            lease_seconds: Some(seconds),
            ..paused(names)
        };
        self.run(self.engine.pause(&request))
    }

    /// Lets everything go on, or some nodes.
    pub fn unpause(&self, names: &[&str]) -> Result<Outcome, Fault> {
        self.run(self.engine.unpause(&paused(names)))
    }

    /// Lets go on what was paused with a lease.
    pub fn unpause_leased(&self) -> Result<Outcome, Fault> {
        self.run(self.engine.unpause(&PauseRequest::as_it_was()))
    }

    /// Halts everything and keeps its memory.
    pub fn save(&self) -> Result<Outcome, Fault> {
        let request = StopRequest {
            save: true,
            ..StopRequest::default()
        };
        self.run(self.engine.halt(&request))
    }

    /// Halts everything, with little patience.
    pub fn halt_within(&self, seconds: u64) {
        let request = StopRequest {
            deadline_seconds: Some(seconds),
            ..StopRequest::default()
        };
        self.run(self.engine.halt(&request)).unwrap();
    }

    /// Destroys everything. As after the command line's `destroy`, the next
    /// `up` tells the layer again.
    pub fn destroy(&self) -> Result<Outcome, Fault> {
        self.run(self.engine.destroy(&StopRequest::default()))
    }

    /// Ends a node's machine unasked, and waits until the engine knows.
    pub fn crash(&self, name: &str) {
        if self.fake.crash(&path(name)) {
            self.until(|| matches!(self.state(name), NodeState::Failed { .. }));
        }
    }

    /// Ends the supervisor at once, and starts another on the same folders.
    pub fn restart(&mut self) {
        self.until(|| self.is_written_down());
        if let Some(runtime) = self.supervisor.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
        self.supervisor = Some(runtime());
        self.engine = engine(self.folder.path(), FIRST, self.backend.clone());
        self.run(self.engine.resume()).unwrap();
        if self.engine.spec().is_err() {
            self.tell_again();
        }
    }

    /// Whether every machine that was started is known. One that is not yet
    /// would be found by its process, which a fake machine does not have.
    fn is_written_down(&self) -> bool {
        let status = self.run(self.engine.status());
        let known = |path: &NodePath| {
            let mut nodes = status.nodes.iter();
            nodes.any(|node| node.path == *path && node.pid.is_some())
        };
        self.backend.under_way.load(Ordering::SeqCst) == 0 && self.fake.running().iter().all(known)
    }

    /// Says once more what shall stand here.
    pub fn tell_again(&self) {
        self.engine
            .put_layer(spec(&self.layer, self.templates))
            .unwrap();
    }

    /// A node's state.
    pub fn state(&self, name: &str) -> NodeState {
        let status = self.run(self.engine.status());
        let node = status.nodes.iter().find(|node| node.name.as_str() == name);
        node.map_or(NodeState::Absent, |node| node.state.clone())
    }

    /// All nodes' states.
    pub fn states(&self) -> Vec<(NodePath, NodeState)> {
        let status = self.run(self.engine.status());
        let nodes = status.nodes.into_iter();
        nodes.map(|node| (node.path, node.state)).collect()
    }

    /// Why a node has failed.
    pub fn reason(&self, name: &str) -> String {
        match self.state(name) {
            NodeState::Failed { stage, reason, .. } => format!("{stage}: {reason}"),
            state => panic!("`{name}` is {}", state.word()),
        }
    }

    /// How often a node's machine was created, failures included.
    pub fn creations(&self, name: &str) -> usize {
        let create = Call::Create(path(name));
        let calls = self.fake.calls();
        calls.iter().filter(|call| **call == create).count()
    }

    /// A node's folder.
    pub fn node_folder(&self, name: &str) -> PathBuf {
        self.lab_folder(FIRST).join("nodes").join(name)
    }

    /// Which file holds the memory of a lab's node.
    pub fn memory(&self, lab: &str, name: &str) -> u64 {
        let file = self.memory_folder(lab).join(name);
        std::fs::metadata(file).unwrap().ino()
    }

    /// Where a lab keeps the memory of its machines.
    pub fn memory_folder(&self, lab: &str) -> PathBuf {
        self.folder.path().join("memory").join(lab)
    }

    /// The ports of this machine that a node listens on.
    pub fn host_ports(&self, name: &str) -> Vec<u16> {
        let spec = self.engine.spec().unwrap();
        let name = NodeName::new(name).unwrap();
        let ports = &spec.layer.node(&name).unwrap().ports;
        ports.iter().map(|port| port.host_port).collect()
    }

    /// Waits until something holds.
    pub fn until(&self, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "too long: {:?}", self.states());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn engine(folder: &Path, lab: &str, backend: Outliving) -> Engine {
    let config = Config {
        state_dir: folder.join("labs").join(lab),
        run_dir: folder.join("run").join(lab),
        blobs: folder.join("blobs"),
        memory: Some(folder.join("memory").join(lab)),
        templates: Some(Templates {
            folder: folder.join("templates"),
            budget: 1 << 30,
        }),
    };
    let ground = Arc::new(FakeGround(folder.to_owned()));
    Engine::new(config, ground, vec![Arc::new(backend)])
}

/// A backend in whose machines real agents answer.
fn with_agents(folder: &Path) -> Fake {
    let folder = folder.to_owned();
    Fake::new().with_agent(Arc::new(move |stream, spec| {
        let root = folder.join(format!("guest-{}", spec.path));
        let guest = Guest::new(GuestConfig {
            blobs: root.join("blobs"),
            run_dir: root.join("run"),
            root,
            log: None,
            reach: nestlab_agent::Reach::Nothing,
        });
        Box::pin(async move {
            serve_link(stream, guest_routes(guest)).await;
        })
    }))
}

fn spec(layer: &Layer, templates: bool) -> LayerSpec {
    let source = ImageSource::Serial {
        digest: Digest([7; 32]),
        serial: "img-test".into(),
        format: "raw".into(),
        virtual_size: ByteSize::mib(1),
        ours: true,
    };
    LayerSpec {
        lab_id: "test".into(),
        path: NodePath::host(),
        layer: layer.clone(),
        images: BTreeMap::from([(image(), source)]),
        kit: None,
        chain: String::new(),
        proved: BTreeMap::new(),
        templates,
        authorized_keys: Vec::new(),
    }
}

fn image() -> ImageName {
    ImageName::new("debian").unwrap()
}

/// A node's path.
pub fn path(name: &str) -> NodePath {
    NodePath::host().child(&NodeName::new(name).unwrap())
}

/// A plain node.
pub fn node(name: &str) -> Node {
    Node {
        name: NodeName::new(name).unwrap(),
        kind: NodeKind::Vm,
        container: nestlab_model::ContainerOptions::default(),
        backend: None,
        image: image(),
        cpus: 1,
        memory: ByteSize::bytes(64 << 20),
        disk: None,
        disks: Vec::new(),
        boot: Default::default(),
        accel: Default::default(),
        nested: false,
        balloon: false,
        endpoints: Vec::new(),
        ports: Vec::new(),
        depends_on: Vec::new(),
        files: Vec::new(),
        env: BTreeMap::new(),
        provision: Vec::new(),
        ready: None,
        user_data: None,
        inside: Layer::default(),
    }
}

/// A node that waits until another is ready.
pub fn after(name: &str, other: &str) -> Node {
    let dependency = Dependency {
        node: NodeName::new(other).unwrap(),
        condition: DependencyCondition::Ready,
    };
    Node {
        depends_on: vec![dependency],
        ..node(name)
    }
}

fn paused(names: &[&str]) -> PauseRequest {
    PauseRequest {
        paths: names.iter().map(|name| path(name)).collect(),
        ..PauseRequest::default()
    }
}
