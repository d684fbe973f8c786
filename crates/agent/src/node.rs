//! The agent of a node: its guest services, and the engine of what stands
//! inside it.

use crate::layer::{self, Level};
use crate::{Guest, GuestConfig, LINK_PORT, Reach, guest_routes, run_agent, run_inherited};
use nestlab_backend::Backend;
use nestlab_backend::places::LAYER;
use nestlab_backend_docker::Docker;
use nestlab_backend_oci::Oci;
use nestlab_backend_qemu::Qemu;
use nestlab_engine::{Config, Engine, GuestGround};
use nestlab_image::kit_qemu_command;
use std::path::PathBuf;
use std::sync::Arc;

/// Where an agent keeps its things.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// What a reboot keeps: records and disks of the layer inside.
    pub state_dir: PathBuf,
    /// What a reboot empties: sockets, and who the node is.
    pub run_dir: PathBuf,
    /// Where the init has mounted the kit.
    pub kit_dir: PathBuf,
    /// The agent's own log.
    pub log: PathBuf,
    /// Where its parent is.
    pub link: LinkPlace,
}

/// Where the parent of a node's agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPlace {
    /// Behind a virtio-serial port: in a virtual machine.
    Port,
    /// Behind a listening socket that this process was given: in a container.
    Inherited,
}

impl Default for NodeConfig {
    /// The places of a minimal image.
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/nestlab".into(),
            run_dir: "/run/nestlab".into(),
            kit_dir: "/run/nestlab/kit".into(),
            log: "/var/log/nestlab-agent.log".into(),
            link: LinkPlace::Port,
        }
    }
}

/// Serves the parent for ever. The layer of an earlier agent is adopted before
/// the first request is answered.
pub async fn run_node(config: NodeConfig) {
    let blobs = config.state_dir.join("blobs");
    let guest = Guest::new(GuestConfig {
        blobs: blobs.clone(),
        run_dir: config.run_dir.clone(),
        root: "/".into(),
        log: Some(config.log),
        reach: match config.link {
            LinkPlace::Port => Reach::Machine,
            LinkPlace::Inherited => Reach::Container,
        },
    });
    let place = Config {
        state_dir: config.state_dir.join(LAYER),
        run_dir: config.run_dir.join("vm"),
        blobs,
        memory: None,
        templates: None,
    };
    let qemu = Qemu::new(kit_qemu_command(&config.kit_dir));
    let program = config.kit_dir.join("bin/nestlab");
    let oci = Oci::new(program.clone());
    let docker = Docker::new(program, None);
    let ground = GuestGround::new(config.kit_dir);
    let backends: Vec<Arc<dyn Backend>> = vec![Arc::new(qemu), Arc::new(oci), Arc::new(docker)];
    let engine = Engine::new(place, Arc::new(ground), backends);
    if let Err(fault) = engine.resume().await {
        tracing::error!(%fault, "cannot go on with everything");
    }
    if let Ok(spec) = engine.spec() {
        engine.end_orphans(&spec.lab_id).await;
    }
    let level = Level {
        engine,
        ports: None,
    };
    let routes = guest_routes(guest).merge(layer::layer_routes(level));
    match config.link {
        LinkPlace::Port => run_agent(LINK_PORT, routes).await,
        LinkPlace::Inherited => run_inherited(routes).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_backend::places::LAYER_INSIDE;
    use std::path::Path;

    #[test]
    fn a_container_is_given_the_folder_that_its_agent_uses() {
        let folder = NodeConfig::default().state_dir.join(LAYER);
        assert_eq!(folder, Path::new(LAYER_INSIDE));
    }
}
