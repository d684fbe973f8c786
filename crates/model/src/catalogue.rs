//! Names of stock cloud images, and where their publishers keep them.
//!
//! Publishers replace these files now and then, so no digest is written here: the file of
//! checksums beside each says what it is today, and a lab keeps to what it found first.
//! Where the names of files hold the number of a build, that number stands here: such an
//! image stays as it is until we take another.

use crate::{ImageName, ImageSpec};
use std::collections::BTreeMap;

/// A kind of processor, by the names that publishers have for it.
struct Machine {
    /// Rust's name, and that of Fedora and Alpine.
    name: &'static str,
    /// The name that Debian and Ubuntu have.
    debian: &'static str,
    /// How Alpine's image for it starts.
    firmware: &'static str,
}

const MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        debian: "amd64",
        firmware: "bios",
    },
    Machine {
        name: "aarch64",
        debian: "arm64",
        firmware: "uefi",
    },
];

const UBUNTU: [&str; 2] = ["24.04", "26.04"];

const DEBIAN: [(&str, &str); 2] = [("12", "bookworm"), ("13", "trixie")];

/// Releases of Fedora, and the build that became each: the names of files hold it.
const FEDORA: [(&str, &str); 2] = [("43", "1.6"), ("44", "1.7")];

/// Branches of Alpine, and a release of each: there is no name for the newest one.
const ALPINE: [(&str, &str); 1] = [("3.23", "3.23.4")];

/// Releases of the three that are built from the sources of Red Hat's system.
const ROCKY: [&str; 2] = ["8", "9"];
const ALMA: [&str; 2] = ["8", "9"];
const CENTOS_STREAM: [&str; 2] = ["9", "10"];

/// The images that every lab can name, for one kind of processor by the name that Rust has
/// for it ([`std::env::consts::ARCH`]); none for one that nobody publishes for.
pub fn catalogue(arch: &str) -> BTreeMap<ImageName, ImageSpec> {
    let Some(machine) = MACHINES.iter().find(|machine| machine.name == arch) else {
        return BTreeMap::new();
    };
    let ubuntu = UBUNTU.map(|version| ubuntu(version, machine));
    let debian = DEBIAN.map(|(version, suite)| debian(version, suite, machine));
    let fedora = FEDORA.map(|(version, build)| fedora(version, build, machine));
    let alpine = ALPINE.map(|(branch, release)| alpine(branch, release, machine));
    let rocky = ROCKY.map(|version| rocky(version, machine));
    let alma = ALMA.map(|version| alma(version, machine));
    let centos = CENTOS_STREAM.map(|version| centos_stream(version, machine));
    let all = ubuntu.into_iter().chain(debian).chain(fedora);
    all.chain(alpine)
        .chain(rocky)
        .chain(alma)
        .chain(centos)
        .collect()
}

/// The folder of a release holds its newest build.
fn ubuntu(version: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let folder = format!("https://cloud-images.ubuntu.com/releases/{version}/release");
    let file = format!("ubuntu-{version}-server-cloudimg-{}.img", machine.debian);
    published(&format!("ubuntu-{version}"), &folder, &file, "SHA256SUMS")
}

/// The variant for virtual machines alone: virtio is all that it drives.
fn debian(version: &str, suite: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let folder = format!("https://cloud.debian.org/images/cloud/{suite}/latest");
    let file = format!("debian-{version}-genericcloud-{}.qcow2", machine.debian);
    published(&format!("debian-{version}"), &folder, &file, "SHA512SUMS")
}

/// The variant for any cloud, which is that of virtual machines of one's own too.
fn fedora(version: &str, build: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let machine = machine.name;
    let releases = "https://download.fedoraproject.org/pub/fedora/linux/releases";
    let folder = format!("{releases}/{version}/Cloud/{machine}/images");
    let file = format!("Fedora-Cloud-Base-Generic-{version}-{build}.{machine}.qcow2");
    let list = format!("Fedora-Cloud-{version}-{build}-{machine}-CHECKSUM");
    published(&format!("fedora-{version}"), &folder, &file, &list)
}

