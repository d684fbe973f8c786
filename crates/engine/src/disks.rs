//! The disks of a node: thin overlays over images, empty disks beside them.
//!
//! Where a disk is frozen a new overlay is put over it, under the next number:
//! `root.2.qcow2` over `root.1.qcow2` over `root.qcow2` over the image. The last one
//! is written to. Frozen files are the same in every lab that was forked (hard
//! links), and find each other by their plain names, in whichever lab's folder. No
//! name is ever given to another file: a VMM that is at work may open it anew.
//!
//! A disk that shall be larger while its node is halted gets a larger overlay: what is
//! behind the end of the one below reads as zeros.
//!
//! Every fork adds a layer. When they have become many, the VMM copies into the last
//! one what those between it and the first hold, and they go: numbers have gaps then.

use crate::cell::NodeCell;
use crate::{BaseImage, Fault};
use nestlab_backend::{Disk, DiskFormat};
use nestlab_model::{ByteSize, Node};
use std::path::{Path, PathBuf};

/// So many layers of a disk are too many: each start of a machine opens all of them.
const TOO_MANY: usize = 8;

/// The disk that a node boots from.
pub(crate) const ROOT: &str = "root";

/// Makes what is missing and returns the node's own disks, the root first.
pub(crate) fn prepare(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Vec<Disk>, Fault> {
    std::fs::create_dir_all(&cell.folder)
        .map_err(Fault::io(format!("Cannot make {}", cell.folder.display())))?;
    let mut disks = vec![root(cell, node, base)?];
    for spec in &node.disks {
        let name = spec.name.as_str();
        match any_of(&cell.folder, name) {
            true => enlarge(&cell.folder, name, spec.size)?,
            false => make(&cell.folder.join(file(name, 0)), |path| {
                nestlab_image::create_empty(path, spec.size)
            })?,
        }
        disks.push(own(name.to_owned(), at_work(&cell.folder, name)));
    }
    Ok(disks)
}

fn root(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Disk, Fault> {
    let size = node.disk.unwrap_or(base.virtual_size);
    if size < base.virtual_size {
        return Err(Fault::new(format!(
            "Cannot make the disk of node `{}`: `disk: {size}` is smaller than its image of {}",
            cell.path, base.virtual_size
        ))
        .with_hint("Raise `disk`, or leave it out"));
    }
    if any(&cell.folder) {
        enlarge(&cell.folder, ROOT, size)?;
    } else {
        let format = match base.format {
            DiskFormat::Raw => nestlab_image::ImageFormat::Raw,
            DiskFormat::Qcow2 => nestlab_image::ImageFormat::Qcow2,
        };
        make(&cell.folder.join(file(ROOT, 0)), |path| {
            nestlab_image::create_overlay(path, &base.path, format, size)
        })?;
    }
    Ok(own(ROOT.into(), at_work(&cell.folder, ROOT)))
}

/// How large a disk is.
pub(crate) fn size(folder: &Path, disk: &str) -> Result<ByteSize, Fault> {
    let file = at_work(folder, disk);
    nestlab_image::virtual_size(&file)
        .map_err(|error| Fault::caused(format!("Cannot read {}", file.display()), &error))
}

/// Puts a larger overlay over a disk that nobody uses now, if it is smaller.
pub(crate) fn enlarge(folder: &Path, disk: &str, bytes: ByteSize) -> Result<(), Fault> {
    if size(folder, disk)? >= bytes {
        return Ok(());
    }
    let number = top(folder, disk).unwrap_or(0);
    let below = PathBuf::from(file(disk, number));
    let format = nestlab_image::ImageFormat::Qcow2;
    make(&folder.join(file(disk, number + 1)), |new| {
        nestlab_image::create_overlay(new, &below, format, bytes)
    })
}

fn own(serial: String, path: PathBuf) -> Disk {
    Disk {
        serial,
        path,
        format: DiskFormat::Qcow2,
        read_only: false,
    }
}

/// Puts a new overlay over each disk of a node and returns them: nobody who uses
/// those writes to what the node's disks hold now.
pub(crate) fn freeze(cell: &NodeCell) -> Result<Vec<Disk>, Fault> {
    let Some(record) = cell.record() else {
        return Ok(Vec::new());
    };
    let present = present(&cell.folder, &record.node).into_iter();
    let overlays = present.map(|(disk, number)| {
        let below = file(&disk, number);
        let path = cell.folder.join(file(&disk, number + 1));
        make(&path, |new| over(new, &cell.folder.join(&below), &below))?;
        Ok(own(disk, path))
    });
    overlays.collect()
}

/// Gives another folder the frozen disks of a node's, each with an overlay of its
/// own.
pub(crate) fn copy(from: &Path, node: &Node, to: &Path) -> Result<(), Fault> {
    for (disk, top) in present(from, node) {
        let numbers = numbers(from, &disk).into_iter();
        let frozen: Vec<_> = numbers.filter(|number| *number < top).collect();
        for name in frozen.iter().map(|number| file(&disk, *number)) {
            link(&from.join(&name), &to.join(&name))?;
        }
        if let Some(last) = frozen.last() {
            let below = file(&disk, *last);
            let source = from.join(&below);
            make(&to.join(file(&disk, top)), |new| over(new, &source, &below))?;
        }
    }
    Ok(())
}

/// The disks of a node that have too many layers, each with the first of them.
pub(crate) fn crowded(folder: &Path, node: &Node) -> Vec<(String, PathBuf)> {
    let disks = present(folder, node).into_iter();
    let crowded = disks.filter_map(|(disk, _)| {
        let numbers = numbers(folder, &disk);
        let first = folder.join(file(&disk, *numbers.first()?));
        (numbers.len() >= TOO_MANY).then_some((disk, first))
    });
    crowded.collect()
}

/// Forgets the layers of a disk between the first and the last, which holds what they
/// held.
pub(crate) fn forget_between(folder: &Path, disk: &str) {
    if let [_, between @ .., _] = numbers(folder, disk).as_slice() {
        for number in between {
            let _ = std::fs::remove_file(folder.join(file(disk, *number)));
        }
    }
}

/// The file of a node's disk that is written to.
pub(crate) fn at_work(folder: &Path, disk: &str) -> PathBuf {
    folder.join(file(disk, top(folder, disk).unwrap_or(0)))
}

/// Copies what a node has written to its disks since they were made: of a node of
/// which nothing was ever frozen.
pub(crate) fn copy_written(from: &Path, node: &Node, to: &Path) -> Result<(), Fault> {
    for (disk, number) in present(from, node) {
        let name = file(&disk, number);
        let copied = std::fs::copy(from.join(&name), to.join(&name));
        copied.map_err(Fault::io(format!("Cannot copy the disk {name}")))?;
    }
    Ok(())
}

/// Whether a node has any disk.
pub(crate) fn any(folder: &Path) -> bool {
    any_of(folder, ROOT)
}

/// Whether a disk has been made.
fn any_of(folder: &Path, disk: &str) -> bool {
    top(folder, disk).is_some()
}

/// A node's own disks that have been made, each with the number of its last overlay.
fn present(folder: &Path, node: &Node) -> Vec<(String, u32)> {
    let extra = node.disks.iter().map(|disk| disk.name.to_string());
    std::iter::once(ROOT.to_owned())
        .chain(extra)
        .filter_map(|disk| top(folder, &disk).map(|top| (disk, top)))
        .collect()
}

/// The number of a disk's last overlay, if it has been made.
fn top(folder: &Path, disk: &str) -> Option<u32> {
    numbers(folder, disk).last().copied()
}

/// The numbers of a disk's layers, upwards.
fn numbers(folder: &Path, disk: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| number(&name, disk)).collect();
    numbers.sort_unstable();
    numbers
}

/// The number in the name of a disk's layer.
fn number(name: &str, disk: &str) -> Option<u32> {
    match name.strip_prefix(disk)?.strip_suffix(".qcow2")? {
        "" => Some(0),
        number => number.strip_prefix('.')?.parse().ok(),
    }
}

fn file(disk: &str, number: u32) -> String {
    match number {
        0 => format!("{disk}.qcow2"),
        _ => format!("{disk}.{number}.qcow2"),
    }
}

/// An overlay as large as another disk, over a file beside it.
fn over(new: &Path, like: &Path, below: &str) -> Result<(), nestlab_image::ImageError> {
    let size = nestlab_image::virtual_size(like)?;
    nestlab_image::create_overlay(
        new,
        Path::new(below),
        nestlab_image::ImageFormat::Qcow2,
        size,
    )
}

fn link(from: &Path, to: &Path) -> Result<(), Fault> {
    std::fs::hard_link(from, to).map_err(Fault::io(format!("Cannot make {}", to.display())))
}

/// Makes a disk under another name first: a half-made disk is never taken for
/// a whole one.
fn make<E: std::error::Error + 'static>(
    path: &PathBuf,
    create: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), Fault> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    create(&new).map_err(|error| {
        Fault::caused(format!("Cannot make the disk {}", path.display()), &error)
    })?;
    std::fs::rename(&new, path).map_err(Fault::io(format!("Cannot make {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_their_names() {
        assert_eq!(number("root.qcow2", "root"), Some(0));
        assert_eq!(number("root.12.qcow2", "root"), Some(12));
        for other in [
            "root.12.new",
            "root.qcow2.12",
            "root2.qcow2",
            "root.a.qcow2",
            "data.qcow2",
        ] {
            assert_eq!(number(other, "root"), None, "{other}");
        }
    }

    #[test]
    fn disks_grow_and_never_shrink() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join(file("data", 0));
        nestlab_image::create_empty(&first, ByteSize::gib(1)).unwrap();
        for (wanted, layers, found) in [(1, 1, 1), (3, 2, 3), (2, 2, 3), (4, 3, 4)] {
            enlarge(folder.path(), "data", ByteSize::gib(wanted)).unwrap();
            assert_eq!(numbers(folder.path(), "data").len(), layers);
            let size = size(folder.path(), "data").unwrap();
            assert_eq!(size, ByteSize::gib(found));
        }
    }

    #[test]
    fn layers_between_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for number in [0, 1, 9, 10, 11] {
            std::fs::write(folder.path().join(file("root", number)), "").unwrap();
        }
        std::fs::write(folder.path().join(file("roots", 3)), "").unwrap();
        assert_eq!(numbers(folder.path(), "root"), [0, 1, 9, 10, 11]);
        forget_between(folder.path(), "root");
        assert_eq!(numbers(folder.path(), "root"), [0, 11]);
        forget_between(folder.path(), "root");
        assert_eq!(
            at_work(folder.path(), "root"),
            folder.path().join("root.11.qcow2")
        );
        assert_eq!(numbers(folder.path(), "roots"), [3]);
    }
}
