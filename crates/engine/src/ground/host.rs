//! The ground on the host: the lab's namespaces, held by its keeper, and the
//! image store.

use super::guest::{cable, network_fault};
use super::{BaseImage, Ground, KitParts, Plug, Progress};
use crate::{Fault, record};
use async_trait::async_trait;
use nestlab_api::message::ImageSource;
use nestlab_backend::{DiskFormat, Lower};
use nestlab_image::{ImageFormat, Kit, KitSources, Store};
use nestlab_model::{ImageName, Layer, NetworkMode, NetworkName, NodeName};
use nestlab_network::{Gateway, LabNamespace, LayerNetwork, Place};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::ProcessId;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// What a lab's top layer stands on.
pub struct HostGround {
    /// The lab's id: names the keeper, so that it can be found.
    lab_id: String,
    /// The command line that starts a keeper, without the lab's id.
    keeper_command: Vec<OsString>,
    /// The lab's folder, for the record of the place.
    state_dir: PathBuf,
    store: Store,
    kit_sources: KitSources,
    kit: OnceCell<Kit>,
    place: Mutex<Option<Standing>>,
}

/// The place while it stands.
struct Standing {
    namespace: LabNamespace,
    network: Arc<LayerNetwork>,
    gateway: Option<Gateway>,
}

/// What is written down about the place.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PlaceRecord {
    keeper: Option<ProcessId>,
    gateway: Option<ProcessId>,
}

impl HostGround {
    /// A ground that stands nowhere yet.
    pub fn new(
        lab_id: String,
        keeper_command: Vec<OsString>,
        state_dir: PathBuf,
        store: Store,
        kit_sources: KitSources,
    ) -> Self {
        Self {
            lab_id,
            keeper_command,
            state_dir,
            store,
            kit_sources,
            kit: OnceCell::new(),
            place: Mutex::default(),
        }
    }

    fn record_path(&self) -> PathBuf {
        self.state_dir.join("place.json")
    }

    async fn layer(&self) -> Result<Arc<LayerNetwork>, Fault> {
        let place = self.place.lock().await;
        let layer = place.as_ref().map(|place| place.network.clone());
        layer.ok_or_else(|| Fault::new("The networks of the lab are not up"))
    }

    /// Finds the lab's namespaces again, or makes them.
    async fn namespace(
        &self,
        known: &PlaceRecord,
        machines: &[ProcessId],
    ) -> Result<LabNamespace, Fault> {
        let mut command = self.keeper_command.clone();
        command.push(self.lab_id.clone().into());
        match LabNamespace::adopt(command.clone(), known.keeper, machines)
            .await
            .map_err(network_fault)?
        {
            Some(found) => Ok(found),
            None => LabNamespace::create(command).await.map_err(network_fault),
        }
    }

    async fn gateway(
        &self,
        layer: &Layer,
        known: &PlaceRecord,
        namespace: &LabNamespace,
    ) -> Result<Option<Gateway>, Fault> {
        if !layer
            .networks
            .iter()
            .any(|network| network.mode == NetworkMode::Nat)
        {
            return Ok(None);
        }
        Gateway::ensure(known.gateway, namespace)
            .await
            .map_err(network_fault)
    }
}

#[async_trait]
impl Ground for HostGround {
    async fn networks(&self, layer: &Layer, machines: &[ProcessId]) -> Result<(), Fault> {
        let mut place = self.place.lock().await;
        let known: PlaceRecord = record::read(&self.record_path())?.unwrap_or_default();
        // Our handles hold the namespaces of a keeper that has died.
        let namespace = match place.take() {
            Some(standing) => revived(standing.namespace).await?,
            None => self.namespace(&known, machines).await?,
        };
        let gateway = self.gateway(layer, &known, &namespace).await?;
        let now = PlaceRecord {
            keeper: Some(namespace.keeper()),
            gateway: gateway.as_ref().map(Gateway::process),
        };
        record::write(&self.record_path(), &now)?;
        let network = LayerNetwork::up(
            Place::Lab(namespace.namespaces().clone()),
            &self.lab_id,
            layer,
        )
        .await
        .map_err(network_fault)?;
        *place = Some(Standing {
            namespace,
            network: Arc::new(network),
            gateway,
        });
        Ok(())
    }

