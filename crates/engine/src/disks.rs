//! The disks of a node: thin overlays over images, empty disks beside them.
//!
//! Where a disk is frozen a new overlay is put over it, under the next number:
//! `root.2.qcow2` over `root.1.qcow2` over `root.qcow2` over the image. The last one
//! is written to. Frozen files are the same in every lab that was forked (hard
//! links), and find each other by their plain names, in whichever lab's folder. No
//! name is ever given to another file: a VMM that is at work may open it anew.

use crate::cell::NodeCell;
use crate::{BaseImage, Fault};
use nestlab_backend::{Disk, DiskFormat};
use nestlab_model::Node;
use std::path::{Path, PathBuf};

/// The disk that a node boots from.
const ROOT: &str = "root";

/// Makes what is missing and returns the node's own disks, the root first.
pub(crate) fn prepare(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Vec<Disk>, Fault> {
    std::fs::create_dir_all(&cell.folder)
        .map_err(Fault::io(format!("Cannot make {}", cell.folder.display())))?;
    let mut disks = vec![root(cell, node, base)?];
    for spec in &node.disks {
        let name = spec.name.as_str();
        let path = match top(&cell.folder, name) {
            Some(top) => cell.folder.join(file(name, top)),
            None => {
                let path = cell.folder.join(file(name, 0));
                make(&path, |path| nestlab_image::create_empty(path, spec.size))?;
                path
            }
        };
        disks.push(own(name.to_owned(), path));
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
    let number = top(&cell.folder, ROOT);
    let path = cell.folder.join(file(ROOT, number.unwrap_or(0)));
    if number.is_none() {
        let format = match base.format {
            DiskFormat::Raw => nestlab_image::ImageFormat::Raw,
            DiskFormat::Qcow2 => nestlab_image::ImageFormat::Qcow2,
        };
        make(&path, |path| {
            nestlab_image::create_overlay(path, &base.path, format, size)
        })?;
    }
    Ok(own(ROOT.into(), path))
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
        for name in (0..top).map(|number| file(&disk, number)) {
            link(&from.join(&name), &to.join(&name))?;
        }
        if let Some(last) = top.checked_sub(1) {
            let below = file(&disk, last);
            let source = from.join(&below);
            make(&to.join(file(&disk, top)), |new| over(new, &source, &below))?;
        }
    }
    Ok(())
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
    top(folder, ROOT).is_some()
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
    let there = |number: &u32| folder.join(file(disk, *number)).exists();
    (0..).take_while(there).last()
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
