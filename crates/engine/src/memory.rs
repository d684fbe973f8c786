//! The memory of machines as files on a tmpfs, so that a fork need not copy it.
//!
//! ```text
//! machine ─shared─► file              its own, written to
//!   after a fork:
//! machine ─private─► file ◄─private─ fork     nobody writes to it any more
//! ```
//!
//! Each lab has a name of its own (a hard link) for a file that it shares with
//! others, so the file goes with the last of them and nothing is counted.

use crate::cell::NodeCell;
use crate::engine::Engine;
use nestlab_backend::{Mapping, MemoryFile};
use nestlab_model::Node;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl Engine {
    /// A new file for a node's memory; `None` where there is no place for one, or
    /// where the node cannot be copied anyway: its balloon takes pages out of a
    /// file as well (QEMU: a balloon and `x-ignore-shared` exclude each other).
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

impl NodeCell {
    /// Whether the node was saved without its memory, which is in the file.
    pub(crate) fn keeps_memory(&self) -> bool {
        let saved = self.record().and_then(|record| record.saved);
        saved.is_some_and(|spec| spec.began_from_file())
    }

    /// Drops the node's memory; others that share it keep it.
    pub(crate) fn drop_memory(&self) {
        if let Some(path) = &self.memory_path {
            let _ = std::fs::remove_file(path);
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
