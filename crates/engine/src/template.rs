//! Templates: machines frozen just after their agents came up, to clone from.
//!
//! ```text
//! first node of a shape: boots ─► what is inside it boots, and is paused
//!   ─► frozen: memory, devices, disks copied ─► goes on and is set up
//! every other:           the copy put in its folder ─► wakes ─► is set up
//! ```
//!
//! A clone is set up like a machine that has just booted, so it takes its whole
//! identity then; before that nothing but init and agent has run. Whatever could
//! make it another machine is part of the shape, by whose digest a template is
//! found: what differs in anything has another template or none.

mod shelf;

pub(crate) use shelf::Making;
use shelf::{Found, Shelf, Template};

use crate::carry::to_the_end;
use crate::cell::{Live, NodeCell};
use crate::engine::Engine;
use crate::launch::{Parts, all_disks};
use crate::pause::wake;
use crate::record::NodeRecord;
use crate::{Fault, disks, memory, parcel, record, seed};
use nestlab_api::message::UpRequest;
use nestlab_backend::{Contents, MachineSpec, Mapping, MemoryFile, Start};
use nestlab_model::{
    Accelerator, ByteSize, Digest, EventKind, Layer, Node, NodeKind, NodeState, Stage,
};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// How long a node waits for the one of its shape that makes the template.
const MAKING: Duration = Duration::from_secs(300);

/// Disk space that is left to others, in bytes.
const RESERVE: u64 = 1 << 30;

/// Where templates are kept.
#[derive(Debug, Clone)]
pub struct Templates {
    /// Their folder.
    pub folder: PathBuf,
    /// What they may take on disk together, in bytes.
    pub budget: u64,
}

/// How a node that was never started comes to run.
pub(crate) enum Beginning {
    /// As a clone: the template of that key lies in its folder, as if saved there.
    Clone(MachineSpec, String),
    /// From power-on, as the first of its shape: of it a template is made.
    First(Making),
    /// From power-on.
    PowerOn,
}

