//! The kit: one read-only disk with everything that a guest needs to be a
//! parent itself. It is handed on unchanged from level to level.
//!
//! ```text
//! bin/nestlab            the agent: the same program as on the host
//! boot/{vmlinux,initramfs}
//! lib/modules/VERSION/   the kernel's modules
//! lib/                   the loader and libraries of what follows
//! qemu/{qemu-system-x86_64,firmware/}
//! tools/{ip,nft,resize2fs}
//! ```
//!
//! What comes from Debian packages (the base) is made once; a new agent only
//! composes the disk anew.

mod base;
mod initramfs;

use crate::builder::{Progress, ext4_of};
use crate::store::Store;
use crate::ImageError;
use nestlab_model::Digest;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Raised when the same parts are put together differently.
const BUILDER: &str = "nestlab-kit-1";

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
        let digest = self.kit_digest(sources)?;
        let folder = self.root().join("kits").join(digest.hex());
        if let Some(kit) = Kit::in_folder(&folder, digest) {
            return Ok(kit);
        }
        let _lock = self.lock("kit").await?;
        if let Some(kit) = Kit::in_folder(&folder, digest) {
            return Ok(kit);
        }
        self.need_room()?;
        let base = self.ensure_base(progress).await?;
        progress("putting the kit together".into());
        let scratch = self.scratch()?;
        compose(&base, sources, &scratch.0).await?;
        std::fs::rename(scratch.0.join("out"), &folder).map_err(ImageError::io("keep the kit"))?;
        Kit::in_folder(&folder, digest)
            .ok_or_else(|| ImageError::Unusable("The kit was made without a kernel".into()))
    }

    /// The digest of the kit's parts, remembered by the files' numbers, sizes
    /// and times: hashing the agent at every start would cost more than all
    /// the rest.
    fn kit_digest(&self, sources: &KitSources) -> Result<Digest, ImageError> {
        let mut stamp = Sha256::new();
        stamp.update(BUILDER);
        stamp.update(base::KEY);
        for path in [&sources.agent, &sources.init] {
            let m = std::fs::metadata(path)
                .map_err(ImageError::io(format!("read {}", path.display())))?;
            let numbers = [m.dev(), m.ino(), m.size(), m.mtime() as u64, m.mtime_nsec() as u64];
            numbers.iter().for_each(|number| stamp.update(number.to_le_bytes()));
        }
        let memo = self.root().join("kits").join(format!("stamp-{}", Digest(stamp.finalize().into()).short()));
        let known = std::fs::read_to_string(&memo).ok().and_then(|text| text.trim().parse().ok());
        if let Some(digest) = known {
            return Ok(digest);
        }
        let mut hasher = Sha256::new();
        hasher.update(BUILDER);
        hasher.update(base::KEY);
        hasher.update(file_digest(&sources.agent)?.0);
        hasher.update(file_digest(&sources.init)?.0);
        let digest = Digest(hasher.finalize().into());
        // Only a memo: without it the next start is slower.
        let _ = std::fs::write(&memo, digest.to_string());
        Ok(digest)
    }
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
    let agent = tree.join("bin/nestlab");
    let put = || -> std::io::Result<()> {
        std::fs::create_dir_all(tree.join("bin"))?;
        std::fs::copy(&sources.agent, &agent)?;
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(tree.join("boot/initramfs"), &initramfs)?;
        std::fs::write(out.join("initramfs"), &initramfs)?;
        std::fs::copy(tree.join("boot/vmlinux"), out.join("vmlinux"))?;
        std::fs::copy(tree.join("kernel-version"), out.join("kernel-version"))?;
        Ok(())
    };
    put().map_err(ImageError::io(cannot()))?;
    let bytes = tree_bytes(&tree).map_err(ImageError::io(cannot()))?;
    ext4_of(&tree, &out.join("kit.ext4"), bytes + bytes / 8 + (16 << 20)).await
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

/// The SHA-256 of a file.
pub(crate) fn file_digest(path: &Path) -> Result<Digest, ImageError> {
    let cannot = || format!("read {}", path.display());
    let mut file = std::fs::File::open(path).map_err(ImageError::io(cannot()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(ImageError::io(cannot()))? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
