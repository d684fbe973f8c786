//! A lab at rest, as files: what is copied by a fork and kept by a snapshot.
//!
//! ```text
//! FOLDER/layer.json                  what shall stand there; written last
//! FOLDER/nodes/NAME/node.json        the node and what its machine was
//! FOLDER/nodes/NAME/machine.state    devices, and memory where that is in no file
//! FOLDER/nodes/NAME/machine.memory   memory, unless it is on a tmpfs or compressed
//! FOLDER/nodes/NAME/DISK.qcow2       frozen disks, the same files in every copy
//! FOLDER/nodes/NAME/DISK.N.qcow2     the last one: the copy's own overlay over them
//! FOLDER/nodes/NAME/cidata.iso       what it is told through cloud-init
//! FOLDER/nodes/NAME/uefi.fd          what its firmware remembers
//! FOLDER/nodes/NAME/container/       what a container has written; each copy has its own
//! ```
//!
//! Copies are names (hard links) for the same files, to which nobody writes any
//! more: a copy costs nothing and needs nobody else.

use crate::engine::{Engine, LAYER_FILE};
use crate::record::{self, NodeRecord};
use crate::{Fault, container, disks, firmware, memory, seed};
use nestlab_api::message::LayerSpec;
use nestlab_model::{Layer, Node, NodeName};
use std::path::{Path, PathBuf};

const NODES: &str = "nodes";

/// A lab at rest.
pub(crate) struct Still {
    pub spec: LayerSpec,
    pub nodes: Vec<StillNode>,
}

/// A node of it that was ever started.
pub(crate) struct StillNode {
    pub name: NodeName,
    pub record: NodeRecord,
    pub folder: PathBuf,
    /// The file with its memory, if it was saved with one.
    pub memory: Option<PathBuf>,
}

/// Where a copy is put.
pub(crate) struct Home {
    /// The id of the lab that it belongs to.
    pub lab_id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// A folder on the tmpfs, for names of what is there.
    pub memory: PathBuf,
    /// Which ports of this machine it will listen on.
    pub ports: Ports,
}

/// The ports of this machine that a copy listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Those of the lab that it is a copy of, in whose place it comes.
    Same,
    /// Free ones, chosen when it listens: the lab's own are taken.
    Free,
}

impl Still {
    /// This engine's lab, whose nodes are at rest.
    pub fn of(engine: &Engine) -> Result<Self, Fault> {
        let cells = engine.cells().into_iter();
        let nodes = cells.filter_map(|cell| {
            let mut record = cell.record()?;
            record.restarts |= record.saved.is_none() && cell.live().is_some();
            Some(StillNode {
                name: cell.name.clone(),
                memory: record
                    .saved
                    .as_ref()
                    .and_then(|saved| cell.memory_of(saved)),
                record,
                folder: cell.folder.clone(),
            })
        });
        Ok(Self {
            nodes: nodes.collect(),
            spec: engine.spec()?.as_ref().clone(),
        })
    }

    /// What lies in a folder with all its memory on disk.
    pub fn read(folder: &Path) -> Result<Self, Fault> {
        let missing = |path: &Path| Fault::new(format!("{} is missing", path.display()));
        let path = folder.join(LAYER_FILE);
        let spec: LayerSpec = record::read(&path)?.ok_or_else(|| missing(&path))?;
        let mut nodes = Vec::new();
        for entry in std::fs::read_dir(folder.join(NODES))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Some(name) = entry
                .file_name()
                .to_str()
                .and_then(|name| NodeName::new(name).ok())
            else {
                continue;
            };
            let folder = entry.path();
            let path = record::node_path(&folder);
            let record: NodeRecord = record::read(&path)?.ok_or_else(|| missing(&path))?;
            nodes.push(StillNode {
                name,
                memory: record
                    .saved
                    .as_ref()
                    .and_then(|saved| memory::of(&folder, None, saved)),
                record,
                folder,
            });
        }
        Ok(Self { spec, nodes })
    }

    /// Files that its machines need and that are not in its folder: images and kit.
    pub fn needs(&self) -> impl Iterator<Item = &Path> {
        let saved = self
            .nodes
            .iter()
            .filter_map(|node| node.record.saved.as_ref());
        saved.flat_map(|spec| {
            let shared = spec
                .disks
                .iter()
                .filter(|disk| disk.read_only && disk.serial != seed::SERIAL);
            let boot = spec.boot.kernel().into_iter();
            let boot = boot.flat_map(|boot| [boot.kernel.as_path(), boot.initrd.as_path()]);
            shared.map(|disk| disk.path.as_path()).chain(boot)
        })
    }

    /// Makes a copy.
    pub fn copy_to(&self, home: &Home) -> Result<(), Fault> {
        let mut copy = LayerSpec {
            lab_id: home.lab_id.clone(),
            ..self.spec.clone()
        };
        if home.ports == Ports::Free {
            free_ports(&mut copy.layer);
        }
        make_private(&home.folder.join(NODES))?;
        for node in &self.nodes {
            node.copy_to(&copy.layer, home)?;
        }
        record::write(&home.folder.join(LAYER_FILE), &copy)
    }
}

impl StillNode {
    /// Gives a copy its own names for what the node has.
    fn copy_to(&self, layer: &Layer, home: &Home) -> Result<(), Fault> {
        let folder = home.node(&self.name);
        make_private(&folder)?;
        disks::copy(&self.folder, &self.record.node, &folder)?;
        container::copy_files(&self.folder, &folder)?;
        firmware::copy_variables(&self.folder, &folder)?;
        let seeds = [&self.folder, &folder].map(|folder| seed::path(folder));
        if seeds[0].exists() {
            link(&seeds[0], &seeds[1])?;
        }
        if self.record.saved.is_some() {
            link(
                &record::state_path(&self.folder),
                &record::state_path(&folder),
            )?;
        }
        if let Some(memory) = &self.memory {
            let to = match memory.ends_with(memory::ON_DISK) {
                true => folder.join(memory::ON_DISK),
                false => home.memory.join(self.name.as_str()),
            };
            make_private(to.parent().unwrap_or(&home.memory))?;
            link(memory, &to)?;
        }
        let mut node = self.record.node.clone();
        if let Some(listed) = layer.node(&self.name) {
            node.ports.clone_from(&listed.ports);
        }
        let copy = NodeRecord {
            node,
            machine: None,
            ready: self.record.ready && self.record.saved.is_some(),
            ..self.record.clone()
        };
        record::write(&record::node_path(&folder), &copy)
    }
}

impl Home {
    /// The folder of a node.
    pub fn node(&self, name: &NodeName) -> PathBuf {
        self.folder.join(NODES).join(name.as_str())
    }

    /// The folder of all nodes.
    pub fn nodes(&self) -> PathBuf {
        self.folder.join(NODES)
    }

    /// Removes what was put there.
    pub fn clear(&self) {
        let _ = std::fs::remove_file(self.folder.join(LAYER_FILE));
        for folder in [&self.nodes(), &self.memory] {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn free_ports(layer: &mut Layer) {
    for Node { ports, inside, .. } in &mut layer.nodes {
        ports.iter_mut().for_each(|port| port.host_port = 0);
        free_ports(inside);
    }
}

fn make_private(folder: &Path) -> Result<(), Fault> {
    nestlab_sys::dir::make_private(folder)
        .map_err(Fault::io(format!("Cannot make {}", folder.display())))
}

fn link(from: &Path, to: &Path) -> Result<(), Fault> {
    std::fs::hard_link(from, to).map_err(Fault::io(format!("Cannot make {}", to.display())))
}