    async fn tap(&self, node: &NodeName, network: &NetworkName) -> Result<String, Fault> {
        let layer = self.layer().await?;
        layer.ensure_tap(node, network).await.map_err(network_fault)
    }

    async fn remove_taps(&self, node: &NodeName) -> Result<(), Fault> {
        match self.layer().await {
            Ok(layer) => layer.remove_node(node).await.map_err(network_fault),
            Err(_) => Ok(()),
        }
    }

    async fn place(&self) -> Option<Namespaces> {
        self.place
            .lock()
            .await
            .as_ref()
            .map(|place| place.namespace.namespaces().clone())
    }

    async fn keeper(&self) -> Option<ProcessId> {
        self.place
            .lock()
            .await
            .as_ref()
            .map(|place| place.namespace.keeper())
    }

    async fn resolver(&self) -> Option<IpAddr> {
        let place = self.place.lock().await;
        place.as_ref()?.gateway.as_ref()?.resolver().map(IpAddr::V4)
    }

    async fn image(
        &self,
        name: &ImageName,
        source: &ImageSource,
        progress: Progress<'_>,
    ) -> Result<BaseImage, Fault> {
        let ImageSource::Spec(spec) = source else {
            return Err(Fault::new(format!(
                "The image `{name}` lies on a disk that the host does not have"
            )));
        };
        let image = self
            .store
            .ensure(name, spec, progress)
            .await
            .map_err(|error| {
                let hint = error.hint();
                Fault::caused(format!("Cannot get the image `{name}`"), &error)
                    .with_optional_hint(hint)
            })?;
        Ok(BaseImage {
            digest: image.digest,
            path: image.disk,
            format: match image.format {
                ImageFormat::Raw => DiskFormat::Raw,
                ImageFormat::Qcow2 => DiskFormat::Qcow2,
            },
            virtual_size: image.virtual_size,
            ours: image.ours,
        })
    }

    async fn kit(&self, progress: Progress<'_>) -> Result<KitParts, Fault> {
        let kit = self
            .kit
            .get_or_try_init(|| async {
                self.store
                    .ensure_kit(&self.kit_sources, progress)
                    .await
                    .map_err(|error| {
                        let hint = error.hint();
                        Fault::caused("Cannot make the kit", &error).with_optional_hint(hint)
                    })
            })
            .await?;
        Ok(KitParts {
            serial: kit.serial(),
            disk: kit.disk.clone(),
            kernel: kit.kernel.clone(),
            initramfs: kit.initramfs.clone(),
            tree: kit.tree.clone(),
        })
    }

    async fn plug(&self, node: &NodeName, plug: &Plug, process: u32) -> Result<(), Fault> {
        let plugged = self.layer().await?.plug(node, &cable(plug), process).await;
        plugged.map_err(network_fault)
    }

    async fn root(&self, image: &BaseImage, progress: Progress<'_>) -> Result<Lower, Fault> {
        let tree = self.store.ensure_tree(&image.digest, progress).await;
        tree.map(Lower::Folder).map_err(|error| {
            let hint = error.hint();
            Fault::caused("Cannot unpack the image for a container", &error)
                .with_optional_hint(hint)
        })
    }

    fn proved_file(&self) -> Option<PathBuf> {
        Some(self.store.proved_file())
    }

    async fn remove(&self) -> Result<(), Fault> {
        let standing = self.place.lock().await.take();
        let known: PlaceRecord = record::read(&self.record_path())?.unwrap_or_default();
        if let Some(standing) = standing {
            if let Some(gateway) = standing.gateway {
                gateway.stop().await.map_err(network_fault)?;
            }
            standing.namespace.destroy().await.map_err(network_fault)?;
        }
        end_leftovers(&known).await;
        let _ = std::fs::remove_file(self.record_path());
        Ok(())
    }
}

async fn revived(mut namespace: LabNamespace) -> Result<LabNamespace, Fault> {
    let revived = namespace.revive().await.map_err(network_fault);
    revived.map(|()| namespace)
}

/// Ends processes that an earlier supervisor wrote down, if they still run.
async fn end_leftovers(known: &PlaceRecord) {
    for process in [known.gateway, known.keeper].into_iter().flatten() {
        if let Ok(Some(handle)) = process.open() {
            let _ = handle.signal(nestlab_sys::process::Signal::SIGKILL);
            let _ = handle.wait().await;
        }
    }
}
