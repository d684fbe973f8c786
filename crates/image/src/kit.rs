//! The kit: one read-only disk with everything that a guest needs to be a
//! parent itself. It is handed on unchanged from level to level.
//!
//! ```text
//! bin/nestlab            the agent: the same program as on the host
//! bin/nestlab-init       the first program of a container
//! boot/{vmlinux,initramfs}
//! lib/modules/VERSION/   the kernel's modules
//! lib/                   the loader and libraries of what follows
//! qemu/{qemu-system-x86_64,firmware/}
//! tools/{ip,nft,resize2fs,modprobe}
//! ```
//!
//! What comes from Debian packages (the base) is made once; a new agent only
//! composes the disk anew.

mod base;
mod initramfs;

use crate::ImageError;
use crate::builder::{Progress, ext4_of};
use crate::store::{self, Store};
use nestlab_model::{ByteSize, Digest};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Raised when the same parts are put together differently.
const BUILDER: &str = "nestlab-kit-4";

/// A file of a kit whose time is when the kit was last asked for.
const LAST_ASKED: &str = "last-asked";

/// The programs that a kit is made with.
#[derive(Debug, Clone)]
pub struct KitSources {
    /// The agent.
    pub agent: PathBuf,
    /// The init.
    pub init: PathBuf,
}

/// A finished kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kit {
    /// What it is.
    pub digest: Digest,
    /// The disk, raw.
    pub disk: PathBuf,
    /// The kernel for direct boot.
    pub kernel: PathBuf,
    /// The initramfs with the init.
    pub initramfs: PathBuf,
    /// The folder with all that is on the disk.
    pub tree: PathBuf,
    /// The kernel's release, as `uname -r` gives it.
    pub kernel_version: String,
}

impl Kit {
    /// The serial under which a guest finds the kit's disk.
    pub fn serial(&self) -> String {
        format!("kit-{}", self.digest.short())
    }

    fn in_folder(folder: &Path, digest: Digest) -> Option<Self> {
        let version = std::fs::read_to_string(folder.join("kernel-version")).ok()?;
        Some(Self {
            digest,
            disk: folder.join("kit.ext4"),
            kernel: folder.join("vmlinux"),
            initramfs: folder.join("initramfs"),
            tree: folder.join("tree"),
            kernel_version: version.trim().to_owned(),
        })
    }
}

/// The command line that runs the kit's QEMU in a guest: its own loader with
/// its own libraries, whatever the guest's are.
pub fn kit_qemu_command(kit_dir: &Path) -> Vec<OsString> {
    let library = kit_dir.join("lib");
    vec![
        library.join("ld-linux-x86-64.so.2").into(),
        "--library-path".into(),
        library.into(),
        kit_dir.join("qemu/qemu-system-x86_64").into(),
        "-L".into(),
        kit_dir.join("qemu/firmware").into(),
    ]
}

