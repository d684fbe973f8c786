//! The engine of a lab's top layer as a program in the background of the host.
//!
//! ```text
//! CLI ─unix socket─► supervisor ─► machines of the top layer
//!                        └─ forwarded ports ─links─► any node
//! ```
//!
//! It holds nothing that its machines need: killed, it comes back with the next
//! command, reads the records and adopts what still runs. It ends by itself
//! when its lab is destroyed or has been idle for a while.

mod ports;

pub(crate) use ports::Ports;

use crate::layer::{self, Level};
use nestlab_backend::Backend;
use nestlab_backend_docker::Docker;
use nestlab_backend_oci::Oci;
use nestlab_backend_qemu::Qemu;
use nestlab_engine::{Config, Engine, Fault, HostGround, LAYER_FILE, Templates};
use nestlab_image::{KitSources, Store};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long a supervisor without anything running stays.
const IDLE: Duration = Duration::from_secs(20);

/// How often it looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(200);

/// Where a supervisor keeps its things.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// The random id of the lab.
    pub lab_id: String,
    /// The lab's folder, which survives a reboot.
    pub state_dir: PathBuf,
    /// The lab's folder for sockets.
    pub run_dir: PathBuf,
    /// The lab's folder for the memory of machines, on a tmpfs.
    pub memory_dir: PathBuf,
    /// The image store.
    pub store_dir: PathBuf,
    /// Beginnings of addresses of images, and what is asked in place of each.
    pub image_mirrors: BTreeMap<String, String>,
    /// What templates may take on disk, in bytes; 0 for none.
    pub template_budget: u64,
    /// The socket of the container engine, where the user has named one.
    pub container_engine: Option<PathBuf>,
    /// This program, which is also the keeper and the agent.
    pub program: PathBuf,
    /// The init for minimal images.
    pub init: PathBuf,
}

impl SupervisorConfig {
    /// The socket on which the supervisor of a lab listens.
    pub fn socket(run_dir: &Path) -> PathBuf {
        run_dir.join("s.sock")
    }
}

/// Whether a lab's folder says what shall stand there: that of a copy does not before
/// all of it has been copied.
pub fn is_whole(state_dir: &Path) -> bool {
    state_dir.join(LAYER_FILE).exists()
}

/// Supervises a lab until nobody needs it. Returns at once if another
/// supervisor of the lab is at work.
///
/// # Errors
/// The folders cannot be used or the records cannot be read.
pub async fn run(config: SupervisorConfig) -> Result<(), Fault> {
    make_private(&config.state_dir)?;
    make_private(&config.run_dir)?;
    let lock = config.state_dir.join("supervisor.lock");
    let Some(_lock) = nestlab_sys::lock::FileLock::try_acquire(&lock)
        .map_err(Fault::io(format!("Cannot lock {}", lock.display())))?
    else {
        return Ok(());
    };
    let engine = engine(&config)?;
    if let Err(fault) = engine.resume().await {
        tracing::error!(%fault, "cannot go on with everything");
    }
    engine.end_orphans(&config.lab_id).await;
    let ports = Arc::new(Ports::new(engine.clone()));
    if let (Ok(spec), false) = (engine.spec(), engine.is_idle())
        && let Err(fault) = ports.open(&spec.layer).await
    {
        tracing::warn!(%fault, "not every port is forwarded");
    }
    let socket = SupervisorConfig::socket(&config.run_dir);
    serve(&config, &socket, engine, ports).await?;
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

fn engine(config: &SupervisorConfig) -> Result<Engine, Fault> {
    let store = Store::open(config.store_dir.clone()).map_err(|error| {
        Fault::caused(
            format!("Cannot open the image store {}", config.store_dir.display()),
            &error,
        )
    })?;
    let store = store.with_mirrors(config.image_mirrors.clone());
    let keeper = vec![
        config.program.clone().into_os_string(),
        OsString::from("__keeper"),
    ];
    let sources = KitSources {
        agent: config.program.clone(),
        init: config.init.clone(),
    };
    let ground = HostGround::new(
        config.lab_id.clone(),
        keeper,
        config.state_dir.clone(),
        store,
        sources,
    );
    let place = Config {
        state_dir: config.state_dir.clone(),
        run_dir: config.run_dir.clone(),
        blobs: config.state_dir.join("blobs"),
        memory: Some(config.memory_dir.clone()),
        templates: (config.template_budget > 0).then(|| Templates {
            folder: config.store_dir.join("templates"),
            budget: config.template_budget,
        }),
    };
    let qemu = Qemu::new(vec!["qemu-system-x86_64".into()]);
    let oci = Oci::new(config.program.clone());
    let docker = Docker::new(config.program.clone(), config.container_engine.clone());
    let backends: Vec<Arc<dyn Backend>> = vec![Arc::new(qemu), Arc::new(oci), Arc::new(docker)];
    Ok(Engine::new(place, Arc::new(ground), backends))
}

fn make_private(folder: &Path) -> Result<(), Fault> {
    nestlab_sys::dir::make_private(folder)
        .map_err(Fault::io(format!("Cannot make {}", folder.display())))
}

async fn serve(
    config: &SupervisorConfig,
    socket: &Path,
    engine: Engine,
    ports: Arc<Ports>,
) -> Result<(), Fault> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)
        .map_err(Fault::io(format!("Cannot listen on {}", socket.display())))?;
    let router = layer::layer_routes(Level {
        engine: engine.clone(),
        ports: Some(ports),
    })
    .merge(crate::info::info_routes(
        "supervisor",
        Some(config.lab_id.clone()),
    ));
    tokio::select! {
        () = crate::serve_unix(listener, router) => {}
        () = unneeded(engine, config.state_dir.clone()) => {
            // Whoever asked for the end still reads the answer.
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Returns when the lab is destroyed, nothing has run for a while, or a signal
/// asks for the end.
async fn unneeded(engine: Engine, state_dir: PathBuf) {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return;
    };
    let mut idle = Duration::ZERO;
    let mut was_known = engine.spec().is_ok();
    loop {
        tokio::select! {
            _ = terminated.recv() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let known = engine.spec().is_ok();
        let destroyed = was_known && !known;
        was_known = known;
        idle = if engine.is_idle() {
            idle + LOOK
        } else {
            Duration::ZERO
        };
        // A folder that somebody deleted under a running lab is not the end:
        // the machines still run and can still be destroyed.
        let gone = !state_dir.exists() && engine.is_idle();
        if destroyed || gone || idle >= IDLE {
            return;
        }
    }
}
