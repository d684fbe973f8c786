//! What is written down about a snapshot: its files with their digests, and what
//! its machines can be taken up by. Written last: without it there is no snapshot.

use crate::{Fault, record};
use nestlab_api::message::Snapshot;
use nestlab_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const NAME: &str = "snapshot.json";

/// What is digested at once, in bytes.
const PAGE: usize = 4096;

/// `snapshot.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// What is told of it.
    pub snapshot: Snapshot,
    /// The lab that it was made of.
    lab_id: String,
    /// What can take up its machines (`Backend::state_key`).
    programs: Vec<String>,
    /// Every other file, by its path in the folder.
    files: BTreeMap<PathBuf, Sum>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    /// Its length, holes included.
    bytes: u64,
    /// SHA-256 of all pages that are not empty, each after its offset.
    sha256: Digest,
}

impl Manifest {
    /// Digests a folder that is complete but for the manifest, sees to it that all of
    /// it is on disk, and adds the manifest.
    pub fn write(
        folder: &Path,
        lab_id: &str,
        programs: Vec<String>,
        snapshot: Snapshot,
    ) -> Result<Snapshot, Fault> {
        let mut files = BTreeMap::new();
        let mut stored = 0;
        for path in files_below(folder, Path::new("")) {
            let whole = folder.join(&path);
            let cannot = || Fault::io(format!("Cannot keep {}", whole.display()));
            let file = File::open(&whole).map_err(cannot())?;
            file.sync_all().map_err(cannot())?;
            stored += file.metadata().map_err(cannot())?.blocks() * 512;
            files.insert(path, sum(&whole).map_err(cannot())?);
        }
        let manifest = Self {
            snapshot: Snapshot {
                bytes: stored,
                ..snapshot
            },
            lab_id: lab_id.to_owned(),
            programs,
            files,
        };
        record::write(&folder.join(NAME), &manifest)?;
        Ok(manifest.snapshot)
    }

    /// Reads a manifest.
    pub fn read(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(NAME);
        record::read(&path)?.ok_or_else(|| Fault::new(format!("{} is missing", path.display())))
    }

    /// Compares the files with what they were, and the programs with what is here.
    pub fn check(&self, folder: &Path, lab_id: &str, programs: &[String]) -> Result<(), Fault> {
        if self.lab_id != lab_id {
            return Err(Fault::new(format!(
                "It is of another lab, {}; this one is {lab_id}",
                self.lab_id
            )));
        }
        if self.programs != programs {
            return Err(Fault::new(format!(
                "It was saved by {}, and here is {}",
                self.programs.join(", "),
                programs.join(", ")
            ))
            .with_hint(
                "Machines go on only where the same version of the VMM runs on the same processor",
            ));
        }
        let present = files_below(folder, Path::new(""));
        let known = |path: &&PathBuf| self.files.contains_key(*path) || path.as_os_str() == NAME;
        if let Some(stranger) = present.iter().find(|path| !known(path)) {
            return Err(damaged(stranger, "is not of the snapshot"));
        }
        for (path, expected) in &self.files {
            match sum(&folder.join(path)) {
                Ok(found) if found == *expected => {}
                Ok(_) => return Err(damaged(path, "is not what was saved")),
                Err(error) => return Err(damaged(path, &format!("cannot be read: {error}"))),
            }
        }
        Ok(())
    }
}

fn damaged(path: &Path, what: &str) -> Fault {
    Fault::new(format!("It is damaged: {} {what}", path.display()))
}

fn sum(path: &Path) -> std::io::Result<Sum> {
    let mut hasher = Sha256::new();
    nestlab_sys::cow::visit(path, |offset, pages| {
        for (at, page) in (offset..).step_by(PAGE).zip(pages.chunks(PAGE)) {
            hasher.update(at.to_le_bytes());
            hasher.update(page);
        }
        Ok(())
    })?;
    Ok(Sum {
        bytes: std::fs::metadata(path)?.len(),
        sha256: Digest(hasher.finalize().into()),
    })
}

/// Every file below a folder, by its path from there.
fn files_below(folder: &Path, below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join(below));
    let mut files = Vec::new();
    for entry in entries.into_iter().flatten().flatten() {
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(folder, &path)),
            _ => files.push(path),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            name: "one".into(),
            created: 1,
            pause_seconds: 0.5,
            nodes: Vec::new(),
            bytes: 0,
            compressed: false,
        }
    }

    #[test]
    fn damage_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("nodes/a")).unwrap();
        std::fs::write(at("nodes/a/machine.state"), "devices").unwrap();
        let made = Manifest::write(folder.path(), "0a", vec!["qemu 1".into()], snapshot()).unwrap();
        assert!(made.bytes > 0);
        let check = |lab: &str, program: &str| {
            let read = Manifest::read(folder.path()).unwrap();
            let checked = read.check(folder.path(), lab, &[program.to_owned()]);
            checked.err().map(|fault| fault.message)
        };
        let complains = |lab: &str, program: &str, words: &str| {
            let message = check(lab, program).expect("it is found");
            assert!(message.contains(words), "{message}");
        };
        assert_eq!(check("0a", "qemu 1"), None);
        complains("0b", "qemu 1", "another lab");
        complains("0a", "qemu 2", "saved by qemu 1, and here is qemu 2");
        std::fs::write(at("nodes/a/machine.state"), "devicez").unwrap();
        complains(
            "0a",
            "qemu 1",
            "nodes/a/machine.state is not what was saved",
        );
        std::fs::remove_file(at("nodes/a/machine.state")).unwrap();
        complains("0a", "qemu 1", "cannot be read");
        std::fs::write(at("nodes/a/more"), "").unwrap();
        complains("0a", "qemu 1", "nodes/a/more is not of the snapshot");
    }
}
