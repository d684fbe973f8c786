//! Containers by the engine of the level that they stand on: Docker Engine, or Podman with
//! its service, through the Engine API on its Unix socket.
//!
//! ```text
//! root ─► this program, as `__archive` ─► POST /images/create ─► nestlab/NAME:DIGEST
//! spec ─► POST /containers/create, start ─► nestlab-init fetches link and console
//! ```
//!
//! To the engine's own tools such a container is one like any other, with labels and a name
//! that say whose it is. To Nestlab it is a node like any other.

mod api;
mod config;
mod engine;
mod image;
mod machine;
mod trial;

pub use image::{ROLE, run as run_archive};

use async_trait::async_trait;
use engine::Finder;
use nestlab_backend::{
    Backend, BackendError, BootSpec, ContainerSpec, Finding, Machine, MachineRecord, MachineSpec,
    Plan, Support,
};
use nestlab_model::{Accelerator, NodeKind};
use nestlab_sys::namespace::Namespaces;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The word for lab files and `status`.
pub(crate) const NAME: &str = "docker";

/// Containers by the engine of this level.
pub struct Docker(Arc<Finder>);

impl Docker {
    /// With this program, which can play [`ROLE`] and tell its version. `socket` is where
    /// the user says that the engine is; else it is looked for where engines listen.
    pub fn new(program: PathBuf, socket: Option<PathBuf>) -> Self {
        Self(Arc::new(Finder::new(program, socket)))
    }

    async fn find(&self, place: Option<&Namespaces>) -> Result<String, BackendError> {
        check_place(place)?;
        let engine = self.0.proved().await?;
        let users = match engine.maps_users {
            true => "",
            false => "; root in it is root of its level",
        };
        Ok(format!("{}{users}", engine.name))
    }
}

/// The engine makes a container's network, in which only root can put anything.
fn check_place(place: Option<&Namespaces>) -> Result<(), BackendError> {
    match nestlab_sys::users::is_root() && !place.is_some_and(Namespaces::has_user) {
        true => Ok(()),
        false => Err(BackendError::NotAtWork {
            what: "container engine for an ordinary user's lab".into(),
            why: "its containers' networks belong to root".into(),
            hint: "Leave `backend: docker` out, or have the container stand in a virtual machine"
                .into(),
        }),
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
impl Backend for Docker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> NodeKind {
        NodeKind::Container
    }

    async fn probe(&self, _boot: &BootSpec, place: Option<&Namespaces>) -> Support {
        let finding = |works, reason, hint| Finding {
            accelerator: Accelerator::Container,
            works,
            reason,
            hint,
        };
        match self.find(place).await {
            Ok(name) => Support {
                version: Some(name.clone()),
                accelerators: vec![finding(true, format!("by {name}"), None)],
            },
            Err(error) => Support {
                version: None,
                accelerators: vec![finding(false, api::chain(&error), Some(hint(error)))],
            },
        }
    }

    /// The engine comes with the image of a machine, and may be at rest.
    fn proof_travels(&self) -> bool {
        false
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError> {
        let container = container(spec)?;
        let image = image::reference(&container.image);
        let words = ["POST", "/containers/create", &config::name(spec), &image];
        Ok(Plan {
            argv: words.map(Into::into).to_vec(),
        })
    }

    async fn create(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let container = container(spec)?;
        check_place(place)?;
        let made = machine::start(spec, container, &self.0).await?;
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
        let adopted = machine::adopt(record, &self.0)?;
        Ok(adopted.map(|container| Arc::new(container) as Arc<dyn Machine>))
    }

    fn writes_to_folders(&self) -> bool {
        false
    }

    async fn discard(&self, folder: &Path) -> Result<(), BackendError> {
        machine::discard(folder, &self.0).await
    }
}

/// What to type about an error.
fn hint(error: BackendError) -> String {
    match error {
        BackendError::NotAtWork { hint, .. } => hint,
        // Docker Engine wants it where the kernel has AppArmor.
        BackendError::Refused { message, .. } if message.contains("apparmor_parser") => {
            "Install `apparmor`; inside a node, add it to `packages:` of its image".into()
        }
        _ => "`docker run` at that level tells more".into(),
    }
}
