//! The disks of a node: thin overlays over images, empty disks beside them.

use crate::cell::NodeCell;
use crate::{BaseImage, Fault};
use nestlab_backend::{Disk, DiskFormat};
use nestlab_model::Node;
use std::path::PathBuf;

/// Makes what is missing and returns the node's own disks, the root first.
pub(crate) fn prepare(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Vec<Disk>, Fault> {
    std::fs::create_dir_all(&cell.folder)
        .map_err(Fault::io(format!("Cannot make {}", cell.folder.display())))?;
    let mut disks = vec![root(cell, node, base)?];
    for spec in &node.disks {
        let path = cell.folder.join(format!("{}.qcow2", spec.name));
        if !path.exists() {
            make(&path, |path| nestlab_image::create_empty(path, spec.size))?;
        }
        disks.push(own(spec.name.to_string(), path));
    }
    Ok(disks)
}

fn root(cell: &NodeCell, node: &Node, base: &BaseImage) -> Result<Disk, Fault> {
    let path = cell.folder.join("root.qcow2");
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

/// Makes a disk under another name first: a half-made disk is never taken for
/// a whole one.
fn make<E: std::error::Error + 'static>(
    path: &PathBuf,
    create: impl FnOnce(&std::path::Path) -> Result<(), E>,
) -> Result<(), Fault> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    create(&new).map_err(|error| {
        Fault::caused(format!("Cannot make the disk {}", path.display()), &error)
    })?;
    std::fs::rename(&new, path).map_err(Fault::io(format!("Cannot make {}", path.display())))
}
