//! A running QEMU: started by us, or found again.

use crate::argv::{CONSOLE, LINK, LOG, QMP};
use crate::qmp::Qmp;
use async_trait::async_trait;
use nestlab_backend::{BackendError, Exit, LinkAddress, Machine, MachineRecord, MachineSpec, Plan};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::{Pidfd, ProcessId, Signal, detach};
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::{Child, Command};

/// How long QEMU may take from its start until its monitor answers. Inside an
/// emulated machine its dynamic linking alone takes seconds.
const START: Duration = Duration::from_secs(60);

/// How often the monitor's socket is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// How much of QEMU's standard error is shown, in bytes.
const LAST_WORDS: usize = 2000;

/// A QEMU process.
pub(crate) struct QemuMachine {
    record: MachineRecord,
    pidfd: Pidfd,
    /// How it ended, if it was our child and has ended.
    status: Arc<Mutex<Option<String>>>,
}

/// Starts QEMU and waits until its guest runs.
pub(crate) async fn start(
    plan: &Plan,
    spec: &MachineSpec,
    place: Option<&Namespaces>,
) -> Result<QemuMachine, BackendError> {
    clear(&spec.run_dir)?;
    std::fs::create_dir_all(&spec.run_dir)
        .map_err(BackendError::io(format!("make {}", spec.run_dir.display())))?;
    let started = begin(plan, spec, place).await;
    if started.is_err() {
        let _ = clear(&spec.run_dir);
    }
    started
}

async fn begin(
    plan: &Plan,
    spec: &MachineSpec,
    place: Option<&Namespaces>,
) -> Result<QemuMachine, BackendError> {
    let mut child = spawn(plan, spec, place)?;
    if let Err(error) = wait_for_monitor(&mut child, spec).await {
        let _ = child.kill().await;
        return Err(error);
    }
    let gone = || BackendError::EndedEarly { status: "it is gone".into(), stderr: last_words(&spec.run_dir) };
    let pid = child.id().ok_or_else(gone)?;
    let process = ProcessId::of(pid).map_err(BackendError::io("identify QEMU"))?;
    let pidfd = process.open().map_err(BackendError::io("hold QEMU"))?.ok_or_else(gone)?;
    let status = Arc::new(Mutex::new(None));
    tokio::spawn(reap(child, status.clone()));
    let record = MachineRecord {
        backend: "qemu".into(),
        process,
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        spec: spec.clone(),
    };
    Ok(QemuMachine { record, pidfd, status })
}

fn spawn(plan: &Plan, spec: &MachineSpec, place: Option<&Namespaces>) -> Result<Child, BackendError> {
    let log = File::create(spec.run_dir.join(LOG)).map_err(BackendError::io("make QEMU's log"))?;
    let (program, arguments) = plan.argv.split_first().expect("a plan begins with the program");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // Found by their full paths: nothing else of our environment concerns it.
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    detach(&mut command);
    if let Some(place) = place {
        place.attach(&mut command);
    }
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(program),
        _ => BackendError::io(format!("start {}", program.to_string_lossy()))(error),
    })
}

pub(crate) fn missing(program: &std::ffi::OsStr) -> BackendError {
    BackendError::MissingProgram {
        program: program.to_string_lossy().into_owned(),
        hint: "Install it: `apt install qemu-system-x86` (then `qemu-utils`)".into(),
    }
}

/// Waits until QEMU answers on its monitor, or has ended.
async fn wait_for_monitor(child: &mut Child, spec: &MachineSpec) -> Result<(), BackendError> {
    let socket = spec.run_dir.join(QMP);
    let answered = async {
        loop {
            if socket.exists() && Qmp::connect(&socket).await.is_ok() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = answered => Ok(()),
        status = child.wait() => Err(BackendError::EndedEarly {
            status: status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            stderr: last_words(&spec.run_dir),
        }),
        () = tokio::time::sleep(START) => Err(BackendError::Timeout {
            what: "answer on its monitor".into(),
            seconds: START.as_secs(),
        }),
    }
}

/// Our child must be waited for, or it stays as a zombie.
async fn reap(mut child: Child, status: Arc<Mutex<Option<String>>>) {
    if let Ok(ended) = child.wait().await {
        *status.lock().expect("no holder panics") = Some(ended.to_string());
    }
}

/// The end of what QEMU wrote to its standard error.
fn last_words(run_dir: &Path) -> String {
    let bytes = std::fs::read(run_dir.join(LOG)).unwrap_or_default();
    let tail = &bytes[bytes.len().saturating_sub(LAST_WORDS)..];
    String::from_utf8_lossy(tail).trim().to_owned()
}

/// Removes a machine's sockets and log.
fn clear(run_dir: &Path) -> Result<(), BackendError> {
    for name in [QMP, LINK, CONSOLE, LOG] {
        let path = run_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackendError::io(format!("remove {}", path.display()))(error));
            }
            _ => {}
        }
    }
    // Not ours alone: another file in it is no error.
    let _ = std::fs::remove_dir(run_dir);
    Ok(())
}

/// Takes hold of a machine that somebody else started.
pub(crate) async fn adopt(record: &MachineRecord) -> Result<Option<QemuMachine>, BackendError> {
    let handle = record.process.open().map_err(BackendError::io("hold QEMU"))?;
    let Some(pidfd) = handle else {
        clear(&record.spec.run_dir)?;
        return Ok(None);
    };
    Qmp::connect(&record.spec.run_dir.join(QMP)).await?;
    Ok(Some(QemuMachine { record: record.clone(), pidfd, status: Arc::default() }))
}

#[async_trait]
impl Machine for QemuMachine {
    fn record(&self) -> MachineRecord {
        self.record.clone()
    }

    fn link(&self) -> LinkAddress {
        LinkAddress::Unix(self.record.spec.run_dir.join(LINK))
    }

    fn console(&self) -> PathBuf {
        self.record.spec.run_dir.join(CONSOLE)
    }

    async fn wait(&self) -> Exit {
        if let Err(error) = self.pidfd.wait().await {
            return Exit { description: format!("it cannot be waited for: {error}") };
        }
        // The task that reaps our child is woken by the same end.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let status = self.status.lock().expect("no holder panics").clone();
        let words = last_words(&self.record.spec.run_dir);
        let description = match (status, words.is_empty()) {
            (None, true) => "QEMU is gone".to_owned(),
            (None, false) => format!("QEMU is gone: {words}"),
            (Some(status), true) => format!("QEMU ended with {status}"),
            (Some(status), false) => format!("QEMU ended with {status}: {words}"),
        };
        Exit { description }
    }

    async fn power_button(&self) -> Result<(), BackendError> {
        let mut qmp = Qmp::connect(&self.record.spec.run_dir.join(QMP)).await?;
        qmp.execute("system_powerdown", json!({})).await.map(drop)
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.pidfd.signal(Signal::SIGKILL).map_err(BackendError::io("end QEMU"))?;
        self.pidfd.wait().await.map_err(BackendError::io("wait for QEMU"))?;
        clear(&self.record.spec.run_dir)
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.record.process.resident_bytes()
    }
}
