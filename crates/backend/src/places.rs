//! Folders that whoever makes a container, whoever copies it and whoever lives in it agree on.

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

/// Where it finds what containers inside it begin from, as it could mount no disk.
pub const ROOTS_INSIDE: &str = "/run/nestlab/roots";
