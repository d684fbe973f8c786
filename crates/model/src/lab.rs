//! The lab as resolved: every default filled in, every `count` expanded, every
//! `from:` read. The as-written form lives in `labfile`.

use crate::{
    ByteSize, FileCopy, ImageName, ImageSpec, LabName, Mac, NetworkName, NodeName, NodePath,
    Playbook, PortForward, Probe, Provisioner,
};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A tree of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lab {
    /// The name of the lab.
    pub name: LabName,
    /// Every image that a node of the tree names, built-in ones included.
    pub images: BTreeMap<ImageName, ImageSpec>,
    /// What stands on the host.
    pub layer: Layer,
    /// Whether machines may start from templates.
    pub templates: bool,
    /// What Ansible does once the tree is up, in the order of the file.
    pub playbooks: Vec<Playbook>,
}

/// The networks and nodes that live in one place: on the host, or inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layer {
    /// Networks, in the order of the file. The implicit `default` network is
    /// among them if a node needs it.
    pub networks: Vec<Network>,
    /// Nodes, in the order of the file, `count` expanded.
    pub nodes: Vec<Node>,
}

impl Layer {
    /// Whether nothing stands here.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.networks.is_empty()
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The network of that name.
    pub fn network(&self, name: &NetworkName) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == *name)
    }

    /// The node at a path below this layer.
    pub fn descend(&self, path: &NodePath) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = self.node(first)?;
        if rest.is_host() {
            Some(node)
        } else {
            node.inside.descend(&rest)
        }
    }

    /// The containers that stand directly in it.
    pub fn containers(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.kind == NodeKind::Container)
    }

    /// Every node of the tree with its path, parents before children.
    pub fn walk(&self) -> Vec<(NodePath, &Node)> {
        let mut found = Vec::new();
        self.walk_into(&NodePath::host(), &mut found);
        found
    }

    fn walk_into<'a>(&'a self, at: &NodePath, found: &mut Vec<(NodePath, &'a Node)>) {
        for node in &self.nodes {
            let path = at.child(&node.name);
            found.push((path.clone(), node));
            node.inside.walk_into(&path, found);
        }
    }
}

/// A network of one layer: one bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// Its IPv4 subnet.
    pub subnet: Ipv4Net,
    /// The address that the layer itself takes on the bridge, the nodes'
    /// gateway in mode `nat`: the first of the subnet unless a node has it.
    pub gateway: IpAddr,
    /// The MTU of every hop in bytes.
    pub mtu: u16,
    /// What the network reaches.
    pub mode: NetworkMode,
}

/// What a network reaches beyond its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The outside through the layer's way out.
    Nat,
    /// Nothing.
    Isolated,
}

/// What realises a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A virtual machine with a kernel of its own.
    #[default]
    Vm,
    /// Processes on the kernel of the level that they stand on.
    Container,
}

/// The accelerator that a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorChoice {
    /// KVM where a probe proves it, TCG otherwise.
    #[default]
    Auto,
    /// KVM or an error.
    Kvm,
    /// TCG.
    Tcg,
}

/// The accelerator that a node really runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Hardware virtualisation, possibly itself emulated by a level above.
    Kvm,
    /// QEMU's instruction translation.
    Tcg,
    /// None of its own: a container runs on the kernel of the level that it stands on.
    Container,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
            Self::Container => "container",
        })
    }
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name and host name.
    pub name: NodeName,
    /// What realises it.
    pub kind: NodeKind,
    /// The backend by name; the kind's default if `None`.
    pub backend: Option<String>,
    /// Its image, a key of [`Lab::images`].
    pub image: ImageName,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: ByteSize,
    /// The size of the root disk; the image's own if `None`.
    pub disk: Option<ByteSize>,
    /// Empty disks beside the root, in order.
    pub disks: Vec<DiskSpec>,
    /// A kernel of the user's own.
    pub boot: Boot,
    /// The accelerator asked for.
    pub accel: AcceleratorChoice,
    /// Whether the node sees hardware virtualisation.
    pub nested: bool,
    /// Whether it has a memory balloon.
    pub balloon: bool,
    /// Its attachments to networks of its layer, in order.
    pub endpoints: Vec<Endpoint>,
    /// Ports of this machine that lead to it or to nodes inside it.
    pub ports: Vec<PortForward>,
    /// What must have happened before it starts.
    pub depends_on: Vec<Dependency>,
    /// Files and folders copied in before provisioning.
    pub files: Vec<FileCopy>,
    /// Environment of provisioners, probes and `exec`.
    pub env: BTreeMap<String, String>,
    /// Steps that set it up, in order.
    pub provision: Vec<Provisioner>,
    /// How one knows that it is ready; as soon as its agent answers if `None`.
    pub ready: Option<Probe>,
    /// What cloud-init is told, in any of the forms of its user-data.
    #[serde(default)]
    pub user_data: Option<String>,
    /// What stands inside it.
    pub inside: Layer,
    /// What only a container has.
    #[serde(default)]
    pub container: ContainerOptions,
}

