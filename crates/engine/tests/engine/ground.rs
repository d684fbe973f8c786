//! A place for layers that is nothing but a folder, and a backend whose
//! machines outlive whoever started them.

use async_trait::async_trait;
use nestlab_api::message::ImageSource;
use nestlab_backend::{
    Backend, BackendError, BootSpec, DiskFormat, Lower, Machine, MachineRecord, MachineSpec, Plan,
    Support,
};
use nestlab_backend_fake::Fake;
use nestlab_engine::{BaseImage, Fault, Ground, KitParts, Plug, Progress};
use nestlab_model::{ByteSize, Digest, ImageName, Layer, NetworkName, NodeName};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::ProcessId;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// The size of the image, in bytes.
const IMAGE_BYTES: u64 = 1 << 20;

/// A ground without networks, whose images and kit are empty files.
pub struct FakeGround(pub PathBuf);

impl FakeGround {
    fn file(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.0.join(name);
        if path.exists() {
            return Ok(path);
        }
        std::fs::File::create(&path)
            .and_then(|file| file.set_len(IMAGE_BYTES))
            .map_err(|error| Fault::caused("Cannot make a file of the test", &error))?;
        Ok(path)
    }
}

#[async_trait]
impl Ground for FakeGround {
    async fn networks(&self, _: &Layer, _: &[ProcessId]) -> Result<(), Fault> {
        Ok(())
    }

    async fn tap(&self, node: &NodeName, _: &NetworkName) -> Result<String, Fault> {
        Ok(format!("tap-{node}"))
    }

    async fn remove_taps(&self, _: &NodeName) -> Result<(), Fault> {
        Ok(())
    }

    async fn place(&self) -> Option<Namespaces> {
        None
    }

    async fn keeper(&self) -> Option<ProcessId> {
        None
    }

    async fn resolver(&self) -> Option<IpAddr> {
        None
    }

    async fn image(
        &self,
        _: &ImageName,
        _: &ImageSource,
        _: Progress<'_>,
    ) -> Result<BaseImage, Fault> {
        Ok(BaseImage {
            digest: Digest([7; 32]),
            path: self.file("image.raw")?,
            format: DiskFormat::Raw,
            virtual_size: ByteSize::bytes(IMAGE_BYTES),
            ours: true,
        })
    }

    async fn kit(&self, _: Progress<'_>) -> Result<KitParts, Fault> {
        Ok(KitParts {
            serial: "kit-test".into(),
            disk: self.file("kit")?,
            kernel: self.file("kernel")?,
            initramfs: self.file("initramfs")?,
            tree: self.0.clone(),
        })
    }

    async fn root(&self, image: &BaseImage, _: Progress<'_>) -> Result<Lower, Fault> {
        Ok(Lower::Disk(image.path.clone()))
    }

    async fn plug(&self, _: &NodeName, _: &Plug, _: u32) -> Result<(), Fault> {
        Ok(())
    }

    fn proved_file(&self) -> Option<PathBuf> {
        None
    }

    async fn remove(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The fake backend, with its machines on a runtime of their own: they go on
/// when the engine's runtime ends, as VMMs do when their supervisor dies.
#[derive(Clone)]
pub struct Outliving {
    pub fake: Fake,
    pub machines: Handle,
    /// How many machines are being created.
    pub under_way: Arc<AtomicUsize>,
    /// How long a VMM takes to start.
    pub slowness: Duration,
}

#[async_trait]
impl Backend for Outliving {
    fn name(&self) -> &'static str {
        self.fake.name()
    }

    async fn probe(&self, boot: &BootSpec, place: Option<&Namespaces>) -> Support {
        self.fake.probe(boot, place).await
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError> {
        self.fake.plan(spec)
    }

    async fn create(
        &self,
        spec: &MachineSpec,
        _: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.slowness).await;
        let (fake, spec) = (self.fake.clone(), spec.clone());
        let created = self
            .machines
            .spawn(async move { fake.create(&spec, None).await })
            .await
            .expect("the fake does not panic");
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        created
    }

    async fn restore(
        &self,
        spec: &MachineSpec,
        _: Option<&Namespaces>,
        state: &Path,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let (fake, spec, state) = (self.fake.clone(), spec.clone(), state.to_owned());
        self.machines
            .spawn(async move { fake.restore(&spec, None, &state).await })
            .await
            .expect("the fake does not panic")
    }

    async fn adopt(
        &self,
        record: &MachineRecord,
    ) -> Result<Option<Arc<dyn Machine>>, BackendError> {
        self.fake.adopt(record).await
    }
}
