//! Where the parts of a container are put together before its runtime takes over: a mount
//! namespace of its own, made by a process that then becomes the runtime. The container
//! takes a copy of it along, so nothing has to be unmounted later, and nobody else ever
//! sees any of it.
//!
//! All parts lie in a tmpfs over a folder that everybody may enter: root of a container is
//! an ordinary user outside, and could not go through folders that are ours alone.

use crate::copy;
use nestlab_backend::places::{ALL, CHANGES, LAYER};
use nestlab_backend::{Lower, Volume};
use nestlab_sys::detached::{Detached, Ids};
use nestlab_sys::mount;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// The hidden command that does this; its argument is the file of a [`Stage`].
pub const ROLE: &str = "__stage";

/// One of them is on every Linux, everybody may enter it, and no program is run from it.
const FOLDERS: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// Bytes of the tmpfs, which holds mount points and device nodes only.
const SIZE: u64 = 1 << 20;

/// Where the stage is here.
///
/// # Errors
/// This machine has none of the folders in which it could be.
pub(crate) fn folder() -> io::Result<&'static Path> {
    let mut folders = FOLDERS.iter().map(Path::new);
    let found = folders.find(|folder| folder.is_dir());
    found.ok_or_else(|| io::Error::other(format!("there is none of {}", FOLDERS.join(", "))))
}

/// A part of a container.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// Its root file system.
    Root,
    /// What that begins from.
    Lower,
    /// What it writes.
    Upper,
    /// The kit.
    Kit,
    /// What the engine inside it keeps of its nodes.
    Layer,
    /// What a container inside it begins from.
    InnerRoot(usize),
    /// An image for what stands inside it.
    Disk(usize),
    /// A device.
    Device(usize),
    /// A folder of the level that it stands on.
    Volume(usize),
}

impl Part {
    /// Where it lies on a stage.
    pub fn on(self, stage: &Path) -> PathBuf {
        match self {
            Self::Root => stage.join("root"),
            Self::Lower => stage.join("lower"),
            Self::Upper => stage.join("upper"),
            Self::Kit => stage.join("kit"),
            Self::Layer => stage.join("layer"),
            Self::InnerRoot(number) => stage.join(format!("root-{number}")),
            Self::Disk(number) => stage.join(format!("disk-{number}")),
            Self::Device(number) => stage.join(format!("device-{number}")),
            Self::Volume(number) => stage.join(format!("volume-{number}")),
        }
    }
}

/// What is to be put together, and what takes over then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) lower: Lower,
    /// A folder with `upper` and `work` below it.
    pub(crate) upper: PathBuf,
    pub(crate) kit: PathBuf,
    /// Whether a layer stands inside it.
    pub(crate) holds_layer: bool,
    pub(crate) inner_roots: Vec<Lower>,
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) devices: Vec<String>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) ids: Option<Ids>,
    /// Whether its root may mount, and so change what mounts are like.
    pub(crate) may_mount: bool,
    /// The runtime and its arguments.
    pub(crate) then: Vec<OsString>,
}

/// Sets the stage that a file describes, and becomes the runtime.
///
/// # Errors
/// A part cannot be put in its place; nothing of it is left then.
pub fn run(file: &Path) -> Result<std::convert::Infallible, String> {
    let text =
        fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let stage: Stage = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    stage.set()?;
    let (program, arguments) = stage.then.split_first().ok_or("there is no runtime")?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(format!(
        "cannot start {}: {error}",
        program.to_string_lossy()
    ))
}

impl Stage {
    fn set(&self) -> Result<(), String> {
        did("make a mount namespace", mount::own_namespace())?;
        // All is taken hold of before the stage covers anything.
        let parts = self.parts()?;
        did("mount the stage", mount::stage(&self.folder, SIZE))?;
        let mut read_only = Vec::new();
        for (part, manner, taken) in parts {
            let at = part.on(&self.folder);
            if manner == Manner::ReadOnly && matches!(taken, Taken::Tree(..)) {
                read_only.push(at.clone());
            }
            did(&format!("put {}", at.display()), self.put(taken, &at))?;
        }
        for (part, lower) in self.lowers() {
            if let Lower::Disk(device) = lower {
                let mounted = self.mount_disk(device, part);
                did(&format!("mount {}", device.display()), mounted)?;
            }
        }
        if self.may_mount {
            did("keep what is read-only so", keep_read_only(&read_only))?;
        }
        self.root()
    }

    /// What its own root and those of containers inside it begin from.
    fn lowers(&self) -> impl Iterator<Item = (Part, &Lower)> {
        let inner = self.inner_roots.iter().enumerate();
        let inner = inner.map(|(number, lower)| (Part::InnerRoot(number), lower));
        inner.chain([(Part::Lower, &self.lower)])
    }

