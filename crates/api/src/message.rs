//! The bodies of requests and answers. Unknown fields are ignored when read,
//! and every optional field has a default, so that a level may be older or
//! newer than its parent.

use nestlab_model::{
    ByteSize, Digest, ImageName, ImageSpec, Layer, LayerStatus, NodeName, NodePath, RunPolicy,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The version of these messages. Raised when an old reader would
/// misunderstand; added fields do not raise it.
pub const API_VERSION: u32 = 1;

/// `GET /v1/version`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The program's version.
    pub version: String,
    /// [`API_VERSION`].
    pub api: u32,
    /// What the level is: `supervisor` or `agent`.
    pub role: String,
    /// The process id of the program at its level.
    pub pid: u32,
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// Bytes of memory the program holds.
    pub resident_bytes: Option<u64>,
    /// The lab's id, as far as the level knows it.
    pub lab_id: Option<String>,
    /// Whether systemd is the level's PID 1 (sd_booted(3)).
    #[serde(default)]
    pub systemd: bool,
}

/// `PUT /v1/layer`: what shall stand at this level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// The random id of the lab.
    pub lab_id: String,
    /// The node whose inside this is; the host path on the host.
    pub path: NodePath,
    /// The networks and nodes.
    pub layer: Layer,
    /// Where each image that a node below names is found at this level.
    pub images: BTreeMap<ImageName, ImageSource>,
    /// The serial of the disk that holds the kit; `None` on the host.
    #[serde(default)]
    pub kit: Option<String>,
    /// What the level runs on, from this machine down: the same words mean the
    /// same behaviour, so that what was proved once need not be proved again.
    #[serde(default)]
    pub chain: String,
    /// What earlier runs proved, by chain.
    #[serde(default)]
    pub proved: BTreeMap<String, serde_json::Value>,
    /// Whether machines may start from templates.
    #[serde(default = "yes")]
    pub templates: bool,
    /// Public keys of the user, as ssh's `authorized_keys` has them, for machines that take
    /// such through cloud-init.
    #[serde(default)]
    pub authorized_keys: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Where a level finds an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// In the image store, made there if missing. Only on the host.
    Spec(ImageSpec),
    /// On a read-only disk that the parent attached.
    Serial {
        /// The image's digest.
        digest: Digest,
        /// The disk's serial.
        serial: String,
        /// `raw` or `qcow2` as the disk shows itself.
        format: String,
        /// The image's size.
        virtual_size: ByteSize,
        /// Whether its file system was made by us.
        #[serde(default = "yes")]
        ours: bool,
    },
}

/// `POST /v1/up`: bring up what `PUT /v1/layer` described, or some of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpRequest {
    /// Nodes to bring up, with all that stands above, inside and before them;
    /// all if empty.
    #[serde(default)]
    pub paths: Vec<NodePath>,
    /// Whether provisioners run.
    #[serde(default)]
    pub provision: ProvisionChoice,
    /// Start no machine from a template, and make none.
    #[serde(default)]
    pub cold: bool,
    /// Go no further than until agents answer, and leave all standing still there:
    /// for a template of what is above.
    #[serde(default)]
    pub boot_only: bool,
}

/// Which provisioners run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionChoice {
    /// Each by its own policy.
    #[default]
    Policy,
    /// None.
    None,
    /// All but those that never run, even if they have run already.
    Force,
    /// Those of these names, even if they have run already or never run, and those
    /// of these kinds (`shell`, `file`) that may run. Without any: all is set up
    /// again but for provisioners.
    Only(Vec<String>),
}

impl ProvisionChoice {
    /// Whether a node that is ready is set up again for it.
    pub fn is_order(&self) -> bool {
        matches!(self, Self::Force | Self::Only(_))
    }

    /// When a step runs under this choice, which has a name, is of a kind and has a policy
    /// of its own.
    pub fn policy(&self, name: &str, kind: &str, own: RunPolicy) -> RunPolicy {
        let named = |names: &Vec<String>, word| names.iter().any(|name| name == word);
        match (self, own) {
            (Self::None, _) => RunPolicy::Never,
            (Self::Only(names), _) if named(names, name) => RunPolicy::Always,
            (_, RunPolicy::Never) => RunPolicy::Never,
            (Self::Only(names), _) if named(names, kind) => RunPolicy::Always,
            (Self::Only(_), _) => RunPolicy::Never,
            (Self::Force, _) => RunPolicy::Always,
            (Self::Policy, own) => own,
        }
    }
}

