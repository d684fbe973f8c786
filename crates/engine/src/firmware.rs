//! Machines that a firmware starts: with the boot loader, kernel and init of their image,
//! because the kit's kernel cannot mount its root, or because the user wants it so.
//!
//! ```text
//! firmware ─► boot loader ─► kernel ─► init ─► cloud-init ─► agent
//! ```
//!
//! Nothing of ours is in such an image. cloud-init puts the agent there: the small disk of
//! [`crate::seed`] carries *vendor-data* beside the user's own user-data, which is
//! cloud-init's own place for what a platform adds, so that neither has to be taken apart.

use crate::{BaseImage, Fault};
use nestlab_backend::DiskFormat;
use nestlab_image::{ImageFormat, Layout};
use nestlab_model::{Firmware, FirmwareChoice, Node};
use std::path::{Path, PathBuf};

/// Has cloud-init install the agent, at every boot.
pub(crate) const AGENT: &str = include_str!("firmware/agent.sh");

/// What starts a node's machine, if it is not a kernel of ours or of the user's. An image
/// that cannot be looked into boots directly, as one that nothing can start.
pub(crate) fn of(node: &Node, base: &BaseImage) -> Option<Firmware> {
    match node.boot.firmware {
        FirmwareChoice::Direct => None,
        FirmwareChoice::Of(firmware) => Some(firmware),
        FirmwareChoice::Auto if base.ours || node.boot.has_kernel_words() => None,
        FirmwareChoice::Auto => {
            let format = match base.format {
                DiskFormat::Raw => ImageFormat::Raw,
                DiskFormat::Qcow2 => ImageFormat::Qcow2,
            };
            match Layout::of(&base.path, format) {
                Ok(layout) => needed(layout),
                Err(error) => {
                    let error = Fault::caused("cannot look into an image", &error);
                    tracing::info!(%error, image = %base.path.display(), "boots directly");
                    None
                }
            }
        }
    }
}

/// What an image needs to be started. One that nothing can start boots directly: the init
/// says best what is missing.
fn needed(layout: Layout) -> Option<Firmware> {
    match layout {
        Layout { ext4: true, .. } => None,
        Layout {
            boot_code: true, ..
        } => Some(Firmware::Bios),
        Layout { efi: true, .. } => Some(Firmware::Uefi),
        _ => None,
    }
}

/// What a firmware or boot loader that goes no further says at last: SeaBIOS, GRUB, OVMF's
/// shell.
pub(crate) fn dead_end(console: &[String]) -> Option<&'static str> {
    let ends = [
        (
            "No bootable device",
            "its BIOS finds no boot loader on its disk",
        ),
        (
            "grub rescue>",
            "its boot loader does not find the rest of itself",
        ),
        (
            "UEFI Interactive Shell",
            "its UEFI finds no boot loader on its disk",
        ),
    ];
    let said = |words: &str| console.iter().any(|line| line.contains(words));
    ends.iter()
        .find(|(words, _)| said(words))
        .map(|(_, end)| *end)
}

/// The file with what a node's firmware remembers.
pub(crate) fn variables(folder: &Path) -> PathBuf {
    folder.join("uefi.fd")
}

/// Gives another folder a file of its own with what a firmware remembers, if there is any.
pub(crate) fn copy_variables(from: &Path, to: &Path) -> Result<(), Fault> {
    let [from, to] = [from, to].map(variables);
    match from.exists() {
        true => std::fs::copy(&from, &to)
            .map(drop)
            .map_err(Fault::io(format!("Cannot make {}", to.display()))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_understands_what_cloud_init_runs() {
        let (first, script) = AGENT.split_once('\n').unwrap();
        assert_eq!(first, "#cloud-boothook");
        let inner = script.split("<<'END' || true\n").nth(1).unwrap();
        let inner = inner.split_once("\nEND\n").unwrap().0;
        for text in [script, inner] {
            let checked = std::process::Command::new("sh")
                .args(["-n", "-c", text])
                .output();
            let checked = checked.unwrap();
            assert!(checked.status.success(), "{checked:?}");
        }
    }

    #[test]
    fn a_boot_that_goes_no_further_is_recognised() {
        let console = |line: &str| dead_end(&["Booting...".to_owned(), line.to_owned()]);
        assert!(console("No bootable device.").is_some_and(|end| end.contains("BIOS")));
        assert!(console("grub rescue> ").is_some());
        assert_eq!(console("Linux version 6.1"), None);
    }

    #[test]
    fn the_kits_kernel_comes_first() {
        for (ext4, boot_code, efi, wanted) in [
            (true, true, true, None),
            (false, true, true, Some(Firmware::Bios)),
            (false, false, true, Some(Firmware::Uefi)),
            (false, false, false, None),
        ] {
            let layout = Layout {
                ext4,
                boot_code,
                efi,
            };
            assert_eq!(needed(layout), wanted, "{layout:?}");
        }
    }
}
