//! What is otherwise about a node that is a container: its root is a tree of files and no
//! disk, it may not change its own network, and it cannot be frozen.

use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::launch::{Body, Parts, all_disks};
use crate::{Fault, Plug, Progress};
use nestlab_backend::places::{ALL, CHANGES, LAYER};
use nestlab_backend::{BackendError, ContainerSpec, InnerRoot, Start, Volume};
use nestlab_model::{ImageName, Layer, Node, NodeKind, Stage};
use nestlab_sys::detached::Ids;
use nestlab_sys::dir::short_name;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The users of a container. Those that systemd sets aside for containers, so that no
/// user of this level is among them (its document UIDS-GIDS).
const FIRST_ID: u32 = 0x8_0000;
const LAST_ID: u32 = 0x6fff_ffff;
const IDS: u32 = 0x1_0000;

/// Processes and threads that a container may have if it says nothing.
const PIDS: u32 = 4096;

/// What a layer inside a container needs for its taps.
const TUN: &str = "/dev/net/tun";

/// The folder of what a container writes, below its node's.
pub(crate) const WRITTEN: &str = "container";

impl Engine {
    /// What a container is made from.
    pub(crate) async fn container_body(
        &self,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
    ) -> Result<Body, Fault> {
        let progress = self.progress(cell, Stage::Disks);
        let holds_layer = !node.inside.is_empty();
        let mut devices = node.container.devices.clone();
        if holds_layer && !devices.iter().any(|device| device == TUN) {
            devices.push(TUN.to_owned());
        }
        if let Some(missing) = devices.iter().find(|device| !Path::new(device).exists()) {
            return Err(Fault::new(format!(
                "Node `{}` asks for the device `{missing}`, which is not there",
                cell.path
            ))
            .with_hint("`nestlab doctor` tells what this level has"));
        }
        self.warn_of_no_limits(cell).await;
        let container = ContainerSpec {
            root: self.0.ground.root(&parts.base, &progress).await?,
            image: format!("{}:{}", node.image, parts.base.digest.short()),
            folder: cell.folder.join(WRITTEN),
            kit: parts.kit.tree.clone(),
            hostname: node.name.to_string(),
            ids: self.ids(cell).await?,
            pids: node.container.pids_limit.unwrap_or(PIDS),
            devices,
            capabilities: capabilities(node).into_iter().collect(),
            volumes: existing(cell, &node.container.volumes)?,
            io: node.container.io,
            holds_layer,
            inner_roots: self.inner_roots(node, &progress).await?,
        };
        Ok(Body {
            start: Start::Container(Box::new(container)),
            disks: match holds_layer {
                true => all_disks(Vec::new(), parts),
                false => Vec::new(),
            },
        })
    }

    /// What all containers below it begin from that have only containers between.
    async fn inner_roots(
        &self,
        node: &Node,
        progress: Progress<'_>,
    ) -> Result<Vec<InnerRoot>, Fault> {
        let mut roots = Vec::new();
        for name in containers_images(&node.inside) {
            let image = self.image(&name, progress).await?;
            roots.push(InnerRoot {
                serial: image.serial(),
                lower: self.0.ground.root(&image, progress).await?,
            });
        }
        Ok(roots)
    }

    async fn warn_of_no_limits(&self, cell: &NodeCell) {
        let place = self.0.ground.place().await;
        let why = match place.is_some_and(|place| place.has_user()) {
            true => "that takes root",
            false if nestlab_sys::group::can_be_made() => return,
            false => "it counts as a part of the container around it",
        };
        let words = format!("its memory, processors and processes are not limited: {why}");
        self.warn(&cell.path, words);
    }

    /// Who a container's users are outside: others for every container. `None` where all have
    /// the same: of an ordinary user there is one, and root of a container may shift nobody's
    /// files.
    async fn ids(&self, cell: &NodeCell) -> Result<Option<Ids>, Fault> {
        let place = self.0.ground.place().await;
        let alone = place.is_some_and(|place| place.has_user());
        if alone || !nestlab_sys::users::has_all_ids() {
            return Ok(None);
        }
        if let Some(first) = first_owner(&cell.folder) {
            return Ok(Some(Ids { first, count: IDS }));
        }
        let lab_id = &self.spec()?.lab_id;
        let ranges = (LAST_ID - FIRST_ID) / IDS;
        let name = short_name(&[lab_id, &cell.path.to_string()]);
        let number = u32::from_str_radix(&name[..8], 16).unwrap_or_default() % ranges;
        Ok(Some(Ids {
            first: FIRST_ID + number * IDS,
            count: IDS,
        }))
    }

    /// Gives a container the interfaces that it should have.
    pub(crate) async fn plug(&self, cell: &NodeCell, node: &Node) -> Result<(), Fault> {
        let Some(live) = cell.live().filter(|_| node.kind == NodeKind::Container) else {
            return Ok(());
        };
        let spec = self.spec()?;
        let mut ways_out = 0;
        for (number, endpoint) in node.endpoints.iter().enumerate() {
            let network = spec.layer.network(&endpoint.network);
            let nat = network.filter(|network| network.mode == nestlab_model::NetworkMode::Nat);
            let gateway = nat.map(|network| network.gateway).filter(|_| ways_out == 0);
            ways_out += usize::from(gateway.is_some());
            let plug = Plug {
                network: endpoint.network.clone(),
                interface: format!("eth{number}"),
                mac: endpoint.mac,
                address: endpoint.address,
                gateway,
            };
            let process = live.machine.record().process.pid;
            self.0.ground.plug(&node.name, &plug, process).await?;
        }
        Ok(())
    }

