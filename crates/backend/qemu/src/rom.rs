//! Firmware of machines, as files of this level: SeaBIOS comes with every QEMU, OVMF is
//! a package of its own.

use nestlab_backend::{BackendError, MachineSpec};
use nestlab_model::Firmware;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where distributions put SeaBIOS.
const BIOS: [&str; 2] = ["/usr/share/seabios", "/usr/share/qemu"];

/// Where they put OVMF, in pairs: the code, and the variables that a machine begins
/// with. Those without Secure Boot come first: it needs a machine with SMM.
const UEFI: [(&str, &str); 5] = [
    // Debian, Ubuntu
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    // Fedora
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    // Arch
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
        "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
    ),
];

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Roms {
    /// SeaBIOS. Without it QEMU looks for its own.
    pub bios: Option<PathBuf>,
    /// OVMF.
    pub uefi: Option<Uefi>,
}

/// OVMF.
#[derive(Debug)]
pub(crate) struct Uefi {
    /// The firmware, which is only read.
    pub code: PathBuf,
    /// What each machine gets a copy of.
    pub variables: PathBuf,
}

impl Roms {
    /// Looks in the folder that the command names by `-L`, else where distributions put
    /// them.
    pub fn find(command: &[OsString]) -> Self {
        let named = command.windows(2).find(|pair| pair[0] == "-L");
        let folders = match named {
            Some(pair) => vec![PathBuf::from(&pair[1])],
            None => BIOS.map(PathBuf::from).to_vec(),
        };
        let mut files = folders.iter().map(|folder| folder.join("bios-256k.bin"));
        Self {
            bios: files.find(|file| file.is_file()),
            uefi: find_uefi(),
        }
    }

    /// OVMF, if there is one.
    pub fn uefi(&self) -> Result<&Uefi, BackendError> {
        self.uefi
            .as_ref()
            .ok_or_else(|| BackendError::MissingProgram {
                program: "OVMF, the UEFI firmware".into(),
                hint:
                    "Install it: `apt install ovmf`; or use `firmware: bios`, if the image can be \
                   started so"
                        .into(),
            })
    }

    /// Gives a machine that has none yet a file for what its firmware remembers.
    pub fn prepare(&self, spec: &MachineSpec) -> Result<(), BackendError> {
        match spec.boot.firmware() {
            Some(boot) if boot.firmware == Firmware::Uefi && !boot.variables.exists() => {
                copy(&self.uefi()?.variables, &boot.variables)
            }
            _ => Ok(()),
        }
    }
}

fn find_uefi() -> Option<Uefi> {
    let pairs = UEFI.map(|(code, variables)| Uefi {
        code: code.into(),
        variables: variables.into(),
    });
    let whole = |uefi: &Uefi| uefi.code.is_file() && uefi.variables.is_file();
    pairs.into_iter().find(whole)
}

/// A half-made copy is never taken for a whole one.
fn copy(from: &Path, to: &Path) -> Result<(), BackendError> {
    let cannot = || BackendError::io(format!("make {}", to.display()));
    let bytes = std::fs::read(from).map_err(cannot())?;
    nestlab_sys::atomic::write_with_mode(to, &bytes, 0o600).map_err(cannot())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seabios_is_where_the_command_says() {
        let folder = tempfile::tempdir().unwrap();
        let command = ["qemu".into(), "-L".into(), folder.path().into()];
        assert_eq!(Roms::find(&command).bios, None);
        let file = folder.path().join("bios-256k.bin");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Roms::find(&command).bios, Some(file));
    }
}
