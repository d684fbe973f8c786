//! On what this machine stands itself, and how one gives it nesting there.

use nestlab_model::doctor::{Check, Verdict};
use std::path::Path;

/// On what a Linux stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// On hardware, as far as can be told.
    Hardware,
    /// In a container.
    Container,
    /// In the Windows Subsystem for Linux, version 2.
    Wsl2,
    /// In a node of a lab that is a virtual machine.
    Nestlab,
    /// In a node of a lab that is a container.
    NestlabContainer,
    /// In QEMU: Proxmox VE, libvirt or by hand.
    Qemu,
    /// In VMware.
    Vmware,
    /// In VirtualBox.
    VirtualBox,
    /// In Hyper-V, but not in a cloud.
    HyperV,
    /// In Amazon EC2.
    Amazon,
    /// In Google Compute Engine.
    Google,
    /// In Microsoft Azure.
    Azure,
}

/// The asset tag that every machine of Azure has
/// (<https://github.com/canonical/cloud-init>, `DataSourceAzure`).
const AZURE: &str = "7783-7084-3265-9085-8269-3286-77";

/// Finds out, below `root`, which is `/` but in tests.
pub fn detect(root: &Path) -> Platform {
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let is_there = |path: &str| root.join(path).exists();
    if text("proc/sys/kernel/osrelease").contains("microsoft") {
        return Platform::Wsl2;
    }
    let first_environment = text("proc/1/environ");
    let mut variables = first_environment.split('\0');
    if is_there("run/nestlab/kit") {
        return match variables.any(|variable| variable == "container=nestlab") {
            true => Platform::NestlabContainer,
            false => Platform::Nestlab,
        };
    }
    if is_there(".dockerenv")
        || is_there("run/.containerenv")
        || variables.any(|variable| variable.starts_with("container="))
    {
        return Platform::Container;
    }
    let dmi = |name: &str| text(&format!("sys/class/dmi/id/{name}"));
    let (vendor, product) = (dmi("sys_vendor"), dmi("product_name"));
    match vendor.trim() {
        _ if dmi("chassis_asset_tag").trim() == AZURE => Platform::Azure,
        "Amazon EC2" => Platform::Amazon,
        "Google" => Platform::Google,
        "QEMU" => Platform::Qemu,
        "innotek GmbH" => Platform::VirtualBox,
        "Microsoft Corporation" if product.contains("Virtual Machine") => Platform::HyperV,
        vendor if vendor.starts_with("VMware") => Platform::Vmware,
        _ if product.contains("KVM") => Platform::Qemu,
        _ => Platform::Hardware,
    }
}

impl Platform {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware, as far as can be told",
            Self::Container => "a container",
            Self::Wsl2 => "WSL 2",
            Self::Nestlab => "a virtual machine of a lab",
            Self::NestlabContainer => "a container of a lab",
            Self::Qemu => "a virtual machine of QEMU (Proxmox VE, libvirt)",
            Self::Vmware => "a virtual machine of VMware",
            Self::VirtualBox => "a virtual machine of VirtualBox",
            Self::HyperV => "a virtual machine of Hyper-V",
            Self::Amazon => "a machine of Amazon EC2",
            Self::Google => "a machine of Google Compute Engine",
            Self::Azure => "a machine of Azure",
        }
    }

    /// What gives a machine there hardware virtualisation.
    pub fn how_to_nest(self) -> &'static str {
        match self {
            Self::Hardware => "Turn on VT-x, AMD-V or SVM in the firmware",
            Self::Container => {
                "Give the container the device: `--device /dev/kvm` for docker and podman, `lxc.cgroup2.devices.allow: c 10:232 rwm` and `dev0: /dev/kvm` for a container of Proxmox VE"
            }
            Self::Wsl2 => {
                "Write `nestedVirtualization=true` below `[wsl2]` in .wslconfig, then `wsl --shutdown` in Windows"
            }
            Self::Nestlab => {
                "`nested: true` for this node in the lab file, then `nestlab halt` and `nestlab up`"
            }
            Self::NestlabContainer => {
                "`devices: [/dev/kvm]` for this node in the lab file, on a level that has hardware virtualisation, then `nestlab halt` and `nestlab up`"
            }
            Self::Qemu => {
                "Give it the host's CPU: in Proxmox VE `qm set VMID --cpu host` on the host, then `qm shutdown VMID` and `qm start VMID`; in libvirt `<cpu mode='host-passthrough'/>`; by hand `-cpu host`"
            }
            Self::Vmware => {
                "Shut it down and choose \"Expose hardware assisted virtualization to the guest OS\" for its CPU (`vhv.enable = \"TRUE\"`)"
            }
            Self::VirtualBox => {
                "Shut it down, then `VBoxManage modifyvm NAME --nested-hw-virt on` on the host"
            }
            Self::HyperV => {
                "Shut it down, then `Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true` on the host"
            }
            Self::Amazon => {
                "Take an instance type that nests: one called `.metal`, or one whose CPU options offer nested virtualization"
            }
            Self::Google => {
                "Make it with nesting: `gcloud compute instances create NAME --enable-nested-virtualization`, of a type that is not E2 or on AMD before C3D"
            }
            Self::Azure => {
                "Take a size that nests, such as Dv5 or Ev5, with the security type \"standard\""
            }
        }
    }
}

pub(super) fn check(platform: Platform) -> Check {
    Check::new(
        "platform",
        "read what firmware and kernel say of this machine",
    )
    .found(Verdict::Ok, platform.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(files: &[(&str, &str)], expected: Platform) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(detect(folder.path()), expected, "{files:?}");
    }

    #[test]
    fn every_platform_is_told_by_what_it_says_of_itself() {
        const VENDOR: &str = "sys/class/dmi/id/sys_vendor";
        const PRODUCT: &str = "sys/class/dmi/id/product_name";
        is(&[], Platform::Hardware);
        is(&[(VENDOR, "LENOVO\n")], Platform::Hardware);
        is(&[(VENDOR, "QEMU\n")], Platform::Qemu);
        is(&[(VENDOR, "Red Hat\n"), (PRODUCT, "KVM\n")], Platform::Qemu);
        is(&[(VENDOR, "VMware, Inc.\n")], Platform::Vmware);
        is(&[(VENDOR, "innotek GmbH\n")], Platform::VirtualBox);
        is(&[(VENDOR, "Amazon EC2\n")], Platform::Amazon);
        is(&[(VENDOR, "Google\n")], Platform::Google);
        let hyper_v = [
            (VENDOR, "Microsoft Corporation\n"),
            (PRODUCT, "Virtual Machine\n"),
        ];
        is(&hyper_v, Platform::HyperV);
        let azure = ("sys/class/dmi/id/chassis_asset_tag", AZURE);
        is(&[hyper_v[0], hyper_v[1], azure], Platform::Azure);
        is(
            &[(VENDOR, "QEMU\n"), ("run/nestlab/kit/x", "")],
            Platform::Nestlab,
        );
        is(
            &[
                ("proc/1/environ", "container=nestlab\0"),
                ("run/nestlab/kit/x", ""),
            ],
            Platform::NestlabContainer,
        );
        is(
            &[(VENDOR, "QEMU\n"), (".dockerenv", "")],
            Platform::Container,
        );
        is(
            &[("proc/1/environ", "A=1\0container=lxc\0")],
            Platform::Container,
        );
        let wsl = "5.15.167.4-microsoft-standard-WSL2\n";
        is(&[("proc/sys/kernel/osrelease", wsl)], Platform::Wsl2);
    }
}
