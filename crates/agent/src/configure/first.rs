//! What a node gets once, before anything of its own runs in it: an identity that
//! no other node of its image has.

use crate::rejection::Rejection;
use std::io::Read;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The words of machine-id(5) for a machine that has none yet.
const NONE_YET: [&str; 2] = ["", "uninitialized"];

/// Gives the machine an id, and new ssh host keys where the image has brought some.
/// Does nothing if it has an id: with that it has been given all this before, by us
/// or by its image.
pub(super) async fn identity(root: &Path) -> Result<(), Rejection> {
    let path = root.join("etc/machine-id");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if !NONE_YET.contains(&known.trim()) {
        return Ok(());
    }
    renew_host_keys(root).await?;
    let id = new_id().map_err(Rejection::io("Cannot read /dev/urandom"))?;
    super::write(&path, &format!("{id}\n"))
}

/// Gives a machine that is a copy of another one an identity of its own.
pub(super) async fn renew(root: &Path) -> Result<(), Rejection> {
    super::write(&root.join("etc/machine-id"), "")?;
    identity(root).await
}

/// 32 hexadecimal digits (machine-id(5)), a random UUID as systemd makes them.
fn new_id() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keys that are in an image are those of all its nodes.
async fn renew_host_keys(root: &Path) -> Result<(), Rejection> {
    let keys = host_keys(&root.join("etc/ssh"));
    if keys.is_empty() {
        return Ok(());
    }
    for key in &keys {
        std::fs::remove_file(key)
            .map_err(Rejection::io(format!("Cannot remove {}", key.display())))?;
    }
    let made = Command::new("ssh-keygen")
        .arg("-A")
        .arg("-f")
        .arg(root)
        .output();
    let made = made
        .await
        .map_err(Rejection::io("Cannot run `ssh-keygen`"))?;
    match made.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            Err(Rejection::bad(format!(
                "Cannot make ssh host keys: {words}"
            )))
        }
    }
}

fn host_keys(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_key = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| {
            name.starts_with("ssh_host_") && (name.ends_with("_key") || name.ends_with("_key.pub"))
        })
    };
    entries.map(|entry| entry.path()).filter(is_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_has_one_id_for_good() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("etc/machine-id");
        let id = || std::fs::read_to_string(&path).unwrap();
        identity(root.path()).await.unwrap();
        let first = id();
        assert_eq!(first.len(), 33);
        assert!(first.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
        identity(root.path()).await.unwrap();
        assert_eq!(id(), first);
        std::fs::write(&path, "uninitialized\n").unwrap();
        identity(root.path()).await.unwrap();
        let second = id();
        assert_ne!(second, first);
        renew(root.path()).await.unwrap();
        assert_ne!(id(), second);
    }

    #[test]
    fn host_keys_are_told_from_settings() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "ssh_host_rsa_key",
            "ssh_host_rsa_key.pub",
            "sshd_config",
            "moduli",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(host_keys(folder.path()).len(), 2);
    }
}
