//! The part of the kit that comes from Debian packages.

use crate::builder::{Progress, Streams, Work, mirror, mmdebstrap, program};
use crate::store::Store;
use crate::workplace::Workplace;
use crate::{ImageError, kernel};
use nestlab_model::Recipe;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Names the base: raised when other packages or files are taken.
pub(super) const KEY: &str = "bookworm-qemu-cloud-3";

const SUITE: &str = "bookworm";

/// The program that loads libraries.
const LOADER: &str = "ld-linux-x86-64.so.2";

/// What is taken: the inner hypervisor with its firmware, the kernel, and the
/// tools that a parent needs on any Linux.
const PACKAGES: [&str; 6] = [
    "qemu-system-x86",
    "linux-image-cloud-amd64",
    "iproute2",
    "nftables",
    "e2fsprogs",
    "kmod",
];

/// Programs of the kit, by where the packages put them and where the kit does.
const PROGRAMS: [(&str, &str); 5] = [
    ("usr/bin/qemu-system-x86_64", "qemu/qemu-system-x86_64"),
    ("bin/ip", "programs/ip"),
    ("usr/sbin/nft", "programs/nft"),
    ("sbin/resize2fs", "programs/resize2fs"),
    ("bin/kmod", "programs/modprobe"),
];

/// QEMU loads its emulation as a module, and looks for it from its own place:
/// that of the loader.
const EMULATION: (&str, &str) = (
    "usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
    "lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
);

/// Firmware for direct boot on q35.
const FIRMWARE: [&str; 4] = [
    "bios-256k.bin",
    "kvmvapic.bin",
    "linuxboot_dma.bin",
    "pvh.bin",
];

/// Folders of kernel modules that a virtual machine has no use for.
const NO_USE: [&str; 8] = [
    "kernel/drivers/gpu",
    "kernel/drivers/infiniband",
    "kernel/drivers/net/ethernet",
    "kernel/drivers/media",
    "kernel/drivers/scsi",
    "kernel/drivers/hv",
    "kernel/fs/ocfs2",
    "kernel/sound",
];

impl Store {
    /// Finds the base or makes it; the caller holds the kit's lock.
    pub(super) async fn ensure_base(&self, progress: Progress<'_>) -> Result<PathBuf, ImageError> {
        let folder = self.root().join("kits").join(format!("base-{KEY}"));
        if folder.exists() {
            return Ok(folder);
        }
        let scratch = self.scratch()?;
        let stage = scratch.path.join("stage");
        unpack_packages(&scratch.path, &stage, progress).await?;
        progress("choosing the kit's files".into());
        let tree = scratch.path.join("tree");
        assemble(&stage, &tree).await?;
        std::fs::rename(&tree, &folder).map_err(ImageError::io("keep the kit's base"))?;
        Ok(folder)
    }
}

/// Unpacks the packages and all they depend on, without installing anything.
async fn unpack_packages(
    scratch: &Path,
    stage: &Path,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    let place = Workplace::new(scratch)?;
    std::fs::create_dir(stage).map_err(ImageError::io(format!("make {}", stage.display())))?;
    let recipe = Recipe::of(SUITE, &PACKAGES);
    let mut command = mmdebstrap(&recipe, "extract", &place);
    command
        .args(["--format=tar", SUITE, "-"])
        .args(mirror(&recipe));
    let mut packages = Work::start(command, "mmdebstrap", Streams::Piped)?;
    let output = packages.stdout().expect("it was piped above");
    let input: Stdio = output
        .try_into()
        .map_err(ImageError::io("join mmdebstrap to tar"))?;
    let mut unpack = program("tar");
    unpack
        .args(["-x", "--no-same-owner", "--exclude=./dev/*", "-C"])
        .arg(stage);
    let unpack = Work::start(unpack, "tar", Streams::Input(input))?;
    let (packages, unpacked) = tokio::join!(
        packages.finish("Cannot fetch the kit's packages", progress),
        unpack.finish("Cannot unpack the kit's packages", &|_| {}),
    );
    first_cause(packages, unpacked)
}

/// Of two ends of a pipe that failed: the one that knows why, as either takes the
/// other with it; the writer if both or neither do.
fn first_cause(
    writer: Result<(), ImageError>,
    reader: Result<(), ImageError>,
) -> Result<(), ImageError> {
    match (writer, reader) {
        (Err(writer), Err(reader)) if writer.hint().is_none() && reader.hint().is_some() => {
            Err(reader)
        }
        (writer, reader) => writer.and(reader),
    }
}

/// Takes what the kit needs out of the unpacked packages.
async fn assemble(stage: &Path, tree: &Path) -> Result<(), ImageError> {
    let folders = [
        "boot",
        "lib/modules",
        "qemu/firmware",
        "lib/x86_64-linux-gnu/qemu",
        "tools",
        "programs",
        "bin",
    ];
    for folder in folders {
        let path = tree.join(folder);
        std::fs::create_dir_all(&path)
            .map_err(ImageError::io(format!("make {}", path.display())))?;
    }
    take_kernel(stage, tree).await?;
    let mut libraries = BTreeSet::new();
    for (from, to) in PROGRAMS {
        let from = find_program(stage, from)?;
        libraries.extend(libraries_of(stage, &from).await?);
        copy(&from, &tree.join(to))?;
    }
    copy(&loader(stage), &tree.join("lib").join(LOADER))?;
    for library in libraries {
        let name = library
            .file_name()
            .expect("the loader names files")
            .to_owned();
        copy(&library, &tree.join("lib").join(name))?;
    }
    let (from, to) = EMULATION;
    copy(&stage.join(from), &tree.join(to))?;
    for name in FIRMWARE {
        let places =
            ["usr/share/qemu", "usr/share/seabios"].map(|folder| stage.join(folder).join(name));
        if let Some(found) = places.iter().find(|path| path.is_file()) {
            copy(found, &tree.join("qemu/firmware").join(name))?;
        }
    }
    for tool in ["ip", "nft", "resize2fs", "modprobe"] {
        write_wrapper(tree, tool)?;
    }
    Ok(())
}