impl Store {
    /// Finds the kit for an agent and an init, or makes it.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn ensure_kit(
        &self,
        sources: &KitSources,
        progress: Progress<'_>,
    ) -> Result<Kit, ImageError> {
        let digest = self.kit_digest(sources).await?;
        let folder = self.root().join("kits").join(digest.hex());
        if let Some(kit) = Kit::in_folder(&folder, digest) {
            ask_for(&folder);
            return Ok(kit);
        }
        let _lock = self.lock("kit").await?;
        self.sweep();
        if let Some(kit) = Kit::in_folder(&folder, digest) {
            return Ok(kit);
        }
        self.need_room()?;
        let base = self.ensure_base(progress).await?;
        progress("putting the kit together".into());
        let scratch = self.scratch()?;
        compose(&base, sources, &scratch.path).await?;
        ask_for(&scratch.path.join("out"));
        std::fs::rename(scratch.path.join("out"), &folder)
            .map_err(ImageError::io("keep the kit"))?;
        Kit::in_folder(&folder, digest)
            .ok_or_else(|| ImageError::Unusable("The kit was made without a kernel".into()))
    }

    /// The kit that was asked for last, with whatever agent: its kernel boots.
    pub fn any_kit(&self) -> Option<Kit> {
        let entries = std::fs::read_dir(self.root().join("kits")).ok()?;
        let asked = |path: &Path| std::fs::metadata(path.join(LAST_ASKED))?.modified();
        let kits = entries.flatten().filter_map(|entry| {
            let folder = entry.path();
            let digest = folder.file_name()?.to_str()?.parse().ok()?;
            Some((asked(&folder).ok()?, Kit::in_folder(&folder, digest)?))
        });
        kits.max_by_key(|(asked, _)| *asked).map(|(_, kit)| kit)
    }

    async fn kit_digest(&self, sources: &KitSources) -> Result<Digest, ImageError> {
        let mut hasher = Sha256::new();
        hasher.update(BUILDER);
        hasher.update(base::KEY);
        hasher.update(self.remembered_digest(&sources.agent).await?.0);
        hasher.update(self.remembered_digest(&sources.init).await?.0);
        Ok(Digest(hasher.finalize().into()))
    }

    /// Removes every kit but the one that was asked for last and those that these
    /// kernels are of.
    pub(crate) async fn prune_kits(&self, kernels: &[PathBuf]) -> Result<ByteSize, ImageError> {
        let _lock = self.lock("kit").await?;
        let folder = self.root().join("kits");
        let entries = std::fs::read_dir(&folder)
            .map_err(ImageError::io(format!("read {}", folder.display())))?;
        let mut kits: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter_map(|path| {
                Some((
                    std::fs::metadata(path.join(LAST_ASKED))
                        .ok()?
                        .modified()
                        .ok()?,
                    path,
                ))
            })
            .collect();
        kits.sort();
        kits.pop();
        kits.retain(|(_, kit)| !kernels.iter().any(|kernel| kernel.starts_with(kit)));
        let mut freed = ByteSize::ZERO;
        for (_, path) in kits {
            let files = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let blocks: u64 = files
                .filter_map(|file| Some(file.metadata().ok()?.blocks()))
                .sum();
            freed = freed.saturating_add(ByteSize::bytes(blocks * 512));
            store::remove(&path)?;
        }
        Ok(freed)
    }
}

/// Notes that a kit is in use, for [`Store::prune_kits`].
fn ask_for(folder: &Path) {
    // Only prune looks at it: what cannot be noted is made again.
    let _ = std::fs::write(folder.join(LAST_ASKED), "");
}

/// Puts base, agent and init together: `out/` is the finished kit.
async fn compose(base: &Path, sources: &KitSources, scratch: &Path) -> Result<(), ImageError> {
    let cannot = || "put the kit together".to_owned();
    let (tree, out) = (scratch.join("tree"), scratch.join("out"));
    std::fs::create_dir(&out).map_err(ImageError::io(cannot()))?;
    link_tree(base, &tree).map_err(ImageError::io(cannot()))?;
    let init = std::fs::read(&sources.init)
        .map_err(ImageError::io(format!("read {}", sources.init.display())))?;
    let initramfs = initramfs::make(&tree, &init)?;
    let put = || -> std::io::Result<()> {
        std::fs::create_dir_all(tree.join("bin"))?;
        for (program, name) in [(&sources.agent, "nestlab"), (&sources.init, "nestlab-init")] {
            let to = tree.join("bin").join(name);
            std::fs::copy(program, &to)?;
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755))?;
        }
        std::fs::write(tree.join("boot/initramfs"), &initramfs)?;
        std::fs::write(out.join("initramfs"), &initramfs)?;
        std::fs::copy(tree.join("boot/vmlinux"), out.join("vmlinux"))?;
        std::fs::copy(tree.join("kernel-version"), out.join("kernel-version"))?;
        Ok(())
    };
    put().map_err(ImageError::io(cannot()))?;
    let bytes = tree_bytes(&tree).map_err(ImageError::io(cannot()))?;
    ext4_of(&tree, &out.join("kit.ext4"), bytes + bytes / 8 + (16 << 20)).await?;
    // For containers. Most of it are links to the base.
    std::fs::rename(&tree, out.join("tree")).map_err(ImageError::io(cannot()))
}

/// The same tree again, files hard-linked.
fn link_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &target)?;
        } else {
            std::fs::hard_link(entry.path(), target)?;
        }
    }
    Ok(())
}

fn tree_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            4096 + tree_bytes(&entry.path())?
        } else {
            entry.metadata()?.len().next_multiple_of(4096)
        };
    }
    Ok(sum)
}
