//! An archive of a container image, made of what a node holds.

use crate::World;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As `docker save` writes one: made of a container's own root, which has the lab's folder
/// `shared` as `/srv/shared`. Its file `/root/mark` says that it was carried.
pub fn save_image(world: &World, lab: &Path, node: &str) -> PathBuf {
    let shared = lab.join("shared");
    let pack = "tar -cz --one-file-system --exclude=./srv -f /srv/shared/layer.tar.gz -C / .";
    world.inside(lab, node, &format!("echo carried >/root/mark; {pack}"));
    let manifest = r#"[{"Config": "c.json", "RepoTags": null, "Layers": ["layer.tar.gz"]}]"#;
    std::fs::write(shared.join("manifest.json"), manifest).expect("a folder of ours");
    let packed = Command::new("tar")
        .args(["-cf", "image.tar", "manifest.json", "layer.tar.gz"])
        .current_dir(&shared)
        .status();
    assert!(packed.is_ok_and(|status| status.success()));
    shared.join("image.tar")
}
