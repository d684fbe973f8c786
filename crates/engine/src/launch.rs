//! From a node's description to a running machine.

use crate::carry::to_the_end;
use crate::cell::{Live, NodeCell};
use crate::console::ConsoleHub;
use crate::engine::Engine;
use crate::{BaseImage, Fault, KitParts, disks, firmware, link, lower};
use nestlab_backend::{BootSpec, Disk, DiskFormat, FirmwareSpec, Machine, MachineSpec, Nic, Start};
use nestlab_model::{Accelerator, EventKind, FileSource, Node, NodeKind, NodeState, Stage};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OwnedMutexGuard, oneshot};

/// What a node's machine is made from.
pub(crate) struct Parts {
    pub kit: KitParts,
    pub base: BaseImage,
    /// The images of everything that stands inside it.
    pub inner: Vec<BaseImage>,
}

/// How a node's first program comes to run, and the disks that it finds.
pub(crate) struct Body {
    pub start: Start,
    pub disks: Vec<Disk>,
}

impl Engine {
    /// Makes a node's disks and decides all that its machine will be.
    pub(crate) async fn shape(
        &self,
        cell: &Arc<NodeCell>,
        node: &Node,
        parts: &Parts,
    ) -> Result<MachineSpec, (Stage, Fault)> {
        cell.enter_stage(Stage::Disks);
        let body = match node.kind {
            NodeKind::Vm => self.machine_body(cell, node, parts).await,
            NodeKind::Container => self.container_body(cell, node, parts).await,
        };
        let body = body.map_err(|fault| (Stage::Disks, fault))?;
        cell.enter_stage(Stage::Launch);
        self.machine_spec(cell, node, parts, body)
            .await
            .map_err(|fault| (Stage::Launch, fault))
    }

    async fn machine_body(
        &self,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
    ) -> Result<Body, Fault> {
        let own = disks::prepare(cell, node, &parts.base)?;
        let mut disks = all_disks(own, parts);
        disks.extend(self.seed(cell, node, parts).await?);
        let start = match firmware::of(node, &parts.base) {
            None => Start::Kernel(self.boot(node, &parts.kit)?),
            Some(firmware) => Start::Firmware(FirmwareSpec {
                firmware,
                variables: firmware::variables(&cell.folder),
            }),
        };
        Ok(Body { start, disks })
    }

    /// Finds what a node's machine is made from, making it where this level can.
    pub(crate) async fn parts(
        &self,
        cell: &NodeCell,
        node: &Node,
    ) -> Result<Parts, (Stage, Fault)> {
        cell.enter_stage(Stage::Image);
        let progress = self.progress(cell, Stage::Image);
        let find = async {
            let inner = lower::find_images(self, node, &progress);
            Ok(Parts {
                kit: self.kit(&progress).await?,
                base: self.image(&node.image, &progress).await?,
                inner: inner.await?.into_values().collect(),
            })
        };
        find.await.map_err(|fault| (Stage::Image, fault))
    }

    /// Decides what a node runs on, and says so.
    pub(crate) async fn tell_accelerator(
        &self,
        cell: &NodeCell,
        node: &Node,
        kit: &KitParts,
    ) -> Result<Accelerator, Fault> {
        let backend = self.backend(node)?;
        let choice = self.choose_accelerator(&backend, node, kit).await?;
        cell.tell(EventKind::Accelerator {
            accelerator: choice.accelerator,
            reason: choice.note.clone(),
        });
        cell.amend(node, |record| record.accelerator_note = choice.note.clone())?;
        Ok(choice.accelerator)
    }

    async fn machine_spec(
        &self,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
        body: Body,
    ) -> Result<MachineSpec, Fault> {
        let accelerator = self.tell_accelerator(cell, node, &parts.kit).await?;
        let spec = self.spec()?;
        let is_machine = node.kind == NodeKind::Vm;
        let nics = match is_machine {
            true => self.nics(&spec, node).await?,
            false => Vec::new(),
        };
        let memory = is_machine.then(|| self.memory_file(cell, node));
        Ok(MachineSpec {
            lab_id: spec.lab_id.clone(),
            path: cell.path.clone(),
            run_dir: cell.run_dir.clone(),
            cpus: node.cpus,
            memory: node.memory,
            accelerator,
            nested: node.nested,
            balloon: node.balloon,
            boot: body.start,
            disks: body.disks,
            nics,
            memory_file: memory.flatten(),
        })
    }

    pub(crate) fn boot(&self, node: &Node, kit: &KitParts) -> Result<BootSpec, Fault> {
        Ok(BootSpec {
            kernel: self.boot_file(&node.boot.kernel, &kit.kernel)?,
            initrd: self.boot_file(&node.boot.initrd, &kit.initramfs)?,
            cmdline: node.boot.cmdline.clone().unwrap_or_default(),
        })
    }

