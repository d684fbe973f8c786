//! Names of stock cloud images, and where their publishers keep them.
//!
//! Publishers replace these files now and then, so no digest is written here: the file of
//! checksums beside each says what it is today, and a lab keeps to what it found first.

use crate::{ImageName, ImageSpec};
use std::collections::BTreeMap;

/// The processors that an image is for, by Rust's name and by the publisher's.
const MACHINES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

const UBUNTU: [&str; 2] = ["24.04", "26.04"];

const DEBIAN: [(&str, &str); 2] = [("12", "bookworm"), ("13", "trixie")];

/// The images that every lab can name, for one kind of processor by the name that Rust has
/// for it ([`std::env::consts::ARCH`]); none for one that nobody publishes for.
pub fn catalogue(arch: &str) -> BTreeMap<ImageName, ImageSpec> {
    let machine = MACHINES.iter().find(|(ours, _)| *ours == arch);
    let Some((_, machine)) = machine else {
        return BTreeMap::new();
    };
    let ubuntu = UBUNTU.iter().map(|version| ubuntu(version, machine));
    let debian = DEBIAN
        .iter()
        .map(|(version, suite)| debian(version, suite, machine));
    ubuntu.chain(debian).collect()
}

/// The folder of a release holds its newest build.
fn ubuntu(version: &str, machine: &str) -> (ImageName, ImageSpec) {
    let folder = format!("https://cloud-images.ubuntu.com/releases/{version}/release");
    let file = format!("ubuntu-{version}-server-cloudimg-{machine}.img");
    published(&format!("ubuntu-{version}"), &folder, &file, "SHA256SUMS")
}

/// The variant for virtual machines alone: virtio is all that it drives.
fn debian(version: &str, suite: &str, machine: &str) -> (ImageName, ImageSpec) {
    let folder = format!("https://cloud.debian.org/images/cloud/{suite}/latest");
    let file = format!("debian-{version}-genericcloud-{machine}.qcow2");
    published(&format!("debian-{version}"), &folder, &file, "SHA512SUMS")
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
        assert_eq!(names("x86_64").len(), 4);
        assert!(names("m68k").is_empty());
    }
}
