//! Snapshots: a lab at rest that is kept beside the lab, to go back to and to fork
//! from.
//!
//! ```text
//! save:    freeze, name its files in .NAME, thaw ─► memory to disk, compressed on
//!            request, all digested ─► manifest ─► .NAME becomes NAME
//! restore: digests compared, a copy made ─► what runs is ended ─► the copy takes
//!            its place ─► wakes
//! ```
//!
//! Whatever breaks off in the middle of a save leaves a name with a dot, which is no
//! snapshot; in the middle of a restore, the lab as it was or as it shall be.

mod manifest;
mod packed;

use crate::carry::{blocking, to_the_end};
use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::fork::Containers;
use crate::still::{Home, Ports, Still};
use crate::stop::pull_the_plug;
use crate::{Fault, memory, record};
use manifest::Manifest;
use nestlab_api::message::{Outcome, PauseRequest, Snapshot, SnapshotNode, SnapshotRequest};
use nestlab_backend::{Mapping, MemoryFile};
use nestlab_model::NodeState;
use packed::Unpacked;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

impl Engine {
    /// Keeps the lab as it is now under a name: `snapshot-1` and on where none is
    /// given. Once begun it is carried to its end, even if the caller goes away.
    ///
    /// # Errors
    /// The name is taken or is none; a node is neither ready, paused nor at rest;
    /// something could not be frozen or written. The lab goes on all the same, and
    /// of the snapshot nothing is left.
    pub async fn save_snapshot(&self, request: &SnapshotRequest) -> Result<Snapshot, Fault> {
        let (engine, request) = (self.clone(), request.clone());
        let work = async move {
            let _alone = engine.0.forking.lock().await;
            let name = engine.new_name(request.name.clone())?;
            let part = Part(engine.home(&engine.folder_of(&format!(".{name}")))?);
            part.0.clear();
            engine.save_to(name, &request, &part.0).await
        };
        to_the_end("The snapshot", work).await
    }

    async fn save_to(
        &self,
        name: String,
        request: &SnapshotRequest,
        home: &Home,
    ) -> Result<Snapshot, Fault> {
        let containers = Containers::of(request.disks_only);
        let copy = |still: &Still| still.copy_to(home);
        let ((), frozen) = self.while_still(containers, copy).await?;
        let compressed = request.compress;
        let engine = self.clone();
        let (folder, on_tmpfs) = (home.folder.clone(), home.memory.clone());
        let programs = self.programs().await;
        let keep = move || {
            bring_memory(&folder, &on_tmpfs)?;
            let still = Still::read(&folder)?;
            if compressed {
                packed::pack(&still)?;
            }
            let snapshot = Snapshot {
                nodes: nodes_of(&still),
                compressed,
                name,
                created: now(),
                pause_seconds: frozen.pause_seconds,
                bytes: 0,
            };
            let snapshot = Manifest::write(&folder, &still.spec.lab_id, programs, snapshot)?;
            let kept = engine.folder_of(&snapshot.name);
            nestlab_sys::dir::rename(&folder, &kept)
                .map_err(Fault::io(format!("Cannot make {}", kept.display())))?;
            Ok(snapshot)
        };
        blocking("The keeping of a snapshot", keep).await
    }

