//! What is written down about a node, so that another process can go on.
//!
//! One folder per node: `node.json` (this record), its disks, its logs.

use crate::Fault;
use nestlab_backend::{MachineRecord, MachineSpec};
use nestlab_model::Node;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the records. A reader refuses newer ones.
const VERSION: u32 = 1;

/// The largest record that is read, in bytes. A layer with its scripts fits.
const MAX_BYTES: u64 = 64 << 20;

/// The record of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    /// The node as it was when it was last brought up.
    pub node: Node,
    /// Its machine, if one was started and not seen to end.
    pub machine: Option<MachineRecord>,
    /// Provisioners that have succeeded on this disk: name to content digest.
    pub done: BTreeMap<String, String>,
    /// Whether everything asked of the node was true.
    pub ready: bool,
    /// What the machine was whose state is kept in the node's folder.
    #[serde(default)]
    pub saved: Option<MachineSpec>,
    /// Whether it was paused for its own sake when it was saved.
    #[serde(default)]
    pub was_paused: bool,
    /// Whether it ran when it was copied, without what was in its memory: it begins anew
    /// where others of the copy go on.
    #[serde(default)]
    pub restarts: bool,
    /// How long its last start took until its agent answered.
    #[serde(default)]
    pub boot: Option<Duration>,
    /// Why the accelerator is not the best one.
    #[serde(default)]
    pub accelerator_note: Option<String>,
}

impl NodeRecord {
    /// The record of a node that was never started.
    pub fn new(node: &Node) -> Self {
        Self {
            node: node.clone(),
            machine: None,
            done: BTreeMap::new(),
            ready: false,
            saved: None,
            was_paused: false,
            restarts: false,
            boot: None,
            accelerator_note: None,
        }
    }

    /// Notes that its machine has ended. A node that was saved is as ready as it
    /// was once it goes on.
    pub fn end_machine(&mut self) {
        self.machine = None;
        self.ready &= self.saved.is_some();
    }
}

/// Where the record of a node is, in its folder.
pub(crate) fn node_path(folder: &Path) -> PathBuf {
    folder.join("node.json")
}

/// Where the devices of a saved machine are, and its memory if that is in no file.
pub(crate) fn state_path(folder: &Path) -> PathBuf {
    folder.join("machine.state")
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

/// Writes a record so that a reader sees the old or the new one, never half.
pub(crate) fn write<T: Serialize>(path: &Path, content: &T) -> Result<(), Fault> {
    let text = serde_json::to_vec_pretty(&Versioned {
        version: VERSION,
        content,
    })
    .expect("records hold nothing that JSON cannot");
    write_atomically(path, &text).map_err(Fault::io(format!("Cannot write {}", path.display())))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    nestlab_sys::atomic::write_with_mode(path, bytes, 0o644)
}

/// Reads a record; `None` if there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Fault> {
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::io(format!("Cannot read {}", path.display()))(error)),
    };
    let damaged = |why: String| {
        Fault::new(format!("The record {} is damaged: {why}", path.display()))
            .with_hint("`nestlab destroy` removes the lab; the lab file and the images stay")
    };
    if length > MAX_BYTES {
        return Err(damaged(format!("it has {length} bytes")));
    }
    let bytes =
        std::fs::read(path).map_err(Fault::io(format!("Cannot read {}", path.display())))?;
    let record: Versioned<T> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if record.version > VERSION {
        return Err(damaged(format!(
            "version {} is newer than this program",
            record.version
        )));
    }
    Ok(Some(record.content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        assert!(read::<BTreeMap<String, u32>>(&path).unwrap().is_none());
        write(&path, &BTreeMap::from([("x".to_owned(), 1)])).unwrap();
        let back: BTreeMap<String, u32> = read(&path).unwrap().unwrap();
        assert_eq!(back["x"], 1);
        std::fs::write(&path, "{\"version\": 1, ").unwrap();
        assert!(
            read::<BTreeMap<String, u32>>(&path)
                .unwrap_err()
                .message
                .contains("damaged")
        );
        std::fs::write(&path, "{\"version\": 99}").unwrap();
        assert!(
            read::<BTreeMap<String, u32>>(&path)
                .unwrap_err()
                .message
                .contains("newer")
        );
    }
}
