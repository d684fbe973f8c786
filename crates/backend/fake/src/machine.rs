//! A machine in memory, and the handle to it.

use crate::{Call, Fate, Service, Shared, lock};
use async_trait::async_trait;
use nestlab_backend::{
    BackendError, Contents, Disk, Exit, LinkAddress, Machine, MachineRecord, MachineSpec,
};
use nestlab_sys::process::ProcessId;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a pretended state holds.
pub(crate) const STATE: &str = "a pretended state";

const LINK: &str = "link.sock";
const CONSOLE: &str = "console.sock";

/// Makes the file that would hold the memory, if it is missing.
fn pretend_memory(path: &Path, bytes: u64) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::fs::File::create(path)?.set_len(bytes)
}

/// Accepts, and says nothing until the client leaves.
pub(crate) fn silent() -> Service {
    Arc::new(|mut stream, _| {
        Box::pin(async move {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
    })
}

/// A machine that runs. Dropping it stops its sockets.
pub(crate) struct Running {
    record: MachineRecord,
    hears_power: bool,
    paused: Arc<AtomicBool>,
    exit: watch::Sender<Option<Exit>>,
    sockets: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(
        spec: &MachineSpec,
        pid: u32,
        fate: &Fate,
        agent: &Service,
        console: &Service,
    ) -> Result<Self, BackendError> {
        clear(&spec.run_dir)?;
        std::fs::create_dir_all(&spec.run_dir)
            .map_err(BackendError::io(format!("make {}", spec.run_dir.display())))?;
        if let Some(memory) = &spec.memory_file {
            pretend_memory(&memory.path, spec.memory.as_bytes())
                .map_err(BackendError::io(format!("make {}", memory.path.display())))?;
        }
        Ok(Self {
            record: MachineRecord {
                backend: "fake".into(),
                process: ProcessId { pid, start_time: 0 },
                started_at: 0,
                spec: spec.clone(),
            },
            hears_power: *fate != Fate::IgnoresPower,
            paused: Arc::default(),
            exit: watch::Sender::new(None),
            sockets: vec![serve(spec, LINK, agent)?, serve(spec, CONSOLE, console)?],
        })
    }

    pub(crate) fn spec(&self) -> &MachineSpec {
        &self.record.spec
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(crate) fn end(self, why: &str) {
        self.exit.send_replace(Some(Exit {
            description: why.to_owned(),
        }));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for socket in &self.sockets {
            socket.abort();
        }
    }
}

/// Like a VMM's, the socket takes one client after the other.
fn serve(
    spec: &MachineSpec,
    name: &str,
    service: &Service,
) -> Result<JoinHandle<()>, BackendError> {
    let path = spec.run_dir.join(name);
    let listener = UnixListener::bind(&path)
        .map_err(BackendError::io(format!("listen on {}", path.display())))?;
    let (spec, service) = (spec.clone(), service.clone());
    Ok(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            service(stream, spec.clone()).await;
        }
    }))
}

/// Removes what a machine leaves.
pub(crate) fn clear(run_dir: &Path) -> Result<(), BackendError> {
    for path in [LINK, CONSOLE].map(|name| run_dir.join(name)) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackendError::io(format!("remove {}", path.display()))(
                    error,
                ));
            }
            _ => {}
        }
    }
    // Not ours alone: another file in it is no error.
    let _ = std::fs::remove_dir(run_dir);
    Ok(())
}

/// A handle to a machine, which may have ended.
pub(crate) struct FakeMachine {
    record: Mutex<MachineRecord>,
    hears_power: bool,
    paused: Arc<AtomicBool>,
    exit: watch::Receiver<Option<Exit>>,
    shared: Shared,
}

impl FakeMachine {
    pub(crate) fn new(running: &Running, shared: &Shared) -> Self {
        Self {
            record: Mutex::new(running.record.clone()),
            hears_power: running.hears_power,
            paused: running.paused.clone(),
            exit: running.exit.subscribe(),
            shared: shared.clone(),
        }
    }

    fn pid(&self) -> u32 {
        self.record().process.pid
    }

    /// What a VMM that has ended says to everything.
    fn answers(&self, action: &str) -> Result<(), BackendError> {
        if self.exit.borrow().is_none() {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Err(BackendError::io(action)(source))
    }
}

#[async_trait]
impl Machine for FakeMachine {
    fn record(&self) -> MachineRecord {
        self.record.lock().expect("no holder panics").clone()
    }

    fn link(&self) -> LinkAddress {
        LinkAddress::Unix(self.record().spec.run_dir.join(LINK))
    }

    fn console(&self) -> PathBuf {
        self.record().spec.run_dir.join(CONSOLE)
    }

    async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let told = exit.wait_for(Option::is_some).await;
        let exit = told.ok().and_then(|exit| exit.clone());
        exit.unwrap_or_else(|| Exit {
            description: "the fake backend is gone".into(),
        })
    }

    async fn power_button(&self) -> Result<(), BackendError> {
        let mut world = lock(&self.shared);
        self.answers("press the power button")?;
        world.note(Call::Power(self.record().spec.path.clone()));
        if self.hears_power {
            world.end(self.pid(), "it powered off");
        }
        Ok(())
    }

    async fn kill(&self) -> Result<(), BackendError> {
        let mut world = lock(&self.shared);
        world.note(Call::Kill(self.record().spec.path.clone()));
        world.end(self.pid(), "it was killed");
        // A handle may be older than the machine that now uses the folder.
        if world.uses(&self.record().spec.run_dir) {
            return Ok(());
        }
        clear(&self.record().spec.run_dir)
    }

    async fn pause(&self) -> Result<(), BackendError> {
        self.answers("pause")?;
        self.paused.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.answers("resume")?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn is_paused(&self) -> Result<bool, BackendError> {
        self.answers("tell whether it is paused")?;
        Ok(self.paused.load(Ordering::Relaxed))
    }

    async fn branch(&self, memory: &Path, disks: &[Disk]) -> Result<(), BackendError> {
        self.answers("branch off")?;
        if !lock(&self.shared).branches {
            return Err(BackendError::Unsupported {
                backend: "fake",
                what: "branching off".into(),
            });
        }
        let mut record = self.record.lock().expect("no holder panics");
        record.spec = record.spec.clone().branched(memory, disks);
        Ok(())
    }

    async fn shorten(&self, _serial: &str, _base: &Path) -> Result<(), BackendError> {
        self.answers("merge layers")
    }

    async fn resize(&self, _serial: &str, _bytes: u64) -> Result<(), BackendError> {
        self.answers("resize")
    }

    async fn write_memory(&self, file: &Path) -> Result<(), BackendError> {
        let spec = self.record().spec;
        pretend_memory(file, spec.memory.as_bytes()).map_err(BackendError::io("write memory"))
    }

    async fn save(&self, state: &Path, contents: Contents) -> Result<(), BackendError> {
        nestlab_backend::check_saving(self, contents).await?;
        std::fs::write(state, STATE).map_err(BackendError::io("write the state"))
    }

    async fn revive(&self) -> Option<String> {
        None
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.exit
            .borrow()
            .is_none()
            .then(|| self.record().spec.memory.as_bytes())
    }
}