    /// Everything that lies somewhere already.
    fn parts(&self) -> Result<Vec<(Part, Manner, Taken)>, String> {
        let mut parts = Vec::new();
        let mut take = |part, path: &Path, manner| {
            let taken = self.take(path, manner);
            let taken = did(&format!("take {}", path.display()), taken)?;
            parts.push((part, manner, taken));
            Ok::<_, String>(())
        };
        for (part, lower) in self.lowers() {
            if let Lower::Folder(folder) = lower {
                take(part, folder, Manner::ReadOnly)?;
            }
        }
        if self.holds_layer {
            let layer = self.upper.join(LAYER);
            did("make the folder of its layer", self.own(&layer))?;
            take(Part::Layer, &layer, Manner::AsItIs)?;
        }
        take(Part::Upper, &self.upper, Manner::AsItIs)?;
        take(Part::Kit, &self.kit, Manner::ReadOnly)?;
        for (number, disk) in self.disks.iter().enumerate() {
            take(Part::Disk(number), disk, Manner::ReadOnly)?;
        }
        for (number, device) in self.devices.iter().enumerate() {
            take(Part::Device(number), Path::new(device), Manner::AsItIs)?;
        }
        for (number, volume) in self.volumes.iter().enumerate() {
            let manner = match volume.read_only {
                true => Manner::ReadOnly,
                false => Manner::Shifted,
            };
            take(Part::Volume(number), &volume.source, manner)?;
        }
        Ok(parts)
    }

    fn take(&self, path: &Path, manner: Manner) -> io::Result<Taken> {
        let kind = fs::metadata(path)?;
        let is_device = kind.file_type().is_char_device() || kind.file_type().is_block_device();
        if is_device && self.ids.is_some() {
            let mode = if manner == Manner::ReadOnly {
                0o400
            } else {
                0o600
            };
            return Ok(Taken::Device(kind.mode() & S_IFMT | mode, kind.rdev()));
        }
        let tree = Detached::of(path)?;
        if let Some(ids) = self.ids.filter(|_| manner != Manner::AsItIs) {
            tree.shift(ids)?;
        }
        if manner == Manner::ReadOnly {
            tree.read_only()?;
        }
        Ok(Taken::Tree(tree, kind.is_dir()))
    }

    fn put(&self, taken: Taken, at: &Path) -> io::Result<()> {
        match taken {
            Taken::Tree(tree, folder) => {
                mount_point(at, folder)?;
                tree.put(at)
            }
            Taken::Device(mode, device) => {
                mount::make_device(at, mode, device)?;
                let owner = self.ids.map(|ids| ids.first);
                chown(at, owner, owner)
            }
        }
    }

    fn mount_disk(&self, device: &Path, part: Part) -> io::Result<()> {
        let at = part.on(&self.folder);
        let plain = at.with_extension("disk");
        mount_point(&plain, true)?;
        mount_point(&at, true)?;
        mount::device(device, &plain, "ext4", true)?;
        let tree = Detached::of(&plain)?;
        if let Some(ids) = self.ids {
            tree.shift(ids)?;
        }
        tree.put(&at)
    }

    /// A folder that belongs to the container's root.
    fn own(&self, path: &Path) -> io::Result<()> {
        let owner = self.ids.map(|ids| ids.first);
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => chown(path, owner, owner),
        }
    }

    /// The root: what it begins from, with what the container writes over it.
    fn root(&self) -> Result<(), String> {
        let (upper, root) = (Part::Upper.on(&self.folder), Part::Root.on(&self.folder));
        did("make the root", mount_point(&root, true))?;
        let own = |name: &str| {
            let path = upper.join(name);
            self.own(&path).map(|()| path)
        };
        let copied = upper.join(ALL);
        if copied.exists() {
            return did("mount the copied root", mount::bind(&copied, &root));
        }
        let lower = Part::Lower.on(&self.folder);
        let overlaid = own(CHANGES).and_then(|changes| {
            let work = own("work")?;
            let mounted = mount::overlay(&lower, &changes, &work, &root, self.ids.is_none());
            // What has been written over an overlay is of no use without one.
            match is_empty(&changes)? {
                true => Ok(mounted.is_ok()),
                false => mounted.map(|()| true),
            }
        });
        if did("mount the root", overlaid)? {
            return Ok(());
        }
        did("copy the root", copy::root(&lower, &upper))?;
        did("mount the copied root", mount::bind(&copied, &root))
    }
}

/// How a part is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// With its owners as they are here.
    AsItIs,
    /// With its owners as the container's users.
    Shifted,
    /// The same, and nobody may write to it.
    ReadOnly,
}

/// A part that has been taken hold of.
enum Taken {
    /// A file or folder; the latter if true.
    Tree(Detached, bool),
    /// The mode of a device node, and its numbers. Root of the container could not use
    /// one that belongs to root of this level, so it gets a node of its own.
    Device(u32, u64),
}

/// The bits of a mode that tell the kind of file (inode(7)).
const S_IFMT: u32 = 0o170_000;

/// Puts mounts over themselves that whoever may mount cannot make writable.
fn keep_read_only(paths: &[PathBuf]) -> io::Result<()> {
    let locked = nestlab_sys::detached::locked(paths)?;
    let mut both = locked.into_iter().zip(paths);
    both.try_for_each(|(tree, at)| tree.put(at))
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

fn mount_point(at: &Path, folder: bool) -> io::Result<()> {
    match folder {
        true => fs::create_dir(at),
        false => fs::write(at, ""),
    }
}

fn did<T>(what: &str, done: io::Result<T>) -> Result<T, String> {
    done.map_err(|error| format!("cannot {what}: {error}"))
}

/// Major and minor number of a character device of this level, if it is one.
pub(crate) fn numbers(device: &str) -> Option<(u64, u64)> {
    let metadata = fs::metadata(device).ok()?;
    let is_device = metadata.file_type().is_char_device();
    is_device.then(|| mount::device_numbers(metadata.rdev()))
}