/// `POST /v1/halt` and `POST /v1/destroy`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopRequest {
    /// Nodes to stop with all that stands inside them; all if empty.
    #[serde(default)]
    pub paths: Vec<NodePath>,
    /// Pull the plug instead of asking.
    #[serde(default)]
    pub force: bool,
    /// Keep memory and devices as well, so that the next `up` goes on from there.
    /// Only `POST /v1/halt`.
    #[serde(default)]
    pub save: bool,
    /// Seconds to wait for a graceful end before pulling the plug.
    #[serde(default)]
    pub deadline_seconds: Option<u64>,
}

/// `POST /v1/nodes/{name}/resize`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeRequest {
    /// The disk, by its name in `disks:`; the root if `None`.
    #[serde(default)]
    pub disk: Option<NodeName>,
    /// How large it shall be.
    pub size: NewSize,
}

/// How large a disk shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewSize {
    /// So large.
    To(ByteSize),
    /// By so much larger than it is.
    By(ByteSize),
}

/// A disk that was made larger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    /// Its name; `root` is the root's.
    pub disk: String,
    /// How large it was.
    pub before: ByteSize,
    /// How large it is.
    pub after: ByteSize,
    /// What that means inside; `None` while the node is halted.
    #[serde(default)]
    pub inside: Option<Growth>,
    /// Why the node does not use the room yet.
    #[serde(default)]
    pub unused: Option<String>,
}

/// What a disk that has grown means inside its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The device that reaches to the end of the disk now: it or its last partition.
    pub device: String,
    /// How long the device is.
    pub bytes: ByteSize,
    /// Where its file system is mounted, if it is.
    pub mounted: Option<String>,
    /// How much can be stored in that.
    pub usable: Option<ByteSize>,
}

/// `POST /v1/pause` and `POST /v1/resume`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PauseRequest {
    /// Nodes meant, with all that stands inside them; all if empty.
    #[serde(default)]
    pub paths: Vec<NodePath>,
    /// Seconds of the level's own time after which what was paused goes on by
    /// itself. For a pause whose end its asker may not live to see.
    #[serde(default)]
    pub lease_seconds: Option<u64>,
    /// Of a resume: only what was paused with a lease or saved is meant. What somebody
    /// had paused before for its own sake stays as it is.
    #[serde(default)]
    pub leased: bool,
}

impl PauseRequest {
    /// A resume of everything that leaves paused what was paused for its own sake.
    pub fn as_it_was() -> Self {
        Self {
            leased: true,
            ..Self::default()
        }
    }
}

/// `POST /v1/fork`, on the host alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ForkRequest {
    /// The ids of the labs to make, each with a folder beside this lab's own.
    pub labs: Vec<String>,
    /// The snapshot that is copied; the lab as it is now if `None`.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Whether containers of this machine are copied without their processes: they
    /// begin anew from their files.
    #[serde(default)]
    pub disks_only: bool,
}

/// `POST /v1/snapshots`, on the host alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// Its name; `snapshot-1` and on if `None`.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether its memory is compressed.
    #[serde(default)]
    pub compress: bool,
    /// As in [`ForkRequest`].
    #[serde(default)]
    pub disks_only: bool,
}

/// A snapshot of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was saved, in seconds since 1970.
    pub created: u64,
    /// How long the lab stood still for it, in seconds.
    pub pause_seconds: f64,
    /// What its files take on disk, in bytes. Some may be the same files as the
    /// lab's or another snapshot's.
    pub bytes: u64,
    /// Whether its memory is compressed.
    #[serde(default)]
    pub compressed: bool,
    /// Its nodes at the top; what is inside them is in their memory.
    pub nodes: Vec<SnapshotNode>,
}

/// A node in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotNode {
    /// Its path.
    pub path: NodePath,
    /// `saved` with its memory, or `halted`.
    pub state: nestlab_model::NodeState,
}

/// What a fork came to. The new labs are at rest; `POST /v1/resume` wakes each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ForkReport {
    /// How long the lab stood still, in seconds, the innermost nodes included.
    pub pause_seconds: f64,
    /// Nodes whose memory was written out whole, as it was in no file.
    pub written: Vec<NodePath>,
}

/// The answer to a long operation: its last line. `GET /v1/events` tells of
/// what happens meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether everything asked for is true now.
    pub ok: bool,
    /// What the level looks like now.
    pub status: LayerStatus,
    /// Of a resume: how long that virtual CPU had stood still which stood still the
    /// longest, in seconds. Every level counts in its own time, which stands still
    /// with the level, and what is above it is added.
    #[serde(default)]
    pub standstill_seconds: f64,
}