    /// All snapshots, the oldest first.
    ///
    /// # Errors
    /// A manifest is damaged.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Fault> {
        let entries = std::fs::read_dir(self.snapshots_folder());
        let names = entries.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut found = Vec::new();
        for name in names.filter(|name| is_name(name)) {
            found.push(Manifest::read(&self.folder_of(&name))?.snapshot);
        }
        found.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        Ok(found)
    }

    /// Makes the lab what it was when a snapshot was saved, and lets it go on from
    /// there. What it has become since is lost.
    ///
    /// # Errors
    /// There is no such snapshot, it is damaged or cannot be taken up here: nothing
    /// that runs was touched then. Or a node does not wake.
    pub async fn restore_snapshot(&self, name: &str) -> Result<Outcome, Fault> {
        let (engine, name) = (self.clone(), name.to_owned());
        let work = async move {
            let _alone = engine.0.forking.lock().await;
            let (still, unpacked) = engine.open_snapshot(&name).await?;
            let part = Part(engine.home(&engine.0.config.state_dir.join("restoring"))?);
            part.0.clear();
            still.copy_to(&part.0)?;
            drop(unpacked);
            engine.replace(still, &part.0).await?;
            engine.unpause(&PauseRequest::as_it_was()).await
        };
        to_the_end("The restore", work).await
    }

    /// Puts the nodes of a copy in the place of what stands here.
    async fn replace(&self, still: Still, copy: &Home) -> Result<(), Fault> {
        let mut held = Vec::new();
        for cell in self.cells() {
            held.push(cell.interrupt().await);
            if let Some(live) = cell.live() {
                cell.enter(NodeState::Halting);
                pull_the_plug(&cell, &live).await?;
            }
            self.0.ground.remove_taps(&cell.name).await?;
        }
        let nodes = self.0.config.state_dir.join("nodes");
        nestlab_sys::dir::exchange(&copy.nodes(), &nodes)
            .map_err(Fault::io(format!("Cannot replace {}", nodes.display())))?;
        let kept: BTreeSet<_> = still.nodes.iter().map(|node| node.name.clone()).collect();
        self.put_layer(still.spec.clone())?;
        for cell in self.cells() {
            self.take_up(&cell)?;
            if !kept.contains(&cell.name) && still.spec.layer.node(&cell.name).is_none() {
                self.forget(&cell.name);
            }
        }
        Ok(())
    }

    /// Has a node be what is written down about it now.
    fn take_up(&self, cell: &NodeCell) -> Result<(), Fault> {
        cell.forget_boot();
        let state = match cell.load()? {
            Some(record) if record.saved.is_some() => NodeState::Saved,
            Some(_) => NodeState::Halted,
            None => NodeState::Absent,
        };
        cell.tidy_memory();
        cell.enter(state);
        Ok(())
    }

    /// Removes a snapshot. What other labs were made from it stays with them.
    ///
    /// # Errors
    /// There is no such snapshot, or it cannot be removed.
    pub async fn delete_snapshot(&self, name: &str) -> Result<(), Fault> {
        let _alone = self.0.forking.lock().await;
        let folder = self.existing(name)?;
        let going = self.folder_of(&format!(".{name}"));
        let cannot = || Fault::io(format!("Cannot remove the snapshot `{name}`"));
        let _ = std::fs::remove_dir_all(&going);
        std::fs::rename(folder, &going).map_err(cannot())?;
        std::fs::remove_dir_all(going).map_err(cannot())
    }

    /// Reads a snapshot whose files are what they were and which can be taken up
    /// here. It may be copied as long as what was unpacked of it is held.
    pub(crate) async fn open_snapshot(&self, name: &str) -> Result<(Still, Unpacked), Fault> {
        let folder = self.existing(name)?;
        let unpacked = self.folder_of(&format!(".{name}.unpacked"));
        let lab_id = self.spec()?.lab_id.clone();
        let programs = self.programs().await;
        let check = move || {
            Manifest::read(&folder)?.check(&folder, &lab_id, &programs)?;
            let mut still = Still::read(&folder)?;
            let gone = still.needs().find(|path| !path.exists());
            if let Some(gone) = gone {
                let message = format!("It needs {}, which is gone", gone.display());
                return Err(Fault::new(message));
            }
            let unpacked = Unpacked::of(&mut still, unpacked)?;
            Ok((still, unpacked))
        };
        let opened = blocking("The check of a snapshot", check).await;
        opened.map_err(|fault| fault.while_doing(format!("The snapshot `{name}` is of no use")))
    }

    /// Removes what an earlier supervisor left in the middle of its work.
    pub(crate) fn clear_unfinished(&self) {
        let entries = std::fs::read_dir(self.snapshots_folder());
        let parts = entries.into_iter().flatten().flatten();
        let parts = parts.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"."));
        let restoring = self.0.config.state_dir.join("restoring");
        for path in parts.map(|entry| entry.path()).chain([restoring]) {
            let _ = std::fs::remove_dir_all(path);
        }
        if let Some(memory) = &self.0.config.memory {
            let _ = std::fs::remove_dir_all(memory.join(ON_TMPFS));
        }
    }

    fn existing(&self, name: &str) -> Result<PathBuf, Fault> {
        let folder = self.folder_of(name);
        if is_name(name) && folder.is_dir() {
            return Ok(folder);
        }
        let known = self.snapshots().unwrap_or_default();
        let known: Vec<String> = known.iter().map(|one| format!("`{}`", one.name)).collect();
        let hint = match known.is_empty() {
            true => "The lab has none; `nestlab snapshot save` makes one".to_owned(),
            false => format!("Its snapshots: {}", known.join(", ")),
        };
        Err(Fault::new(format!("There is no snapshot `{name}`")).with_hint(hint))
    }

    fn new_name(&self, wish: Option<String>) -> Result<String, Fault> {
        let free = |name: &String| !self.folder_of(name).exists();
        let Some(name) = wish else {
            let mut names = (1..).map(|number| format!("snapshot-{number}"));
            return Ok(names.find(free).expect("numbers do not end"));
        };
        if !is_name(&name) {
            return Err(Fault::new(format!("`{name}` is no name for a snapshot")).with_hint(
                format!("Up to {MAX_NAME} letters, digits, dots, dashes and underscores, beginning with a letter or digit"),
            ));
        }
        if !free(&name) {
            return Err(
                Fault::new(format!("There is a snapshot `{name}` already")).with_hint(format!(
                    "Take another name, or `nestlab snapshot delete {name}`"
                )),
            );
        }
        Ok(name)
    }

    fn snapshots_folder(&self) -> PathBuf {
        self.0.config.state_dir.join("snapshots")
    }

    fn folder_of(&self, name: &str) -> PathBuf {
        self.snapshots_folder().join(name)
    }

    /// Where a copy of this very lab is put.
    fn home(&self, folder: &Path) -> Result<Home, Fault> {
        let memory = self.0.config.memory.as_ref().ok_or_else(|| {
            Fault::new("A part of a lab has no snapshots")
                .with_hint("`nestlab snapshot` keeps the whole lab")
        })?;
        Ok(Home {
            lab_id: self.spec()?.lab_id.clone(),
            folder: folder.to_owned(),
            memory: memory.join(ON_TMPFS),
            ports: Ports::Same,
        })
    }

    /// What the saved machines of this level can be taken up by.
    async fn programs(&self) -> Vec<String> {
        let mut programs = Vec::new();
        for backend in &self.0.backends {
            programs.push(backend.state_key().await);
        }
        programs
    }
}