    /// The user's own kernel or initramfs, or the kit's.
    fn boot_file(&self, own: &Option<FileSource>, kit: &Path) -> Result<PathBuf, Fault> {
        match own {
            None => Ok(kit.to_owned()),
            Some(FileSource::Host(path)) => Ok(path.clone()),
            Some(FileSource::Blob(digest)) => Ok(self.blobs().join(digest.hex())),
            Some(other) => Err(Fault::new(format!("A kernel cannot come from {other:?}"))),
        }
    }

    async fn nics(
        &self,
        spec: &nestlab_api::message::LayerSpec,
        node: &Node,
    ) -> Result<Vec<Nic>, Fault> {
        let mut nics = Vec::new();
        for endpoint in &node.endpoints {
            let network = spec
                .layer
                .network(&endpoint.network)
                .ok_or_else(|| Fault::new(format!("There is no network `{}`", endpoint.network)))?;
            nics.push(Nic {
                tap: self.0.ground.tap(&node.name, &endpoint.network).await?,
                mac: endpoint.mac,
                mtu: network.mtu,
            });
        }
        Ok(nics)
    }

    /// Starts a node's machine. If the caller goes away in the middle, the
    /// machine is still written down, so that it can be found again; `work`,
    /// the node's lock, is held until then.
    pub(crate) async fn create(
        &self,
        cell: &Arc<NodeCell>,
        node: &Node,
        spec: MachineSpec,
        work: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Live, Fault> {
        let backend = self.backend(node)?;
        let place = self.0.ground.place().await;
        let (engine, cell, node) = (self.clone(), cell.clone(), node.clone());
        // A VMM that was started is written down even if nobody waits for it.
        let work = async move {
            let _work = work;
            let machine = backend.create(&spec, place.as_ref()).await?;
            cell.amend(&node, |record| {
                record.node = node.clone();
                record.machine = Some(machine.record());
                record.ready = false;
                record.restarts = false;
            })?;
            cell.forget_boot();
            Ok(engine.hold(&cell, machine))
        };
        to_the_end("The launch", work).await
    }

    /// Takes a running machine into care: its console, its link, its end.
    pub(crate) fn hold(&self, cell: &Arc<NodeCell>, machine: Arc<dyn Machine>) -> Live {
        let (console, console_task) =
            ConsoleHub::start(machine.console(), cell.log_path("console"));
        let (agent, link, link_task) = link::maintain(machine.link(), cell, self);
        let (held, in_care) = oneshot::channel();
        let watcher = tokio::spawn(watch_end(cell.clone(), machine.clone(), in_care));
        let tasks = vec![console_task, link_task, watcher.abort_handle()];
        let live = Live::new(machine, agent, console, link, tasks);
        cell.set_live(Some(live.clone()));
        let _ = held.send(());
        live
    }
}

/// Notices that a machine has ended though nobody asked it to.
async fn watch_end(cell: Arc<NodeCell>, machine: Arc<dyn Machine>, in_care: oneshot::Receiver<()>) {
    if in_care.await.is_err() {
        return;
    }
    let exit = machine.wait().await;
    // An operation may have noticed first, and started another machine.
    if !cell.holds(&machine) {
        return;
    }
    let state = cell.state();
    let expected = matches!(
        state,
        NodeState::Halting | NodeState::Halted | NodeState::Saved | NodeState::Absent
    );
    if expected {
        return;
    }
    let stage = match state {
        NodeState::Starting { stage } => stage,
        _ => Stage::Boot,
    };
    let fault = Fault::new(format!(
        "The machine of node `{}` has ended: {}",
        cell.path, exit.description
    ))
    .with_hint(format!(
        "`nestlab logs {0}` shows its console; `nestlab up {0}` starts it again",
        cell.path
    ));
    cell.enter(fault.at(stage));
    if cell.record().is_none_or(|record| record.saved.is_none()) {
        cell.drop_memory();
    }
    // Last: this drops the tasks of the machine, this one among them.
    cell.set_live(None);
}

/// The node's own disks, then what is shared read-only: the kit, and the images
/// of everything that stands inside.
pub(crate) fn all_disks(own: Vec<Disk>, parts: &Parts) -> Vec<Disk> {
    let kit = &parts.kit;
    let shared = |serial: String, path: &Path, format| Disk {
        serial,
        path: path.to_owned(),
        format,
        read_only: true,
    };
    let mut disks = own;
    disks.push(shared(kit.serial.clone(), &kit.disk, DiskFormat::Raw));
    let mut seen = BTreeSet::new();
    for image in &parts.inner {
        if seen.insert(image.digest) {
            disks.push(shared(image.serial(), &image.path, image.format));
        }
    }
    disks
}
