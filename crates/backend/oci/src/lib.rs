//! Containers by an OCI runtime: runc, crun or youki, whichever works where we are.
//!
//! ```text
//! this program, as `__stage` ─► puts root, kit and devices together in a mount
//!   namespace of its own ─► becomes the runtime, which makes the container from that
//! the container's first program: nestlab-init, which keeps the agent running
//! ```
//!
//! A container's link and console are sockets that are made out here and handed to its
//! first program: nothing that it does to its files can lead us elsewhere.

mod config;
mod copy;
mod disk;
mod machine;
mod runtime;
mod stage;

pub use stage::{ROLE, run as run_stage};

use async_trait::async_trait;
use nestlab_backend::{
    Backend, BackendError, BootSpec, ContainerSpec, Finding, Machine, MachineRecord, MachineSpec,
    Plan, Support,
};
use nestlab_model::{Accelerator, NodeKind};
use nestlab_sys::namespace::Namespaces;
use runtime::Runtime;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The word for lab files and `status`.
pub(crate) const NAME: &str = "oci";

/// What to type where no runtime works.
const HINT: &str =
    "Install one: `apt install runc`; inside a node, add `runc` to `packages:` of its image";

/// Containers by the OCI runtime of this level.
pub struct Oci {
    /// This program, which can play [`ROLE`].
    program: PathBuf,
    runtime: OnceCell<Runtime>,
}

impl Oci {
    /// With this program, which can play [`ROLE`] and tell its version.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            runtime: OnceCell::new(),
        }
    }

    async fn runtime(&self, place: Option<&Namespaces>) -> Result<&Runtime, String> {
        let powers = machine::powers(place);
        let choose = || runtime::choose(&self.program, place, powers);
        self.runtime.get_or_try_init(choose).await
    }
}

fn container(spec: &MachineSpec) -> Result<&ContainerSpec, BackendError> {
    spec.boot
        .container()
        .ok_or_else(|| BackendError::Unsupported {
            backend: NAME,
            what: "kernel to boot".into(),
        })
}

#[async_trait]
impl Backend for Oci {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> NodeKind {
        NodeKind::Container
    }

    async fn probe(&self, _boot: &BootSpec, place: Option<&Namespaces>) -> Support {
        let chosen = self.runtime(place).await;
        let finding = |works, reason, hint| Finding {
            accelerator: Accelerator::Container,
            works,
            reason,
            hint,
        };
        match chosen {
            Ok(runtime) => Support {
                version: Some(runtime.version.clone()),
                accelerators: vec![finding(true, format!("by {}", runtime.version), None)],
            },
            Err(why) => Support {
                version: None,
                accelerators: vec![finding(false, why, Some(HINT.to_owned()))],
            },
        }
    }

    fn recall(&self, support: &Support) {
        let version = support.version.as_deref().unwrap_or_default();
        if let Some(runtime) = runtime::recalled(version) {
            // Another that has been chosen here meanwhile is as good.
            let _ = self.runtime.set(runtime);
        }
    }

    fn probe_key(&self) -> String {
        let stamp = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some(format!("{}@{}", data.size(), data.mtime()))
        };
        let stamps: Vec<String> = runtime::installed().iter().filter_map(stamp).collect();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        format!("{NAME} {}, boot {}", stamps.join("+"), boot.trim())
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError> {
        container(spec)?;
        let file = spec.run_dir.join(machine::STAGE);
        Ok(Plan {
            argv: vec![self.program.clone().into(), ROLE.into(), file.into()],
        })
    }

    async fn create(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let container = container(spec)?;
        let runtime = self
            .runtime(place)
            .await
            .map_err(|why| BackendError::Refused {
                command: "run".into(),
                message: why,
            })?;
        let made = machine::start(spec, container, runtime, &self.program, place).await?;
        Ok(Arc::new(made))
    }

    async fn restore(
        &self,
        _spec: &MachineSpec,
        _place: Option<&Namespaces>,
        _state: &Path,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        Err(BackendError::Unsupported {
            backend: NAME,
            what: "state that could be gone back to".into(),
        })
    }

    async fn adopt(
        &self,
        record: &MachineRecord,
    ) -> Result<Option<Arc<dyn Machine>>, BackendError> {
        let adopted = machine::adopt(record).await?;
        Ok(adopted.map(|container| Arc::new(container) as Arc<dyn Machine>))
    }
}
