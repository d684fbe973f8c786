//! Folders that whoever makes a container, whoever copies it and whoever lives in it agree on.

use crate::Disk;

/// What a container's changes of its image are kept in, below the folder of what it writes.
pub const CHANGES: &str = "upper";

/// All of its files, in the same place, where there is no overlay.
pub const ALL: &str = "root";

/// What the engine inside it keeps of its nodes, in the same place: no part of its root, as no
/// overlay can be written to another.
pub const LAYER: &str = "layer";

/// Where that is inside.
pub const LAYER_INSIDE: &str = "/var/lib/nestlab/layer";

/// Where a container finds by their serials what a virtual machine has as disks: files, and
/// devices.
pub const DISKS_INSIDE: [&str; 2] = ["/run/nestlab/disks", "/dev/nestlab"];

/// Where a container finds one of them: a device among devices, as QEMU tells them apart from
/// files by that.
pub fn disk_inside(disk: &Disk) -> String {
    let [files, devices] = DISKS_INSIDE;
    let folder = match is_device(disk) {
        true => devices,
        false => files,
    };
    format!("{folder}/{}", disk.serial)
}

/// Whether a disk of this level is a device, and not a file.
pub fn is_device(disk: &Disk) -> bool {
    disk.path.starts_with("/dev")
}

/// Where it finds what containers inside it begin from, as it could mount no disk.
pub const ROOTS_INSIDE: &str = "/run/nestlab/roots";
