//! Package managers of platforms, and what they call the packages that labs are made with.
//! apt's were tried; the others' names are from their distributions' package lists.

use std::ffi::OsStr;
use std::path::PathBuf;

/// Folders that are not in every user's PATH, and are searched all the same.
const ALSO: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What installs packages here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora and its kin.
    Dnf,
    /// Arch Linux.
    Pacman,
    /// Homebrew.
    Brew,
}

/// A package by its names in Debian, Fedora, Arch Linux and Homebrew; empty where nobody
/// has it. None stands here whose name is everywhere the same.
const NAMES: [(&str, [&str; 3]); 7] = [
    ("ansible-core", ["ansible-core", "ansible-core", "ansible"]),
    ("iproute2", ["iproute", "iproute2", ""]),
    ("openssh-client", ["openssh-clients", "openssh", "openssh"]),
    (
        "qemu-system-x86",
        ["qemu-system-x86-core", "qemu-system-x86", "qemu"],
    ),
    ("qemu-utils", ["qemu-img", "qemu-img", "qemu"]),
    ("uidmap", ["shadow-utils", "shadow", ""]),
    ("ovmf", ["edk2-ovmf", "edk2-ovmf", ""]),
];

impl Manager {
    /// The one of this machine, by the programs in the folders of a PATH.
    pub fn of(path: &OsStr) -> Option<Self> {
        let all = [
            ("apt-get", Self::Apt),
            ("dnf", Self::Dnf),
            ("pacman", Self::Pacman),
            ("brew", Self::Brew),
        ];
        let here = |(program, _): &(&str, Self)| is_there(program, path);
        all.into_iter().find(here).map(|(_, manager)| manager)
    }

    /// What it calls a package of Debian's; `None` if it has none of the kind.
    pub fn name(self, package: &str) -> Option<&str> {
        let others = NAMES.iter().find(|(debian, _)| *debian == package);
        let name = match (self, others) {
            (Self::Apt, _) | (_, None) => package,
            (Self::Dnf, Some((_, names))) => names[0],
            (Self::Pacman, Some((_, names))) => names[1],
            (Self::Brew, Some((_, names))) => names[2],
        };
        (!name.is_empty()).then_some(name)
    }

    /// Programs with arguments that install packages, named as Debian does, one after the
    /// other. Whoever runs them has agreed already.
    pub fn install(self, packages: &[&str]) -> Vec<Vec<String>> {
        let mut names: Vec<&str> = Vec::new();
        for name in packages.iter().filter_map(|package| self.name(package)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let begin: &[&[&str]] = match self {
            Self::Apt => &[
                &["apt-get", "update"],
                &["apt-get", "install", "-y", "--no-install-recommends"],
            ],
            Self::Dnf => &[&["dnf", "install", "-y"]],
            Self::Pacman => &[&["pacman", "-S", "--needed", "--noconfirm"]],
            Self::Brew => &[&["brew", "install"]],
        };
        let words = |line: &&[&str]| line.iter().map(|word| (*word).to_owned()).collect();
        let mut lines: Vec<Vec<String>> = begin.iter().map(words).collect();
        if let Some(last) = lines.last_mut() {
            last.extend(names.into_iter().map(str::to_owned));
        }
        lines
    }

    /// Whether only root may install.
    pub fn needs_root(self) -> bool {
        self != Self::Brew
    }
}

/// Whether a program is in one of the folders of a PATH.
pub fn is_there(program: &str, path: &OsStr) -> bool {
    find(&[program], &folders(path)).is_some()
}

/// Where programs are looked for.
pub(super) fn folders(path: &OsStr) -> Vec<PathBuf> {
    let also = ALSO.map(PathBuf::from);
    std::env::split_paths(path).chain(also).collect()
}

/// The first of several programs that is in one of these folders.
pub(super) fn find(programs: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let everywhere = |program| folders.iter().map(move |folder| folder.join(program));
    let mut candidates = programs.iter().flat_map(everywhere);
    candidates.find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_everybody_names_them() {
        let lines = |manager: Manager| {
            let packages = ["qemu-system-x86", "qemu-utils", "iproute2", "nftables"];
            let lines = manager.install(&packages);
            let lines: Vec<_> = lines.iter().map(|line| line.join(" ")).collect();
            lines.join("; ")
        };
        assert_eq!(
            lines(Manager::Apt),
            "apt-get update; apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils iproute2 nftables"
        );
        assert_eq!(
            lines(Manager::Dnf),
            "dnf install -y qemu-system-x86-core qemu-img iproute nftables"
        );
        assert_eq!(lines(Manager::Brew), "brew install qemu nftables");
    }

    #[test]
    fn the_manager_is_the_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Manager::of(folder.path().as_os_str());
        assert_ne!(of(), Some(Manager::Brew));
        std::fs::write(folder.path().join("brew"), "").unwrap();
        std::fs::write(folder.path().join("dnf"), "").unwrap();
        assert_eq!(of(), Some(Manager::Dnf));
    }
}