/// The variant that cloud-init sets up, from the source that needs no cloud.
fn alpine(branch: &str, release: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let Machine { name, firmware, .. } = machine;
    let folder = format!("https://dl-cdn.alpinelinux.org/alpine/v{branch}/releases/cloud");
    let file = format!("nocloud_alpine-{release}-{name}-{firmware}-cloudinit-r0.qcow2");
    let list = format!("{file}.sha512");
    published(&format!("alpine-{branch}"), &folder, &file, &list)
}

/// The variant whose root is a plain partition, and no logical volume.
fn rocky(version: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let machine = machine.name;
    let folder = format!("https://dl.rockylinux.org/pub/rocky/{version}/images/{machine}");
    let file = format!("Rocky-{version}-GenericCloud-Base.latest.{machine}.qcow2");
    published(&format!("rocky-{version}"), &folder, &file, "CHECKSUM")
}

fn alma(version: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let machine = machine.name;
    let releases = "https://repo.almalinux.org/almalinux";
    let folder = format!("{releases}/{version}/cloud/{machine}/images");
    let file = format!("AlmaLinux-{version}-GenericCloud-latest.{machine}.qcow2");
    published(&format!("almalinux-{version}"), &folder, &file, "CHECKSUM")
}

fn centos_stream(version: &str, machine: &Machine) -> (ImageName, ImageSpec) {
    let machine = machine.name;
    let folder = format!("https://cloud.centos.org/centos/{version}-stream/{machine}/images");
    let file = format!("CentOS-Stream-GenericCloud-{version}-latest.{machine}.qcow2");
    let list = format!("{file}.SHA256SUM");
    published(&format!("centos-{version}"), &folder, &file, &list)
}

fn published(name: &str, folder: &str, file: &str, checksums: &str) -> (ImageName, ImageSpec) {
    let name = ImageName::new(name).expect("names of the catalogue are valid");
    let spec = ImageSpec::Published {
        url: format!("{folder}/{file}"),
        checksums: format!("{folder}/{checksums}"),
    };
    (name, spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_the_same_names() {
        let names = |arch| catalogue(arch).into_keys().collect::<Vec<_>>();
        assert_eq!(names("x86_64"), names("aarch64"));
        assert_eq!(names("x86_64").len(), 13);
        assert!(names("m68k").is_empty());
    }

    #[test]
    fn files_are_where_their_publishers_say() {
        let check = |arch, name: &str, file: &str, list: &str| {
            let found = &catalogue(arch)[&ImageName::new(name).unwrap()];
            let ImageSpec::Published { url, checksums } = found else {
                panic!("{found:?}");
            };
            assert!(url.ends_with(&format!("/{file}")), "{url}");
            assert!(checksums.ends_with(&format!("/{list}")), "{checksums}");
        };
        check(
            "x86_64",
            "debian-13",
            "trixie/latest/debian-13-genericcloud-amd64.qcow2",
            "trixie/latest/SHA512SUMS",
        );
        check(
            "x86_64",
            "rocky-9",
            "rocky/9/images/x86_64/Rocky-9-GenericCloud-Base.latest.x86_64.qcow2",
            "rocky/9/images/x86_64/CHECKSUM",
        );
        check(
            "aarch64",
            "almalinux-9",
            "9/cloud/aarch64/images/AlmaLinux-9-GenericCloud-latest.aarch64.qcow2",
            "9/cloud/aarch64/images/CHECKSUM",
        );
        check(
            "x86_64",
            "centos-9",
            "9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2",
            "9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2.SHA256SUM",
        );
        check(
            "aarch64",
            "fedora-43",
            "43/Cloud/aarch64/images/Fedora-Cloud-Base-Generic-43-1.6.aarch64.qcow2",
            "43/Cloud/aarch64/images/Fedora-Cloud-43-1.6-aarch64-CHECKSUM",
        );
        check(
            "x86_64",
            "alpine-3.23",
            "v3.23/releases/cloud/nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2",
            "v3.23/releases/cloud/nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2.sha512",
        );
        check(
            "aarch64",
            "alpine-3.23",
            "nocloud_alpine-3.23.4-aarch64-uefi-cloudinit-r0.qcow2",
            "nocloud_alpine-3.23.4-aarch64-uefi-cloudinit-r0.qcow2.sha512",
        );
    }
}
