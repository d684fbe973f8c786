//! The memory of machines as files on a tmpfs, so that a fork need not copy it.
//!
//! ```text
//! machine ─shared─► file              its own, written to
//!   after a fork:
//! machine ─private─► file ◄─private─ fork     nobody writes to it any more
//! ```
//!
//! Each lab has a name of its own (a hard link) for a file that it shares with
//! others, so the file goes with the last of them and nothing is counted. What
//! shall outlive a reboot is copied to the node's folder; a machine that goes on
//! begins from there as well.

use crate::Fault;
use crate::carry::blocking;
use crate::cell::{Live, NodeCell};
use crate::engine::Engine;
use nestlab_backend::{MachineSpec, Mapping, MemoryFile};
use nestlab_model::Node;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file in a node's folder that holds its memory.
pub(crate) const ON_DISK: &str = "machine.memory";

/// Where memory is while its node is at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// On the tmpfs, where it may be already, or where [`prepare`] may have begun.
    Memory,
    /// In the node's folder.
    Disk,
}

impl Engine {
    /// A new file for a node's memory; `None` where there is no place for one, or
    /// where the node cannot be copied anyway: its balloon takes pages out of the
    /// file, from which others begin.
    pub(crate) fn memory_file(&self, cell: &NodeCell, node: &Node) -> Option<MemoryFile> {
        let path = cell.memory_path.clone()?;
        if node.balloon || make_room(&path, node.memory.as_bytes()).is_none() {
            return None;
        }
        Some(MemoryFile {
            path,
            mapping: Mapping::Shared,
        })
    }
}

/// Copies what the memory of a running machine began from to where it will be laid
/// down: nobody writes to that, so it need not be copied while the machine stands still.
pub(crate) async fn prepare(cell: &NodeCell) {
    let spec = cell.live_now().map(|live| live.machine.record().spec);
    let began = spec
        .filter(MachineSpec::began_from_file)
        .and_then(|spec| Some((spec.memory_file?.path, spec.memory.as_bytes())));
    let (Some((from, bytes)), Some(path)) = (began, &cell.memory_path) else {
        return;
    };
    let part = part(path);
    if make_room(&part, bytes).is_none() {
        return;
    }
    let to = part.clone();
    let copied = blocking("The copy of memory", move || {
        nestlab_sys::cow::copy(&from, &to).map_err(Fault::io("Cannot copy memory"))
    });
    if let Err(fault) = copied.await {
        tracing::debug!(%fault, path = %cell.path, "memory is copied later");
        let _ = std::fs::remove_file(&part);
    }
}

/// Drops what was prepared and not used.
pub(crate) fn forget_prepared(cell: &NodeCell) {
    if let Some(path) = &cell.memory_path {
        let _ = std::fs::remove_file(part(path));
    }
}

fn part(path: &Path) -> PathBuf {
    path.with_extension("part")
}

/// Sees to it that a file holds the memory of a paused machine, and tells which.
/// `None` if none can: it is saved with the devices then.
pub(crate) async fn lay_down(cell: &NodeCell, live: &Live, rest: Rest) -> Option<PathBuf> {
    let spec = live.machine.record().spec;
    let at_work = spec.memory_file.as_ref()?;
    let path = match rest {
        Rest::Memory if spec.shares_memory() => return Some(at_work.path.clone()),
        Rest::Memory => cell.memory_path.clone()?,
        Rest::Disk => cell.folder.join(ON_DISK),
    };
    let part = part(&path);
    match rest {
        Rest::Memory if part.exists() => {}
        Rest::Memory => make_room(&part, spec.memory.as_bytes())?,
        // Left by somebody who was killed in the middle.
        Rest::Disk => drop(std::fs::remove_file(&part)),
    }
    let written = live.machine.write_memory(&part).await;
    if let (Ok(()), Rest::Disk) = (&written, rest)
        && let Err(error) = nestlab_sys::disk::sync(&part)
    {
        tracing::warn!(%error, path = %cell.path, "memory cannot be brought to disk");
        let _ = std::fs::remove_file(&part);
        return None;
    }
    // A machine that began from an older one keeps that, under no name of ours.
    match written.map(|()| std::fs::rename(&part, &path)) {
        Ok(Ok(())) => Some(path),
        Ok(Err(error)) => {
            tracing::warn!(%error, path = %cell.path, "memory cannot be put in its place");
            None
        }
        Err(error) => {
            tracing::warn!(%error, path = %cell.path, "memory is saved with the devices");
            None
        }
    }
}

/// Where the file is from which a saved machine of a node in `folder` begins;
/// `None` if its memory was saved with the devices. It may have been saved in the
/// folder of another lab, from which this one was copied.
pub(crate) fn of(folder: &Path, on_tmpfs: Option<&Path>, saved: &MachineSpec) -> Option<PathBuf> {
    let file = saved
        .memory_file
        .as_ref()
        .filter(|_| saved.began_from_file())?;
    match file.path.file_name() {
        Some(name) if name == ON_DISK => Some(folder.join(ON_DISK)),
        _ => on_tmpfs.map(Path::to_owned),
    }
}

impl NodeCell {
    /// As [`of`], of this node.
    pub(crate) fn memory_of(&self, saved: &MachineSpec) -> Option<PathBuf> {
        of(&self.folder, self.memory_path.as_deref(), saved)
    }

    /// Drops what is left of the node's memory beside the file that it needs, to
    /// go on from or at work. Others that share it keep it.
    pub(crate) fn tidy_memory(&self) {
        let record = self.record();
        let needed = record.and_then(|record| match (record.saved, record.machine) {
            (Some(saved), _) => self.memory_of(&saved),
            (None, Some(machine)) => machine.spec.memory_file.map(|file| file.path),
            (None, None) => None,
        });
        for path in [Some(self.folder.join(ON_DISK)), self.memory_path.clone()] {
            if path != needed {
                path.map(std::fs::remove_file);
            }
        }
    }

    /// Drops the node's memory; others that share it keep it.
    pub(crate) fn drop_memory(&self) {
        for path in [Some(self.folder.join(ON_DISK)), self.memory_path.clone()] {
            path.map(std::fs::remove_file);
        }
    }
}

/// Clears the way for a file, if all of it would fit: a tmpfs that is full ends a
/// machine by SIGBUS in the middle of a write to its memory.
pub(crate) fn make_room(path: &Path, bytes: u64) -> Option<()> {
    let folder = path.parent()?;
    nestlab_sys::dir::make_private(folder).ok()?;
    let _ = std::fs::remove_file(path);
    let free = nestlab_sys::disk::free_bytes(folder).ok()?;
    (free >= bytes.saturating_add(promised(folder.parent()?))).then_some(())
}

/// Bytes that the files of all our labs may still grow by.
fn promised(labs: &Path) -> u64 {
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    files(labs)
        .flat_map(|lab| files(&lab.path()).collect::<Vec<_>>())
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len().saturating_sub(file.blocks() * 512))
        .sum()
}
