//! What a layer stands on: where its networks live and where its images come
//! from. On the host that is a namespace and the image store; inside a node,
//! the node's own kernel and the disks that its parent attached.

mod guest;
mod host;

pub use guest::GuestGround;
pub use host::HostGround;

use crate::Fault;
use async_trait::async_trait;
use ipnet::IpNet;
use nestlab_api::message::ImageSource;
use nestlab_backend::{DiskFormat, Lower};
use nestlab_model::{ByteSize, Digest, ImageName, Layer, Mac, NetworkName, NodeName};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::ProcessId;
use std::net::IpAddr;
use std::path::PathBuf;

/// Takes short sentences about a long step.
pub type Progress<'a> = &'a (dyn Fn(String) + Send + Sync);

/// An image as this level finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// What it is.
    pub digest: Digest,
    /// A file or block device.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
    /// Its size.
    pub virtual_size: ByteSize,
    /// Whether its file system was made by us, and not brought by somebody.
    pub ours: bool,
}

impl BaseImage {
    /// The serial under which a child finds it.
    pub fn serial(&self) -> String {
        format!("img-{}", self.digest.short())
    }
}

/// The kit as this level finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitParts {
    /// The serial under which every guest finds the kit's disk.
    pub serial: String,
    /// The file or block device with the kit, raw.
    pub disk: PathBuf,
    /// The kernel for direct boot.
    pub kernel: PathBuf,
    /// The initramfs with the init.
    pub initramfs: PathBuf,
    /// The folder with all that is on the disk.
    pub tree: PathBuf,
}

/// A container's attachment to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plug {
    /// The network.
    pub network: NetworkName,
    /// The interface in the container.
    pub interface: String,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its address, with the subnet's prefix length.
    pub address: IpNet,
    /// Where it sends what is for nobody near.
    pub gateway: Option<IpAddr>,
}

/// What a layer stands on.
#[async_trait]
pub trait Ground: Send + Sync {
    /// Makes the layer's networks exist as described. Idempotent.
    ///
    /// `machines` are VMMs of this layer that still run: through them a place
    /// is found again whose keeper has died.
    async fn networks(&self, layer: &Layer, machines: &[ProcessId]) -> Result<(), Fault>;

    /// Makes a tap for an endpoint and returns its name. Idempotent.
    async fn tap(&self, node: &NodeName, network: &NetworkName) -> Result<String, Fault>;

    /// Removes a node's taps. Idempotent.
    async fn remove_taps(&self, node: &NodeName) -> Result<(), Fault>;

    /// Gives a running container an interface on a network, by a process in it.
    /// Idempotent.
    async fn plug(&self, node: &NodeName, plug: &Plug, process: u32) -> Result<(), Fault>;

    /// Where VMMs must run to reach the taps; `None` for here.
    async fn place(&self) -> Option<Namespaces>;

    /// The keeper of the place, where there is one.
    async fn keeper(&self) -> Option<ProcessId>;

    /// A name server that nodes of `nat` networks reach.
    async fn resolver(&self) -> Option<IpAddr>;

    /// Finds an image, making it where this level can.
    async fn image(
        &self,
        name: &ImageName,
        source: &ImageSource,
        progress: Progress<'_>,
    ) -> Result<BaseImage, Fault>;

    /// What the root of a container begins from, of an image that holds one file system.
    async fn root(&self, image: &BaseImage, progress: Progress<'_>) -> Result<Lower, Fault>;

    /// Finds the kit, making it where this level can.
    async fn kit(&self, progress: Progress<'_>) -> Result<KitParts, Fault>;

    /// Where facts proved about this level outlive the lab; `None` where
    /// nothing does.
    fn proved_file(&self) -> Option<PathBuf>;

    /// Removes everything. Idempotent.
    async fn remove(&self) -> Result<(), Fault>;
}