/// `GET /v1/layer`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// What stands here.
    pub status: LayerStatus,
    /// What this level and those below it have proved, by chain.
    #[serde(default)]
    pub proved: BTreeMap<String, serde_json::Value>,
    /// The keeper's process id, on the host.
    #[serde(default)]
    pub keeper: Option<u32>,
    /// Where forwarded ports really listen, on the host.
    #[serde(default)]
    pub listeners: Vec<Listener>,
}

/// A forwarded port that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Address and port of this machine.
    pub listen: std::net::SocketAddr,
    /// The node that answers.
    pub path: NodePath,
    /// Its port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: nestlab_model::Protocol,
}

/// `GET /v1/doctor`: what works in a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examination {
    /// What was looked into.
    pub checks: Vec<nestlab_model::doctor::Check>,
    /// Its clock as it answered, in seconds since 1970.
    pub unix_seconds: f64,
}

/// `POST /v1/configure`: who a node is. The parent tells it after every boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Configure {
    /// The host name.
    pub hostname: String,
    /// Network cards by Ethernet address.
    pub interfaces: Vec<InterfaceConfig>,
    /// The default route.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub resolvers: Vec<IpAddr>,
    /// Names of other nodes, for /etc/hosts.
    pub hosts: Vec<HostEntry>,
    /// Environment for everything that is run through the agent.
    pub env: BTreeMap<String, String>,
    /// The parent's clock, in nanoseconds since 1970.
    pub clock_unix_nanos: Option<u64>,
    /// Bytes to mix into the random pool, in hexadecimal.
    pub entropy: Option<String>,
    /// The lab's id, so that the agent can tell.
    pub lab_id: String,
    /// The node's own path.
    pub path: NodePath,
}

/// One network card of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceConfig {
    /// Its Ethernet address, as `52:…`.
    pub mac: String,
    /// Its address and prefix length.
    pub address: ipnet::IpNet,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// The Ethernet address that the card was made with, if that is another: it is
    /// given its own then.
    #[serde(default)]
    pub was: Option<String>,
}

/// A line of /etc/hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// The address.
    pub address: IpAddr,
    /// The names.
    pub names: Vec<String>,
}

/// The first message on `GET /v1/exec` (WebSocket, text). After it, both sides
/// send binary frames: one [`ExecChannel`] byte, then the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments. Empty: the login shell.
    pub argv: Vec<String>,
    /// Environment beside the node's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The working folder; the user's home if `None`.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The user by name; root if `None`.
    #[serde(default)]
    pub user: Option<String>,
    /// A terminal, if one is wanted.
    #[serde(default)]
    pub tty: Option<WindowSize>,
    /// Whether the caller will send standard input.
    #[serde(default)]
    pub stdin: bool,
    /// Whether to answer with the process id at once and let the program run on.
    #[serde(default)]
    pub detach: bool,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// A text frame from the client while a program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecControl {
    /// Standard input has ended.
    EndOfInput,
    /// The window changed.
    Resize(WindowSize),
    /// Send a signal, by number, to the program's group.
    Signal(i32),
}

/// A text frame from the agent: the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecEnd {
    /// The program exited.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It runs on in the background.
    Detached {
        /// Its process id.
        pid: u32,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        reason: String,
        /// 127 if there is no such program, 126 if it may not be run.
        code: i32,
    },
}

impl ExecEnd {
    /// The exit code as a shell gives it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Exited(code) => *code,
            Self::Signalled(signal) => 128 + signal,
            Self::Detached { .. } => 0,
            Self::NotStarted { code, .. } => *code,
        }
    }
}

/// The first byte of a binary frame on an exec stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExecChannel {
    /// Client to agent.
    Stdin = 0,
    /// Agent to client.
    Stdout = 1,
    /// Agent to client.
    Stderr = 2,
}

/// Bytes of standard input that may be under way to a program at once.
pub const STDIN_CREDIT: usize = 128 * 1024;

/// A text frame from the agent while a program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecFlow {
    /// The program took this many bytes of its input: as many more may be sent.
    StdinTaken(u64),
}

/// `POST /v1/power`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// End all programs, write everything to disk, power off.
    Off,
    /// The same, and start again.
    Reboot,
}

/// Which log of a node is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKind {
    /// What the guest wrote to its console.
    Console,
    /// What provisioners wrote.
    Provision,
    /// What the agent wrote, in the guest.
    Agent,
    /// What the VMM wrote.
    Vmm,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable word for programs.
    pub code: String,
    /// What was being done, to which object, and why it did not work.
    pub message: String,
    /// What to type next.
    #[serde(default)]
    pub hint: Option<String>,
    /// The node it is about.
    #[serde(default)]
    pub node: Option<NodeName>,
}