/// What only a container has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerOptions {
    /// The most processes and threads at a time; no limit of its own if `None`.
    pub pids_limit: Option<u32>,
    /// Devices of the level that it stands on, by their paths.
    pub devices: Vec<String>,
    /// Capabilities beside the usual ones, without `CAP_` (capabilities(7)).
    pub cap_add: Vec<String>,
    /// Folders of the level that it stands on.
    pub volumes: Vec<Volume>,
    /// How fast it may use the disk that its files lie on.
    #[serde(default)]
    pub io: IoLimits,
}

/// The most bytes that go to and from a disk in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoLimits {
    /// Of what is read.
    pub read: Option<crate::ByteSize>,
    /// Of what is written.
    pub write: Option<crate::ByteSize>,
}

impl IoLimits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A folder of the level that a container stands on, as part of its own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it is on that level.
    pub source: std::path::PathBuf,
    /// Where it is in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// An empty disk beside the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// Its name, which is also its serial.
    pub name: NodeName,
    /// Its size.
    pub size: ByteSize,
}

/// A kernel of the user's own instead of the kit's. Paths are absolute, on the
/// host; inner levels know them as blobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boot {
    /// The kernel: a bzImage or an ELF file with a PVH note.
    pub kernel: Option<crate::FileSource>,
    /// The initramfs. Without it the kit's own is used.
    pub initrd: Option<crate::FileSource>,
    /// Words added to the kernel command line.
    pub cmdline: Option<String>,
    /// What starts the machine.
    #[serde(default)]
    pub firmware: FirmwareChoice,
}

impl Boot {
    /// Whether it says anything of a kernel: then no firmware is chosen for the machine.
    pub fn has_kernel_words(&self) -> bool {
        self.kernel.is_some() || self.initrd.is_some() || self.cmdline.is_some()
    }
}

/// What starts a machine, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirmwareChoice {
    /// The kit's kernel where it can mount the image's root, else a firmware.
    #[default]
    Auto,
    /// The kit's kernel, or one of the user's own.
    Direct,
    /// A firmware, and what the image brings: boot loader, kernel, init.
    Of(Firmware),
}

/// What starts what is on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// That of the IBM PC, whose boot loader begins in the first sector.
    Bios,
    /// That of the UEFI Forum, whose boot loader is a file.
    Uefi,
}

/// A node's attachment to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network, of the same layer.
    pub network: NetworkName,
    /// The address with the subnet's prefix length.
    pub address: IpNet,
    /// The Ethernet address.
    pub mac: Mac,
    /// The fastest that it may receive, and send.
    #[serde(default)]
    pub rate: Option<crate::BitRate>,
    /// What goes first where there is too much (socket(7), SO_PRIORITY).
    #[serde(default)]
    pub priority: Option<u8>,
}

impl Endpoint {
    /// Whether a machine that is attached so is attached as another says, however fast.
    pub fn is_same_card(&self, other: &Self) -> bool {
        let card = |endpoint: &Self| (endpoint.network.clone(), endpoint.address, endpoint.mac);
        card(self) == card(other)
    }
}

/// What must have happened to another node of the layer first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The other node.
    pub node: NodeName,
    /// What must have happened to it.
    pub condition: DependencyCondition,
}

/// How far another node must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyCondition {
    /// Its agent answers.
    Started,
    /// Its provisioners have run and its probe has succeeded.
    Ready,
}
