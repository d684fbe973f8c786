//! The disks of a node: thin overlays over images, empty disks beside them.
//!
//! A fork freezes a disk under the next number and puts a new overlay in its
//! place: `root.qcow2` over `root.2.qcow2` over `root.1.qcow2` over the image.
//! Frozen files are the same in every lab that was forked (hard links), and find
//! each other by their plain names, in whichever lab's folder.

use crate::cell::NodeCell;
use crate::{BaseImage, Fault};
use nestlab_backend::{Disk, DiskFormat};
use nestlab_model::Node;
use std::path::{Path, PathBuf};

/// Makes what is missing and returns the node's own disks, the root first.
pub(crate) fn prepare(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Vec<Disk>, Fault> {
    std::fs::create_dir_all(&cell.folder)
        .map_err(Fault::io(format!("Cannot make {}", cell.folder.display())))?;
    let mut disks = vec![root(cell, node, base)?];
    for spec in &node.disks {
        let path = cell.folder.join(active(spec.name.as_str()));
        if !path.exists() {
            make(&path, |path| nestlab_image::create_empty(path, spec.size))?;
        }
        disks.push(own(spec.name.to_string(), path));
    }
    Ok(disks)
}

fn root(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Disk, Fault> {
    let path = cell.folder.join(active("root"));
    let size = node.disk.unwrap_or(base.virtual_size);
    if size < base.virtual_size {
        return Err(Fault::new(format!(
            "Cannot make the disk of node `{}`: `disk: {size}` is smaller than its image of {}",
            cell.path, base.virtual_size
        ))
        .with_hint("Raise `disk`, or leave it out"));
    }
    if !path.exists() {
        let format = match base.format {
            DiskFormat::Raw => nestlab_image::ImageFormat::Raw,
            DiskFormat::Qcow2 => nestlab_image::ImageFormat::Qcow2,
        };
        make(&path, |path| {
            nestlab_image::create_overlay(path, &base.path, format, size)
        })?;
    }
    Ok(own("root".into(), path))
}

fn own(serial: String, path: PathBuf) -> Disk {
    Disk {
        serial,
        path,
        format: DiskFormat::Qcow2,
        read_only: false,
    }
}

/// Makes what the disks of a node hold read-only, for this lab and for copies.
pub(crate) fn freeze(cell: &NodeCell) -> Result<(), Fault> {
    let Some(record) = cell.record() else {
        return Ok(());
    };
    for disk in present(&cell.folder, &record.node) {
        let number = (1..)
            .find(|number| !cell.folder.join(frozen(&disk, *number)).exists())
            .expect("numbers do not end");
        let path = cell.folder.join(active(&disk));
        let below = frozen(&disk, number);
        link(&path, &cell.folder.join(&below))?;
        make(&path, |new| over(new, &path, &below))?;
    }
    Ok(())
}

/// Gives another folder the frozen disks of a node's, each with an overlay of its
/// own.
pub(crate) fn copy(from: &Path, node: &Node, to: &Path) -> Result<(), Fault> {
    for disk in present(from, node) {
        let numbers = (1..).take_while(|number| from.join(frozen(&disk, *number)).exists());
        let mut last = None;
        for name in numbers.map(|number| frozen(&disk, number)) {
            link(&from.join(&name), &to.join(&name))?;
            last = Some(name);
        }
        if let Some(below) = last {
            let source = from.join(active(&disk));
            make(&to.join(active(&disk)), |new| over(new, &source, &below))?;
        }
    }
    Ok(())
}

/// Copies what a node has written to its disks since they were made: of a node of
/// which nothing was ever frozen.
pub(crate) fn copy_written(from: &Path, node: &Node, to: &Path) -> Result<(), Fault> {
    for disk in present(from, node) {
        let name = active(&disk);
        let copied = std::fs::copy(from.join(&name), to.join(&name));
        copied.map_err(Fault::io(format!("Cannot copy the disk {name}")))?;
    }
    Ok(())
}

/// Whether a node has any disk.
pub(crate) fn any(folder: &Path) -> bool {
    folder.join(active("root")).exists()
}

/// The names of a node's own disks that have been made.
fn present(folder: &Path, node: &Node) -> Vec<String> {
    let extra = node.disks.iter().map(|disk| disk.name.to_string());
    std::iter::once("root".to_owned())
        .chain(extra)
        .filter(|disk| folder.join(active(disk)).exists())
        .collect()
}

fn active(disk: &str) -> String {
    format!("{disk}.qcow2")
}

fn frozen(disk: &str, number: u32) -> String {
    format!("{disk}.{number}.qcow2")
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