/// Merged-usr or not: a program stands in one of both places.
fn find_program(stage: &Path, path: &str) -> Result<PathBuf, ImageError> {
    let other = path
        .strip_prefix("usr/")
        .map_or_else(|| format!("usr/{path}"), str::to_owned);
    [path.to_owned(), other]
        .iter()
        .map(|path| stage.join(path))
        .find(|path| path.is_file())
        .ok_or_else(|| ImageError::Unusable(format!("The packages hold no {path}")))
}

async fn take_kernel(stage: &Path, tree: &Path) -> Result<(), ImageError> {
    let unusable = || ImageError::Unusable("The kernel package holds no kernel".into());
    let boot = stage.join("boot");
    let entries = std::fs::read_dir(&boot).map_err(ImageError::io("look for the kernel"))?;
    let image = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-"))
        })
        .ok_or_else(unusable)?;
    let name = image
        .file_name()
        .ok_or_else(unusable)?
        .to_string_lossy()
        .into_owned();
    let version = name.trim_start_matches("vmlinuz-").to_owned();
    let bytes = std::fs::read(&image).map_err(ImageError::io("read the kernel"))?;
    write(&tree.join("boot/vmlinux"), &kernel::unpack(&bytes)?)?;
    write(&tree.join("kernel-version"), version.as_bytes())?;
    let modules = [stage.join("lib/modules"), stage.join("usr/lib/modules")];
    let from = modules
        .iter()
        .map(|m| m.join(&version))
        .find(|m| m.exists())
        .ok_or_else(unusable)?;
    let to = tree.join("lib/modules").join(&version);
    copy_tree(&from, &to, &from).map_err(ImageError::io("copy the kernel's modules"))?;
    index_modules(stage, tree, &version).await
}

/// Runs the packages' own depmod: this machine may have none.
async fn index_modules(stage: &Path, tree: &Path, version: &str) -> Result<(), ImageError> {
    let kmod = find_program(stage, "bin/kmod")?;
    let mut command = program(loader(stage));
    command.args(["--argv0", "depmod", "--library-path", &library_path(stage)]);
    command.arg(kmod).arg("-b").arg(tree).arg(version);
    Work::start(command, "depmod", Streams::None)?
        .finish("Cannot index the kernel's modules", &|_| {})
        .await
}

fn loader(stage: &Path) -> PathBuf {
    let places = [
        "lib64",
        "usr/lib64",
        "lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
    ];
    let mut found = places.iter().map(|folder| stage.join(folder).join(LOADER));
    // Links may be absolute, and then lead out of the tree: only real files count.
    let real = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    found
        .find(real)
        .unwrap_or_else(|| stage.join(places[3]).join(LOADER))
}

fn library_path(stage: &Path) -> String {
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
        .map(|folder| stage.join(folder).display().to_string())
        .join(":")
}

/// The libraries that a program is linked with, as its loader finds them.
async fn libraries_of(stage: &Path, file: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let output = program(loader(stage))
        .args(["--library-path", &library_path(stage), "--list"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .map_err(ImageError::io(format!(
            "list the libraries of {}",
            file.display()
        )))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        return Err(ImageError::Unusable(format!(
            "A library is missing: {}",
            line.trim()
        )));
    }
    let paths = text
        .lines()
        .filter_map(|line| line.split("=> ").nth(1)?.split(" (").next());
    Ok(paths.map(PathBuf::from).collect())
}

/// A tool that runs with the kit's own loader and libraries.
fn write_wrapper(tree: &Path, name: &str) -> Result<(), ImageError> {
    use std::os::unix::fs::PermissionsExt;
    let path = tree.join("tools").join(name);
    let text = format!(
        "#!/bin/sh\nkit=/run/nestlab/kit\nexec $kit/lib/{LOADER} --argv0 {name} --library-path $kit/lib $kit/programs/{name} \"$@\"\n"
    );
    write(&path, text.as_bytes())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .map_err(ImageError::io(format!("write {}", path.display())))
}

fn copy(from: &Path, to: &Path) -> Result<(), ImageError> {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(ImageError::io(format!(
            "copy {} to {}",
            from.display(),
            to.display()
        )))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    std::fs::write(path, bytes).map_err(ImageError::io(format!("write {}", path.display())))
}

/// Copies the modules but for those of no use.
fn copy_tree(from: &Path, to: &Path, top: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let path = entry.path();
        let below = path.strip_prefix(top).unwrap_or(&path);
        if NO_USE.iter().any(|folder| below == Path::new(folder)) {
            continue;
        }
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&path, &target, top)?;
        } else if kind.is_file() {
            std::fs::copy(&path, target)?;
        }
    }
    Ok(())
}
