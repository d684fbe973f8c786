//! What a backend is asked to run, with nothing left to decide.

use nestlab_model::{Accelerator, ByteSize, Firmware, IoLimits, Mac, NodePath, Volume};
use nestlab_sys::detached::Ids;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One machine to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The random id of the lab, so that leftovers can be found in /proc.
    pub lab_id: String,
    /// The path of the node, for the same reason and for messages.
    pub path: NodePath,
    /// A folder of its own for sockets and the pid file. Short: a Unix socket's
    /// path has at most 107 bytes (unix(7)).
    pub run_dir: PathBuf,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: ByteSize,
    /// What executes the instructions; already proved to work.
    pub accelerator: Accelerator,
    /// Whether the guest sees hardware virtualisation.
    pub nested: bool,
    /// Whether there is a memory balloon.
    pub balloon: bool,
    /// How its first program comes to run.
    pub boot: Start,
    /// Disks in order; a virtual machine's first is its root. A container finds them as
    /// files, by their serials.
    pub disks: Vec<Disk>,
    /// Network cards in order. A container gets its own once it runs.
    pub nics: Vec<Nic>,
    /// The file that holds its memory; `None` for memory of the VMM's own.
    #[serde(default)]
    pub memory_file: Option<MemoryFile>,
}

/// A file as the memory of a machine, so that copies of the machine need no copy
/// of its memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryFile {
    /// The file, made by the VMM if it is missing.
    pub path: PathBuf,
    /// Who sees what the guest writes.
    pub mapping: Mapping,
}

/// How a file is mapped as memory (mmap(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mapping {
    /// The file is the memory, and holds all of it.
    Shared,
    /// The file is what the memory was at one moment, for this machine and for
    /// others; nobody may write to it any more. Each keeps to itself what it has
    /// written since.
    Private,
}

impl MachineSpec {
    /// Whether its memory is in a file that shows all of it.
    pub fn shares_memory(&self) -> bool {
        self.maps(Mapping::Shared)
    }

    /// Whether its memory began as what a file holds.
    pub fn began_from_file(&self) -> bool {
        self.maps(Mapping::Private)
    }

    /// What it is after [`crate::Machine::branch`].
    pub fn branched(self, memory: &Path, disks: &[Disk]) -> Self {
        let new = |disk: Disk| {
            let same = disks.iter().find(|new| new.serial == disk.serial);
            same.cloned().unwrap_or(disk)
        };
        Self {
            disks: self.disks.into_iter().map(new).collect(),
            memory_file: Some(MemoryFile {
                path: memory.to_owned(),
                mapping: Mapping::Private,
            }),
            ..self
        }
    }

    fn maps(&self, mapping: Mapping) -> bool {
        let file = self.memory_file.as_ref();
        file.is_some_and(|file| file.mapping == mapping)
    }
}

/// How the first program of a machine comes to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Start {
    /// A kernel of its own starts it, and we name that.
    Kernel(BootSpec),
    /// What is on its root disk does, which a firmware finds there.
    Firmware(FirmwareSpec),
    /// The kernel of this level does, apart from all others.
    Container(Box<ContainerSpec>),
}

impl Start {
    /// The kernel that boots, if one does.
    pub fn kernel(&self) -> Option<&BootSpec> {
        match self {
            Self::Kernel(boot) => Some(boot),
            Self::Firmware(_) | Self::Container(_) => None,
        }
    }

    /// The firmware that boots, if one does.
    pub fn firmware(&self) -> Option<&FirmwareSpec> {
        match self {
            Self::Firmware(firmware) => Some(firmware),
            Self::Kernel(_) | Self::Container(_) => None,
        }
    }

    /// What a container is made from, if it is one.
    pub fn container(&self) -> Option<&ContainerSpec> {
        match self {
            Self::Kernel(_) | Self::Firmware(_) => None,
            Self::Container(container) => Some(container),
        }
    }
}

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// What its root file system begins from.
    pub root: Lower,
    /// What people know that by, where it is shown to them: a name and the beginning of a
    /// digest, as `debian:0a1b2c3d4e5f`.
    #[serde(default)]
    pub image: String,
    /// A folder of its own, for what it writes. It outlives the container.
    pub folder: PathBuf,
    /// The folder of the kit.
    pub kit: PathBuf,
    /// Its host name.
    pub hostname: String,
    /// Who its users are outside; those of the place itself if `None`.
    pub ids: Option<Ids>,
    /// The most processes and threads at a time.
    pub pids: u32,
    /// Devices of this level, by their paths.
    pub devices: Vec<String>,
    /// Capabilities beside the usual ones, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Folders of this level.
    pub volumes: Vec<Volume>,
    /// How fast it may use the disk that [`Self::folder`] lies on.
    #[serde(default)]
    pub io: IoLimits,
    /// Whether a layer shall stand inside it.
    pub holds_layer: bool,
    /// What the roots of containers inside it begin from. With any of them it may make mounts
    /// and namespaces of its own.
    #[serde(default)]
    pub inner_roots: Vec<InnerRoot>,
}

/// What a container hands to containers inside it, which could mount no disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerRoot {
    /// By what it is found inside.
    pub serial: String,
    /// Where it is on this level.
    pub lower: Lower,
}

/// What the root file system of a container begins from. It is only read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lower {
    /// A folder.
    Folder(PathBuf),
    /// A block device with an ext4 file system.
    Disk(PathBuf),
}

/// Direct kernel boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSpec {
    /// An uncompressed ELF kernel with a PVH note, or a bzImage.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
    /// Words that the caller wants on the kernel command line. The backend adds
    /// those that its machine type needs.
    pub cmdline: String,
}

/// What finds the boot loader of a machine's root disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareSpec {
    /// Which one.
    pub firmware: Firmware,
    /// The file in which it keeps what it was told to remember; made if it is missing.
    /// Only UEFI has one.
    pub variables: PathBuf,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What the guest finds it by, at most 20 bytes (virtio-blk).
    pub serial: String,
    /// A file or block device of this level.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
    /// Whether the guest may only read it. Such a disk is shared with others.
    pub read_only: bool,
}

/// The format of a disk's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// QEMU's copy-on-write format.
    Qcow2,
    /// The bytes themselves; also block devices.
    Raw,
}

/// A network card on an existing tap of the network namespace that the VMM is
/// started in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The name of the tap.
    pub tap: String,
    /// The guest's Ethernet address.
    pub mac: Mac,
    /// The guest's MTU in bytes.
    pub mtu: u16,
}

/// What starting a machine comes to: a command line. Pure, so that it can be
/// shown by `nestlab plan` and compared in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Program and arguments.
    pub argv: Vec<OsString>,
}
