//! What is written down about a snapshot: its files with their digests, and what
//! its machines can be taken up by. Written last: without it there is no snapshot.

use crate::container::WRITTEN;
use crate::{Fault, record};
use nestlab_api::message::Snapshot;
use nestlab_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
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
            stored += settle(&whole).map_err(cannot())?;
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

/// Brings what lies at a path to disk, and all below it; tells the bytes that it takes.
fn settle(path: &Path) -> io::Result<u64> {
    let kind = fs::symlink_metadata(path)?;
    if kind.is_dir() {
        return entries(path)?.iter().map(|entry| settle(entry)).sum();
    }
    if kind.is_file() {
        File::open(path)?.sync_all()?;
    }
    Ok(kind.blocks() * 512)
}

/// What lies at a path: a file, or the tree of what a container has written.
fn sum(path: &Path) -> io::Result<Sum> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => sum_tree(path),
        false => sum_file(path),
    }
}

/// Every entry of a tree, each with what it is and holds. A container gives its files any
/// name, so none of them is written down.
fn sum_tree(root: &Path) -> io::Result<Sum> {
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let kind = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(root).unwrap_or(&path).as_os_str();
        let mut held = |kind: &[u8]| {
            hasher.update(name.len().to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(kind);
        };
        for number in [kind.mode(), kind.uid(), kind.gid()] {
            held(&number.to_le_bytes());
        }
        if kind.is_dir() {
            left.extend(entries(&path)?);
        } else if kind.is_symlink() {
            held(fs::read_link(&path)?.as_os_str().as_bytes());
        } else if kind.is_file() {
            let file = sum_file(&path)?;
            bytes += file.bytes;
            held(&file.sha256.0);
        }
    }
    Ok(Sum {
        bytes,
        sha256: Digest(hasher.finalize().into()),
    })
}

/// What is in a folder, in an order that is always the same.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    entries.map(|mut paths| {
        paths.sort();
        paths
    })
}

fn sum_file(path: &Path) -> io::Result<Sum> {
    let mut hasher = Sha256::new();
    nestlab_sys::cow::visit(path, |offset, pages| {
        for (at, page) in (offset..).step_by(PAGE).zip(pages.chunks(PAGE)) {
            hasher.update(at.to_le_bytes());
            hasher.update(page);
        }
        Ok(())
    })?;
    Ok(Sum {
        bytes: fs::metadata(path)?.len(),
        sha256: Digest(hasher.finalize().into()),
    })
}

/// Every file below a folder, by its path from there; the tree of a container as one.
fn files_below(folder: &Path, below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(below));
    let mut files = Vec::new();
    for entry in entries.into_iter().flatten().flatten() {
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != WRITTEN => {
                files.extend(files_below(folder, &path))
            }
            _ => files.push(path),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_a_container_is_one_entry_and_any_change_of_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("nodes/box").join(WRITTEN);
        fs::create_dir_all(tree.join("upper/below")).unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"\xff");
        fs::write(tree.join("upper").join(odd), "what").unwrap();
        std::os::unix::fs::symlink("/nowhere", tree.join("upper/link")).unwrap();
        let kept = || {
            let _ = fs::remove_file(folder.path().join(NAME));
            Manifest::write(folder.path(), "aa", Vec::new(), snapshot()).unwrap();
            let manifest = Manifest::read(folder.path()).unwrap();
            let names: Vec<_> = manifest.files.keys().cloned().collect();
            assert_eq!(names, [Path::new("nodes/box").join(WRITTEN)]);
            manifest
        };
        let is_damaged = |manifest: &Manifest| manifest.check(folder.path(), "aa", &[]).is_err();

        let manifest = kept();
        assert!(!is_damaged(&manifest));
        fs::write(tree.join("upper").join(odd), "that").unwrap();
        assert!(is_damaged(&manifest));
        let manifest = kept();
        fs::remove_file(tree.join("upper/link")).unwrap();
        std::os::unix::fs::symlink("/nowhere2", tree.join("upper/link")).unwrap();
        assert!(is_damaged(&manifest));
        let manifest = kept();
        fs::rename(tree.join("upper").join(odd), tree.join("upper/below/x")).unwrap();
        assert!(is_damaged(&manifest));
    }

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
