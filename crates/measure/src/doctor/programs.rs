//! Programs that labs are made with.

use super::facilities::run;
use super::packages::{Manager, find, folders};
use nestlab_model::doctor::{Check, Verdict};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A program that something is done by.
struct Need {
    /// Any of these will do.
    programs: &'static [&'static str],
    /// The package of Debian and Ubuntu that holds the first.
    package: &'static str,
    /// What it is for them that it is missing.
    verdict: Verdict,
    means: &'static str,
}

const fn need(
    programs: &'static [&'static str],
    package: &'static str,
    verdict: Verdict,
    means: &'static str,
) -> Need {
    Need {
        programs,
        package,
        verdict,
        means,
    }
}

const NEEDS: [Need; 7] = [
    need(
        &["qemu-img"],
        "qemu-utils",
        Verdict::Broken,
        "disks cannot be made",
    ),
    need(
        &["ip"],
        "iproute2",
        Verdict::Broken,
        "networks do not come up",
    ),
    need(
        &["nft"],
        "nftables",
        Verdict::Broken,
        "networks with a way out do not come up",
    ),
    need(
        &["slirp4netns", "pasta"],
        "slirp4netns",
        Verdict::Degraded,
        "labs have no way out",
    ),
    need(
        &["mmdebstrap"],
        "mmdebstrap",
        Verdict::Degraded,
        "images of Debian packages cannot be built",
    ),
    need(
        &["mke2fs"],
        "e2fsprogs",
        Verdict::Degraded,
        "images cannot be built",
    ),
    need(
        &["newuidmap"],
        "uidmap",
        Verdict::Degraded,
        "ordinary users cannot build images",
    ),
];

/// Looks for all of them in the folders of a PATH.
pub(super) fn checks(path: &OsStr) -> Vec<Check> {
    let (manager, folders) = (Manager::of(path), folders(path));
    let look = |need| look(need, &folders, manager);
    NEEDS.iter().map(look).collect()
}

/// Packages, by Debian's names, without which labs do not come up here or nothing can be
/// built for them.
pub fn missing(path: &OsStr) -> Vec<&'static str> {
    let folders = folders(path);
    let needs = NEEDS
        .iter()
        .filter(|need| need.verdict >= Verdict::Degraded);
    let absent = needs.filter(|need| find(need.programs, &folders).is_none());
    let qemu = find(&["qemu-system-x86_64"], &folders).is_none();
    // Where qemu-utils is from another release, QEMU's own package removes it: it is last.
    let qemu = qemu.then_some("qemu-system-x86").into_iter();
    qemu.chain(absent.map(|need| need.package)).collect()
}

/// Programs that realise nodes in other ways, or show how this machine is used.
const OTHERS: [(&str, &str); 10] = [
    ("cloud-hypervisor", "microVMs"),
    ("firecracker", "microVMs"),
    ("virsh", "libvirt"),
    ("runc", "containers"),
    ("crun", "containers"),
    ("youki", "containers"),
    ("podman", "containers"),
    ("docker", "containers"),
    ("lxc-start", "containers"),
    ("tc", "delay and loss on links"),
];

/// What of them is there, and which version. None of them is needed.
pub(super) fn others() -> Vec<Check> {
    let check = |(program, what): (&str, &str)| {
        let flag = if program == "tc" { "-V" } else { "--version" };
        let check = Check::new(
            format!("programs.{program}"),
            format!("ran `{program} {flag}`"),
        );
        match run(program, &[flag]) {
            Ok(words) => check.found(Verdict::Ok, words),
            Err(why) => check.found(Verdict::NotApplicable, format!("{why} ({what})")),
        }
    };
    OTHERS.into_iter().map(check).chain([uefi()]).collect()
}

/// Where distributions put OVMF, a firmware and no program.
const OVMF: [&str; 4] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
];

fn uefi() -> Check {
    let check = Check::new("programs.ovmf", "looked for OVMF");
    match OVMF.into_iter().find(|path| Path::new(path).is_file()) {
        Some(path) => check.found(Verdict::Ok, path),
        None => check.found(
            Verdict::NotApplicable,
            "it is not there (images started by UEFI: `apt install ovmf`)",
        ),
    }
}

fn look(need: &Need, folders: &[PathBuf], manager: Option<Manager>) -> Check {
    let check = Check::new(
        format!("programs.{}", need.programs[0]),
        format!("looked for `{}` in PATH", need.programs.join("` or `")),
    );
    match find(need.programs, folders) {
        Some(path) => check.found(Verdict::Ok, path.display().to_string()),
        None => mended(
            check
                .found(need.verdict, "it is not there")
                .means(need.means),
            &[need.package],
            manager,
        ),
    }
}

/// A check of something that packages mend.
pub(super) fn mended(check: Check, packages: &[&str], manager: Option<Manager>) -> Check {
    let line = manager.and_then(|manager| Some((manager, manager.install(packages).pop()?)));
    match line {
        Some((manager, line)) => {
            let sudo = if manager.needs_root() { "sudo " } else { "" };
            let typed = line.join(" ");
            check.mend(format!("`{sudo}{typed}`")).fix(line)
        }
        None => check.mend(format!(
            "install what Debian calls `{}`",
            packages.join(" ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["ip", "pasta"] {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        let found = |program: &str| {
            let need = NEEDS.iter().find(|need| need.programs[0] == program);
            look(
                need.unwrap(),
                &[folder.path().to_owned()],
                Some(Manager::Dnf),
            )
        };
        assert_eq!(found("ip").verdict, Verdict::Ok);
        assert_eq!(found("slirp4netns").verdict, Verdict::Ok, "pasta will do");
        let nft = found("nft");
        assert_eq!(nft.verdict, Verdict::Broken);
        assert_eq!(nft.mend.as_deref(), Some("`sudo dnf install -y nftables`"));
        assert_eq!(checks(OsStr::new("")).len(), NEEDS.len());
    }
}
