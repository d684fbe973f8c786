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

/// What starts a node's machine, if it is not a kernel of ours or of the user's.
pub(crate) fn of(node: &Node, base: &BaseImage) -> Result<Option<Firmware>, Fault> {
    match node.boot.firmware {
        FirmwareChoice::Direct => Ok(None),
        FirmwareChoice::Of(firmware) => Ok(Some(firmware)),
        FirmwareChoice::Auto if base.ours => Ok(None),
        FirmwareChoice::Auto => {
            let cannot = |error| {
                let message = format!("Cannot look into the image {}", base.path.display());
                Fault::caused(message, &error)
            };
            let format = match base.format {
                DiskFormat::Raw => ImageFormat::Raw,
                DiskFormat::Qcow2 => ImageFormat::Qcow2,
            };
            Layout::of(&base.path, format).map(needed).map_err(cannot)
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