/// Everything by which machines differ before they are set up. A name, addresses
/// and what is provisioned come later.
#[derive(Serialize)]
struct Shape<'a> {
    /// Raised when templates of an earlier program are of no use.
    version: u32,
    /// What can take up its state.
    program: String,
    accelerator: Accelerator,
    cpus: u32,
    memory: ByteSize,
    nested: bool,
    cmdline: &'a Option<String>,
    image: (Digest, Stamp<'a>),
    disk: Option<ByteSize>,
    disks: Vec<(String, ByteSize)>,
    /// Kit and images, in the order of their disks.
    shared: Vec<(String, Stamp<'a>)>,
    /// The MTU of each card.
    cards: Vec<u16>,
    inside: Layer,
}

/// A file and no other, even one made again in the same way: the guest has read it.
#[derive(Serialize)]
struct Stamp<'a> {
    path: &'a Path,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Engine {
    /// Finds out how a node comes to run that was never started. If another of its
    /// shape is just making the template, waits for that.
    pub(crate) async fn beginning(
        &self,
        cell: &NodeCell,
        node: &Node,
        request: &UpRequest,
        parts: &Parts,
    ) -> Beginning {
        let Some(shelf) = self.shelf_for(cell, node, request) else {
            return Beginning::PowerOn;
        };
        if seed::is_wanted_within(node, parts) {
            // When such a guest reads who it is, and how far it is by then, is not ours to say.
            return Beginning::PowerOn;
        }
        let found = async {
            let key = self.key(node, parts).await?;
            self.look_for(&shelf, cell, node, parts, key).await
        };
        found.await.unwrap_or_else(|fault: Fault| {
            tracing::warn!(%fault, path = %cell.path, "starts without a template");
            Beginning::PowerOn
        })
    }

    async fn look_for(
        &self,
        shelf: &Shelf,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
        key: String,
    ) -> Result<Beginning, Fault> {
        let making = shelf.begin(&key)?;
        if making.is_none() {
            cell.tell(EventKind::Progress {
                stage: Stage::Launch,
                message: "waits for the template of its kind".to_owned(),
            });
            shelf.wait(&key, MAKING).await;
        }
        match (shelf.find(&key)?, making) {
            (Found::Template(template), _) => {
                let spec = self.place(shelf, cell, node, parts, &key, *template).await;
                if spec.is_err() {
                    // Nothing of it may be taken for the node's own.
                    cell.erase()?;
                }
                Ok(Beginning::Clone(spec?, key))
            }
            (Found::Nothing, Some(making)) => Ok(Beginning::First(making)),
            (Found::Nothing | Found::Unfit, _) => Ok(Beginning::PowerOn),
        }
    }

    /// The shelf, if a node may be on it: it was never started, is meant with all
    /// inside it, and its memory can be in a file.
    fn shelf_for(&self, cell: &NodeCell, node: &Node, request: &UpRequest) -> Option<Shelf> {
        let config = &self.0.config;
        let own_kernel = node.boot.kernel.is_some() || node.boot.initrd.is_some();
        let wanted = !request.cold && self.spec().is_ok_and(|spec| spec.templates);
        let fresh = !disks::any(&cell.folder) && request.paths.is_empty();
        let machine = node.kind == NodeKind::Vm;
        if !wanted || !fresh || !machine || own_kernel || node.balloon || config.memory.is_none() {
            return None;
        }
        config.templates.as_ref().map(Shelf::new)
    }

    async fn key(&self, node: &Node, parts: &Parts) -> Result<String, Fault> {
        let backend = self.backend(node)?;
        let choice = self.choose_accelerator(&backend, node, &parts.kit).await?;
        let spec = self.spec()?;
        let mtu = |name| spec.layer.network(name).map_or(0, |network| network.mtu);
        let mut shared = vec![(parts.kit.serial.clone(), stamp(&parts.kit.disk)?)];
        for image in &parts.inner {
            shared.push((image.serial(), stamp(&image.path)?));
        }
        let shape = Shape {
            version: 1,
            program: backend.state_key().await,
            accelerator: choice.accelerator,
            cpus: node.cpus,
            memory: node.memory,
            nested: node.nested,
            cmdline: &node.boot.cmdline,
            image: (parts.base.digest, stamp(&parts.base.path)?),
            disk: node.disk,
            disks: node
                .disks
                .iter()
                .map(|disk| (disk.name.to_string(), disk.size))
                .collect(),
            shared,
            cards: node
                .endpoints
                .iter()
                .map(|endpoint| mtu(&endpoint.network))
                .collect(),
            inside: bare(&node.inside),
        };
        let text = serde_json::to_vec(&shape).expect("a shape holds nothing that JSON cannot");
        Ok(parcel::digest_of(&text).hex()[..32].to_owned())
    }

    /// Puts a template into a node's folder, as if the node had been saved there.
    async fn place(
        &self,
        shelf: &Shelf,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
        key: &str,
        template: Template,
    ) -> Result<MachineSpec, Fault> {
        let from = shelf.folder(key);
        std::fs::create_dir_all(&cell.folder)
            .map_err(Fault::io(format!("Cannot make {}", cell.folder.display())))?;
        disks::copy_written(&from, node, &cell.folder)?;
        link_or_copy(&record::state_path(&from), &cell.state_path())?;
        let memory = cell.folder.join(memory::ON_DISK);
        link_or_copy(&from.join(memory::ON_DISK), &memory)?;
        let spec = MachineSpec {
            path: cell.path.clone(),
            disks: all_disks(disks::prepare(cell, node, &parts.base)?, parts),
            boot: Start::Kernel(self.boot(node, &parts.kit)?),
            memory_file: Some(MemoryFile {
                path: memory,
                mapping: Mapping::Private,
            }),
            ..template.spec
        };
        let saved = Some(spec.clone());
        cell.amend(node, |record| {
            *record = NodeRecord {
                saved,
                ..NodeRecord::new(node)
            };
        })?;
        self.tell_accelerator(cell, node, &parts.kit).await?;
        cell.tell(EventKind::Progress {
            stage: Stage::Launch,
            message: "starts from a template".to_owned(),
        });
        Ok(spec)
    }

    /// Forgets a template that came to nothing, and all of the clone.
    pub(crate) async fn scrap_clone(&self, cell: &NodeCell, key: &str) -> Result<(), Fault> {
        if let Some(templates) = &self.0.config.templates {
            Shelf::new(templates).remove(key);
        }
        if let Some(live) = cell.live() {
            cell.enter(NodeState::Halting);
            crate::stop::pull_the_plug(cell, &live).await?;
        }
        cell.erase()
    }

    /// Makes a template of a machine whose agent has just come up, and lets it go
    /// on. That no template could be made is told and is no error.
    ///
    /// # Errors
    /// The machine does not go on.
    pub(crate) async fn make_template(
        &self,
        cell: &Arc<NodeCell>,
        live: Live,
        making: Making,
        work: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Live, Fault> {
        let (engine, cell) = (self.clone(), cell.clone());
        // No machine is left standing still because nobody waits for it any more.
        let work = async move {
            let _work = work;
            live.cut_link().await;
            let written = write(&cell, &live, &making).await;
            let live = engine.hold(&cell, live.machine);
            wake(&cell, &live).await?;
            match written {
                Ok(()) => making.finish(),
                Err(fault) => {
                    engine.warn(&cell.path, format!("There is no template of it: {fault}"))
                }
            }
            Ok(live)
        };
        to_the_end("The making of a template", work).await
    }
}

/// Writes down all of a machine, which stands still then.
async fn write(cell: &NodeCell, live: &Live, making: &Making) -> Result<(), Fault> {
    let cannot = |error| Fault::caused("it cannot be frozen", &error);
    let folder = making.part()?;
    let needed = live.machine.resident_bytes().unwrap_or(0) + RESERVE;
    let free = nestlab_sys::disk::free_bytes(folder)
        .map_err(Fault::io(format!("Cannot look at {}", folder.display())))?;
    if free < needed {
        return Err(Fault::new("there is too little disk space"));
    }
    let spec = live.machine.record().spec;
    if !spec.shares_memory() {
        return Err(Fault::new("its memory is in no file"));
    }
    live.machine.pause().await.map_err(cannot)?;
    let state = record::state_path(folder);
    let saved = live.machine.save(&state, Contents::Devices).await;
    saved.map_err(cannot)?;
    let memory = folder.join(memory::ON_DISK);
    live.machine.write_memory(&memory).await.map_err(cannot)?;
    if let Some(record) = cell.record() {
        disks::copy_written(&cell.folder, &record.node, folder)?;
    }
    making.describe(spec)
}

/// A layer before anything is done in its nodes.
pub(crate) fn bare(layer: &Layer) -> Layer {
    let node = |node: &Node| Node {
        ports: Vec::new(),
        depends_on: Vec::new(),
        files: Vec::new(),
        env: Default::default(),
        provision: Vec::new(),
        ready: None,
        inside: bare(&node.inside),
        ..node.clone()
    };
    Layer {
        networks: layer.networks.clone(),
        nodes: layer.nodes.iter().map(node).collect(),
    }
}

fn stamp(path: &Path) -> Result<Stamp<'_>, Fault> {
    let found = std::fs::metadata(path);
    let found = found.map_err(Fault::io(format!("Cannot look at {}", path.display())))?;
    Ok(Stamp {
        path,
        inode: found.ino(),
        bytes: found.len(),
        changed: (found.mtime(), found.mtime_nsec()),
    })
}

/// Another name for a file to which nobody writes; a copy where that cannot be.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), Fault> {
    let _ = std::fs::remove_file(to);
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    nestlab_sys::cow::copy(from, to).map_err(Fault::io(format!("Cannot make {}", to.display())))
}