    /// Removes what the container of a node has written where its backend keeps that.
    pub(crate) async fn discard_written(&self, cell: &NodeCell) -> Result<(), Fault> {
        let Some(record) = cell.record().filter(|_| cell.is_container()) else {
            return Ok(());
        };
        let backend = self.backend(&record.node)?;
        match backend.discard(&cell.folder.join(WRITTEN)).await {
            Ok(()) => Ok(()),
            // Who has put it out of work for good shall be rid of the node as well.
            Err(error @ BackendError::NotAtWork { .. }) => {
                let words = format!("what it has written is left: {error}");
                self.warn(&cell.path, words);
                Ok(())
            }
            Err(error) => {
                let cannot = format!("Cannot remove what `{}` has written", cell.path);
                Err(Fault::caused(cannot, &error))
            }
        }
    }

    /// Refuses what copies files where those of a container are somebody else's.
    pub(crate) fn refuse_kept_elsewhere(&self) -> Result<(), Fault> {
        let kept_elsewhere = |cell: &Arc<NodeCell>| {
            let record = cell.record()?;
            let backend = self.backend(&record.node).ok()?;
            (!backend.writes_to_folders()).then(|| (cell.path.clone(), backend.name()))
        };
        match self.cells().iter().find_map(kept_elsewhere) {
            None => Ok(()),
            Some((path, backend)) => Err(Fault::new(format!(
                "The files of node `{path}` are kept by the engine of backend `{backend}`, and cannot be copied"
            ))
            .with_hint(
                "Have it stand in a virtual machine, with which it is copied; or leave `backend:` out",
            )),
        }
    }

    /// Refuses what freezes machines where one of them is a container.
    pub(crate) fn refuse_containers(&self, what: &str, instead: &str) -> Result<(), Fault> {
        let mut cells = self.cells().into_iter();
        let running = cells.find(|cell| cell.live().is_some() && cell.is_container());
        match running {
            None => Ok(()),
            Some(cell) => Err(Fault::new(format!(
                "Node `{}` is a container of this machine, whose processes cannot be {what}",
                cell.path
            ))
            .with_hint(format!("`nestlab halt {}` first; or {instead}", cell.path))),
        }
    }
}

impl NodeCell {
    /// Whether the node is a container.
    pub(crate) fn is_container(&self) -> bool {
        let record = self.record();
        record.is_some_and(|record| record.node.kind == NodeKind::Container)
    }
}

/// What a container is granted beside the usual, with what the containers inside it are: none of
/// them could have what is not had around it.
fn capabilities(node: &Node) -> BTreeSet<String> {
    let own = node.container.cap_add.iter().cloned();
    let inside = node.inside.containers().flat_map(capabilities);
    own.chain(inside).collect()
}

/// The images of the containers of a layer, and of those that stand in these.
fn containers_images(layer: &Layer) -> BTreeSet<ImageName> {
    let mut images = BTreeSet::new();
    for node in layer.containers() {
        images.insert(node.image.clone());
        images.extend(containers_images(&node.inside));
    }
    images
}

/// Gives another folder what the container of a node has written, if the node is one. It
/// does not run, or stands still.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<(), Fault> {
    let (written, copy) = (from.join(WRITTEN), to.join(WRITTEN));
    let files = [ALL, CHANGES, LAYER].map(|name| written.join(name));
    let files: Vec<_> = files.iter().filter(|files| files.exists()).collect();
    let Some(first) = files.first() else {
        return Ok(());
    };
    let cannot = || format!("Cannot copy {}", first.display());
    nestlab_sys::dir::make_private(&copy).map_err(Fault::io(cannot()))?;
    // cp(1) keeps owners, times, links, holes, and what an overlay notes about files.
    let mut command = Command::new("cp");
    if !nestlab_sys::users::is_root() {
        // Folders that an overlay works in are closed to their owner too, but not to root.
        command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "cp"]);
    }
    let copied = command
        .args(["--archive", "--reflink=auto", "--"])
        .args(&files)
        .arg(&copy)
        .output();
    let copied = copied.map_err(Fault::io(cannot()))?;
    match copied.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&copied.stderr);
            let words = words.lines().last().unwrap_or_default();
            Err(Fault::new(format!("{}: {words}", cannot())))
        }
    }
}

/// The owner of what a container has written: its root. A copy of a container keeps the
/// users of the one that it was copied from, whose files these are.
fn first_owner(folder: &Path) -> Option<u32> {
    let owner = std::fs::symlink_metadata(folder.join(WRITTEN).join(CHANGES)).ok()?;
    (FIRST_ID..=LAST_ID - IDS)
        .contains(&owner.uid())
        .then_some(owner.uid())
}

fn existing(cell: &NodeCell, volumes: &[Volume]) -> Result<Vec<Volume>, Fault> {
    match volumes.iter().find(|volume| !volume.source.exists()) {
        None => Ok(volumes.to_vec()),
        Some(missing) => Err(Fault::new(format!(
            "The volume {} of node `{}` is not there",
            missing.source.display(),
            cell.path
        ))
        .with_hint("Make the folder, or correct `volumes:`")),
    }
}
