//! Memory and devices of a machine, to a file and back: QEMU's migration
//! (docs/devel/migration) over a Unix socket that we serve or call. Where memory is
//! in a file of its own, devices travel alone.
//!
//! Under `-sandbox spawn=deny` QEMU may start no program to write a file, and
//! `file:` is known only since 8.2; a Unix socket works in every version.

use crate::machine::QemuMachine;
use crate::qmp::Qmp;
use crate::settle;
use nestlab_backend::{BackendError, Contents};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};

/// How a state begins, and the type of the section that names the machine type
/// (QEMU's migration/savevm.c).
const MAGIC: &[u8; 4] = b"QEVM";
const CONFIGURATION: u8 = 7;

/// The socket that carries the state, in the machine's run folder.
pub(crate) const SOCKET: &str = "state.sock";

/// Bytes per second that QEMU may send: all that the disk takes. Its default is
/// meant for networks that others use as well.
const BANDWIDTH: u64 = 1 << 40;

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(10);

/// How long QEMU may take to open its end of the socket.
const OPEN: Duration = Duration::from_secs(20);

/// Writes the state of a paused machine to a new file.
pub(crate) async fn save(
    machine: &QemuMachine,
    file: &Path,
    contents: Contents,
) -> Result<(), BackendError> {
    if contents == Contents::Devices {
        return save_devices(machine, file).await;
    }
    if settle::is_needed(machine) {
        save_devices(machine, file).await?;
        settle::remove(file).await?;
    }
    let socket = Socket::new(machine);
    let listener = UnixListener::bind(&socket.0).map_err(socket.error("listen on"))?;
    let mut qmp = machine.monitor().await?;
    let bandwidth = json!({ "max-bandwidth": BANDWIDTH });
    qmp.execute("migrate-set-parameters", bandwidth).await?;
    let target = json!({ "uri": socket.uri() });
    qmp.execute("migrate", target).await?;
    let written = async {
        let (stream, _) = tokio::time::timeout(OPEN, listener.accept())
            .await
            .map_err(|_| not_open())?
            .map_err(socket.error("accept on"))?;
        write(stream, file).await
    };
    let saved = match written.await {
        Ok(()) => finished(&mut qmp).await,
        Err(error) => {
            let _ = qmp.execute("migrate_cancel", json!({})).await;
            Err(error)
        }
    };
    if saved.is_err() {
        let _ = tokio::fs::remove_file(file).await;
    }
    saved
}

/// Ends a save whose asker is gone: QEMU refuses to go on in the last moments of one.
pub(crate) async fn give_up(qmp: &mut Qmp) -> Result<(), BackendError> {
    let begun = Instant::now();
    while is_ending(qmp).await? || is_under_way(qmp).await? {
        if begun.elapsed() > OPEN {
            return Err(BackendError::Timeout {
                what: "give up a save".into(),
                seconds: OPEN.as_secs(),
            });
        }
        qmp.execute("migrate_cancel", json!({})).await?;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn is_ending(qmp: &mut Qmp) -> Result<bool, BackendError> {
    let status = qmp.execute("query-status", json!({})).await?;
    Ok(status["status"] == "finish-migrate")
}

/// Whether a save is under way, but for its last moments.
pub(crate) async fn is_under_way(qmp: &mut Qmp) -> Result<bool, BackendError> {
    let migration = qmp.execute("query-migrate", json!({})).await?;
    let status = migration["status"].as_str();
    Ok(matches!(
        status,
        Some("setup" | "active" | "pre-switchover" | "device" | "cancelling")
    ))
}

/// Writes devices alone, of a machine that nothing is in the middle of.
async fn save_devices(machine: &QemuMachine, file: &Path) -> Result<(), BackendError> {
    match settle::is_needed(machine) {
        true => settle::until_outside(machine, file, || write_devices(machine, file)).await,
        false => write_devices(machine, file).await,
    }
}

/// Writes devices alone. Memory that is not shared is part of every migration, but
/// this command never writes any, and it leaves the disks in use; it needs no Xen.
async fn write_devices(machine: &QemuMachine, file: &Path) -> Result<(), BackendError> {
    let arguments = json!({ "filename": file, "live": false });
    let mut qmp = machine.monitor().await?;
    let saved = qmp.execute("xen-save-devices-state", arguments).await;
    if saved.is_err() {
        let _ = tokio::fs::remove_file(file).await;
    }
    saved.map(drop)
}

/// Arguments for a QEMU that shall take up a state. Its CPUs stand still however
/// it was saved. The states of `save_devices` lack the section that names the
/// machine type, on which QEMU insists unless told not to.
pub(crate) async fn incoming(file: &Path) -> Result<Vec<&'static str>, BackendError> {
    let cannot = || BackendError::io(format!("read {}", file.display()));
    let mut head = [0; 9];
    let mut state = File::open(file).await.map_err(cannot())?;
    let _ = state.read_exact(&mut head).await;
    let mut words = vec!["-S", "-incoming", "defer"];
    if head[..4] == *MAGIC && head[8] != CONFIGURATION {
        words.extend(["-global", "migration.send-configuration=off"]);
    }
    Ok(words)
}

async fn write(mut stream: UnixStream, path: &Path) -> Result<(), BackendError> {
    let cannot = || BackendError::io(format!("write {}", path.display()));
    let mut file = File::create_new(path).await.map_err(cannot())?;
    tokio::io::copy(&mut stream, &mut file)
        .await
        .map_err(cannot())?;
    file.sync_all().await.map_err(cannot())
}

/// Feeds a state to a machine that waits for one.
pub(crate) async fn load(machine: &QemuMachine, file: &Path) -> Result<(), BackendError> {
    let socket = Socket::new(machine);
    let mut state = File::open(file)
        .await
        .map_err(BackendError::io(format!("open {}", file.display())))?;
    let mut qmp = machine.monitor().await?;
    let source = json!({ "uri": socket.uri() });
    qmp.execute("migrate-incoming", source).await?;
    let mut stream = tokio::time::timeout(OPEN, socket.connect())
        .await
        .map_err(|_| not_open())?;
    tokio::io::copy(&mut state, &mut stream)
        .await
        .map_err(BackendError::io("hand the state to QEMU"))?;
    drop(stream);
    finished(&mut qmp).await
}

/// Waits until QEMU says that it has sent or taken everything.
async fn finished(qmp: &mut Qmp) -> Result<(), BackendError> {
    loop {
        let migration = qmp.execute("query-migrate", json!({})).await?;
        match migration["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => return Err(failed(&migration)),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

fn failed(migration: &Value) -> BackendError {
    let words = migration["error-desc"].as_str();
    BackendError::Refused {
        command: "migrate".into(),
        message: words.unwrap_or("no reason given").to_owned(),
    }
}

fn not_open() -> BackendError {
    BackendError::Timeout {
        what: "open the socket for its state".into(),
        seconds: OPEN.as_secs(),
    }
}

/// The socket's path, which goes when we are done.
struct Socket(PathBuf);

impl Socket {
    fn new(machine: &QemuMachine) -> Self {
        let path = machine.run_dir().join(SOCKET);
        // Left by somebody who was killed in the middle.
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn uri(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    async fn connect(&self) -> UnixStream {
        loop {
            match UnixStream::connect(&self.0).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    fn error(&self, verb: &str) -> impl FnOnce(std::io::Error) -> BackendError + use<> {
        BackendError::io(format!("{verb} {}", self.0.display()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