/// Names for memory on the tmpfs, until it has been copied to disk.
const ON_TMPFS: &str = ".snapshot";

/// A copy that is of no use unless it is renamed.
struct Part(Home);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.clear();
        let _ = std::fs::remove_dir_all(&self.0.folder);
    }
}

/// Copies the memory of all nodes from the tmpfs into their folders.
fn bring_memory(folder: &Path, on_tmpfs: &Path) -> Result<(), Fault> {
    for node in Still::read(folder)?.nodes {
        let from = on_tmpfs.join(node.name.as_str());
        if !from.exists() {
            continue;
        }
        let to = node.folder.join(memory::ON_DISK);
        nestlab_sys::cow::copy(&from, &to).map_err(Fault::io(format!(
            "Cannot keep the memory of node `{}`",
            node.record.node.name
        )))?;
        let _ = std::fs::remove_file(&from);
        let mut record = node.record;
        if let Some(saved) = &mut record.saved {
            saved.memory_file = Some(MemoryFile {
                path: to,
                mapping: Mapping::Private,
            });
        }
        record::write(&record::node_path(&node.folder), &record)?;
    }
    Ok(())
}

fn nodes_of(still: &Still) -> Vec<SnapshotNode> {
    let nodes = still.nodes.iter().map(|node| SnapshotNode {
        path: still.spec.path.child(&node.name),
        state: match node.record.saved {
            Some(_) => NodeState::Saved,
            None => NodeState::Halted,
        },
    });
    nodes.collect()
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(plain)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for good in ["a", "before-upgrade", "1.2_3"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", ".a", "a/b", "-a", "ä", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
