//! The ground inside a node: its own kernel's network, and the disks that its
//! parent attached.

use super::{BaseImage, Ground, KitParts, Plug, Progress};
use crate::Fault;
use async_trait::async_trait;
use nestlab_api::message::ImageSource;
use nestlab_backend::places::{DISKS_INSIDE, ROOTS_INSIDE};
use nestlab_backend::{DiskFormat, Lower};
use nestlab_model::{ImageName, Layer, NetworkName, NodeName};
use nestlab_network::{Cable, LayerNetwork, Place};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::ProcessId;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a layer inside a node stands on.
pub struct GuestGround {
    /// Where the init mounted the kit.
    kit_dir: PathBuf,
    network: Mutex<Option<Arc<LayerNetwork>>>,
}

impl GuestGround {
    /// A ground with the kit mounted at `kit_dir`.
    pub fn new(kit_dir: PathBuf) -> Self {
        Self {
            kit_dir,
            network: Mutex::default(),
        }
    }

    async fn network(&self) -> Result<Arc<LayerNetwork>, Fault> {
        self.network
            .lock()
            .await
            .clone()
            .ok_or_else(|| Fault::new("The networks of this layer are not up"))
    }
}

/// The block device with a serial.
fn device(serial: &str) -> Result<PathBuf, Fault> {
    if let Some((handed, _)) = handed(|name| name == serial) {
        return Ok(handed);
    }
    nestlab_sys::virtio::block_device(serial)
        .map_err(Fault::io(format!("Cannot look for the disk `{serial}`")))?
        .ok_or_else(|| {
            Fault::new(format!("The parent has attached no disk with serial `{serial}`"))
                .with_hint("Halt the parent and run `nestlab up`, so that it starts with all images its inside needs")
        })
}

/// The first disk that was handed to this container and whose serial fits, with that.
fn handed(fits: impl Fn(&str) -> bool) -> Option<(PathBuf, String)> {
    let folders = DISKS_INSIDE.iter().flat_map(std::fs::read_dir);
    let mut disks = folders.flatten().flatten().filter_map(|entry| {
        let serial = entry.file_name().into_string().ok()?;
        Some((entry.path(), serial))
    });
    disks.find(|(_, serial)| fits(serial))
}

#[async_trait]
impl Ground for GuestGround {
    async fn networks(&self, layer: &Layer, _machines: &[ProcessId]) -> Result<(), Fault> {
        for module in ["tun", "bridge", "nf_tables", "kvm_amd", "kvm_intel"] {
            // Built in, or for the other vendor: what is really missing shows below.
            if let Err(error) = nestlab_sys::kmod::load(module) {
                tracing::debug!(module, %error, "not loaded");
            }
        }
        let owns = nestlab_sys::group::take_over();
        owns.map_err(Fault::io(
            "Cannot make control groups inside this container",
        ))?;
        let network = LayerNetwork::up(Place::Machine, "inside", layer)
            .await
            .map_err(network_fault)?;
        *self.network.lock().await = Some(Arc::new(network));
        Ok(())
    }

    async fn tap(&self, node: &NodeName, network: &NetworkName) -> Result<String, Fault> {
        self.network()
            .await?
            .ensure_tap(node, network)
            .await
            .map_err(network_fault)
    }

    async fn remove_taps(&self, node: &NodeName) -> Result<(), Fault> {
        match self.network().await {
            Ok(network) => network.remove_node(node).await.map_err(network_fault),
            Err(_) => Ok(()),
        }
    }

    async fn place(&self) -> Option<Namespaces> {
        None
    }

    async fn keeper(&self) -> Option<ProcessId> {
        None
    }

    /// The one that this node itself was given.
    async fn resolver(&self) -> Option<IpAddr> {
        let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
        text.lines()
            .filter_map(|line| line.strip_prefix("nameserver"))
            .find_map(|rest| rest.trim().parse().ok())
    }

    async fn image(
        &self,
        name: &ImageName,
        source: &ImageSource,
        _progress: Progress<'_>,
    ) -> Result<BaseImage, Fault> {
        match source {
            ImageSource::Serial {
                digest,
                serial,
                format,
                virtual_size,
                ours,
            } => Ok(BaseImage {
                digest: *digest,
                path: device(serial)?,
                format: if format == "qcow2" {
                    DiskFormat::Qcow2
                } else {
                    DiskFormat::Raw
                },
                virtual_size: *virtual_size,
                ours: *ours,
            }),
            ImageSource::Spec(_) => Err(Fault::new(format!(
                "The image `{name}` would have to be made inside a node, which never downloads"
            ))),
        }
    }

    async fn kit(&self, _progress: Progress<'_>) -> Result<KitParts, Fault> {
        let disk = match handed(|name| name.starts_with("kit-")) {
            Some(found) => Some(found),
            None => nestlab_sys::virtio::block_device_with_prefix("kit-")
                .map_err(Fault::io("Cannot look for the kit's disk"))?,
        };
        let (disk, serial) = disk.ok_or_else(|| Fault::new("The kit's disk is not attached"))?;
        Ok(KitParts {
            serial,
            disk,
            kernel: self.kit_dir.join("boot/vmlinux"),
            initramfs: self.kit_dir.join("boot/initramfs"),
            tree: self.kit_dir.clone(),
        })
    }

    async fn plug(&self, node: &NodeName, plug: &Plug, process: u32) -> Result<(), Fault> {
        let plugged = self
            .network()
            .await?
            .plug(node, &cable(plug), process)
            .await;
        plugged.map_err(network_fault)
    }

    async fn root(&self, image: &BaseImage, _progress: Progress<'_>) -> Result<Lower, Fault> {
        let folder = Path::new(ROOTS_INSIDE).join(image.serial());
        Ok(match folder.is_dir() {
            true => Lower::Folder(folder),
            false => Lower::Disk(image.path.clone()),
        })
    }

    fn proved_file(&self) -> Option<PathBuf> {
        None
    }

    async fn remove(&self) -> Result<(), Fault> {
        match self.network.lock().await.take() {
            Some(network) => network.down().await.map_err(network_fault),
            None => Ok(()),
        }
    }
}

pub(super) fn cable(plug: &Plug) -> Cable<'_> {
    Cable {
        network: &plug.network,
        interface: &plug.interface,
        mac: plug.mac,
        address: plug.address,
        gateway: plug.gateway,
    }
}

pub(super) fn network_fault(error: nestlab_network::NetworkError) -> Fault {
    let hint = error.hint();
    Fault::caused("Cannot set up the network", &error).with_optional_hint(hint)
}
