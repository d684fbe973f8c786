//! The initramfs: the init, and the modules without which it finds no disk.

use crate::ImageError;
use crate::cpio::Archive;
use std::path::Path;

/// What the root, the kit, the link and the network need. virtio_ring before
/// virtio, though the index of modules does not say so for every kernel.
const MODULES: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "virtio-rng",
    "virtio_net",
];

/// Makes the archive from a kit's tree.
pub(super) fn make(tree: &Path, init: &[u8]) -> Result<Vec<u8>, ImageError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(ImageError::io(format!("read {}", path.display())))
    };
    let version = String::from_utf8_lossy(&read(&tree.join("kernel-version"))?)
        .trim()
        .to_owned();
    let folder = tree.join("lib/modules").join(version);
    let index = String::from_utf8_lossy(&read(&folder.join("modules.dep"))?).into_owned();
    let mut archive = Archive::default();
    for name in ["dev", "proc", "sys", "sysroot", "modules"] {
        archive.folder(name);
    }
    // A C library and Rust open /dev/null where a standard stream is missing.
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.program("init", init);
    let mut list = String::new();
    for file in order(&index, &MODULES) {
        let name = format!("modules/{}", base(&file));
        archive.file(&name, &read(&folder.join(&file))?);
        list.push_str(&format!("/{name}\n"));
    }
    archive.file("modules.list", list.as_bytes());
    Ok(archive.finish())
}

fn base(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

fn module_name(file: &str) -> String {
    base(file)
        .split(".ko")
        .next()
        .unwrap_or(file)
        .replace('-', "_")
}

/// The files of some modules and of all they need, each behind what it needs.
/// What the index does not list is built in.
fn order(index: &str, wanted: &[&str]) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for name in wanted {
        let line = index
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(file, _)| module_name(file) == name.replace('-', "_"));
        let Some((file, needs)) = line else { continue };
        let needed = needs.split_whitespace().rev();
        for file in needed.chain([file]) {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_behind_what_they_need() {
        let index = "k/virtio_net.ko: k/net_failover.ko k/failover.ko k/virtio.ko\nk/virtio.ko: k/virtio_ring.ko\nk/failover.ko:\n";
        assert_eq!(
            order(index, &["virtio", "virtio_net", "built_in"]),
            [
                "k/virtio_ring.ko",
                "k/virtio.ko",
                "k/failover.ko",
                "k/net_failover.ko",
                "k/virtio_net.ko"
            ]
        );
    }
}
