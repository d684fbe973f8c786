//! A running QEMU: started by us, or found again.

use crate::argv::{CONSOLE, LINK, LOG, QMP};
use crate::qmp::Qmp;
use async_trait::async_trait;
use nestlab_backend::{
    BackendError, Contents, Disk, Exit, LinkAddress, Machine, MachineRecord, MachineSpec, Mapping,
    Plan,
};
use nestlab_sys::cow;
use nestlab_sys::dir::make_private;
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::proc::arguments;
use nestlab_sys::process::{Pidfd, ProcessId, Signal, detach};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long QEMU may take from its start until its monitor answers. Inside an
/// emulated machine its dynamic linking alone takes seconds.
const START: Duration = Duration::from_secs(60);

/// How often the monitor's socket is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// How much of QEMU's standard error is shown, in bytes.
const LAST_WORDS: u64 = 2000;

/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// How long a QEMU that gives up may take to end by itself.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// How long a killed QEMU may take to end.
const END: Duration = Duration::from_secs(20);

/// A QEMU process.
pub(crate) struct QemuMachine {
    run_dir: PathBuf,
    record: Mutex<MachineRecord>,
    pidfd: Pidfd,
    /// How it ended, once it has, if it is our child. The task behind it reaps.
    status: Option<watch::Receiver<Option<String>>>,
}

/// Starts QEMU and waits until its guest runs.
pub(crate) async fn start(
    plan: &Plan,
    spec: &MachineSpec,
    place: Option<&Namespaces>,
) -> Result<QemuMachine, BackendError> {
    clear(&spec.run_dir)?;
    make_private(&spec.run_dir)
        .map_err(BackendError::io(format!("make {}", spec.run_dir.display())))?;
    let mut attempt = Attempt {
        run_dir: &spec.run_dir,
        child: None,
    };
    let child = attempt.child.insert(spawn(plan, spec, place)?);
    let pid = child
        .id()
        .ok_or_else(|| ended_early("it is gone".into(), &spec.run_dir))?;
    // Before anything is awaited: the child is not reaped yet, so the number is its own.
    let process = ProcessId::of(pid).map_err(BackendError::io("identify QEMU"))?;
    wait_for_monitor(child, &spec.run_dir).await?;
    let pidfd = process
        .open()
        .map_err(BackendError::io("hold QEMU"))?
        .ok_or_else(|| ended_early("it is gone".into(), &spec.run_dir))?;
    let record = MachineRecord {
        backend: "qemu".into(),
        process,
        started_at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs()),
        spec: spec.clone(),
    };
    Ok(QemuMachine {
        run_dir: spec.run_dir.clone(),
        record: Mutex::new(record),
        pidfd,
        status: attempt.succeed().map(reap),
    })
}

/// A start that is not over. Dropped, by a failure or because nobody waits for
/// it any more, it leaves nothing.
struct Attempt<'a> {
    run_dir: &'a Path,
    child: Option<Child>,
}

impl Attempt<'_> {
    fn succeed(mut self) -> Option<Child> {
        let child = self.child.take();
        std::mem::forget(self);
        child
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Reaped by the runtime.
            let _ = child.start_kill();
        }
        let _ = clear(self.run_dir);
    }
}

fn spawn(
    plan: &Plan,
    spec: &MachineSpec,
    place: Option<&Namespaces>,
) -> Result<Child, BackendError> {
    let log = File::create(spec.run_dir.join(LOG)).map_err(BackendError::io("make QEMU's log"))?;
    let (program, arguments) = plan
        .argv
        .split_first()
        .expect("a plan begins with the program");
    let mut command = Command::new(program);
    // No pipes: QEMU outlives us, and a broken pipe would end it.
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    // Found by their full paths: nothing else of our environment concerns it.
    command.env_clear().env("PATH", PATH);
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
async fn wait_for_monitor(child: &mut Child, run_dir: &Path) -> Result<(), BackendError> {
    let socket = run_dir.join(QMP);
    let answered = async {
        while Qmp::connect(&socket).await.is_err() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = answered => Ok(()),
        status = child.wait() => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(ended_early(status, run_dir))
        }
        () = tokio::time::sleep(START) => Err(BackendError::Timeout {
            what: "answer on its monitor".into(),
            seconds: START.as_secs(),
        }),
    }
}

fn ended_early(status: String, run_dir: &Path) -> BackendError {
    BackendError::EndedEarly {
        status,
        stderr: last_words(run_dir),
    }
}

/// Our child must be waited for, or it stays as a zombie.
fn reap(mut child: Child) -> watch::Receiver<Option<String>> {
    let (tell, status) = watch::channel(None);
    tokio::spawn(async move {
        let ended = child.wait().await;
        let _ = tell.send(Some(
            ended.map_or_else(|error| error.to_string(), |s| s.to_string()),
        ));
    });
    status
}

/// The end of what QEMU wrote to its standard error.
fn last_words(run_dir: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(run_dir.join(LOG))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default())
        .trim()
        .to_owned()
}

/// Removes a machine's sockets and log.
fn clear(run_dir: &Path) -> Result<(), BackendError> {
    for name in [QMP, LINK, CONSOLE, LOG, crate::state::SOCKET] {
        let path = run_dir.join(name);
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

/// Removes what an ended machine left, unless its successor already uses the
/// folder: a handle may be older than the machine that runs now.
fn clear_dead(run_dir: &Path) -> Result<(), BackendError> {
    match std::os::unix::net::UnixStream::connect(run_dir.join(QMP)) {
        Ok(_) => Ok(()),
        Err(_) => clear(run_dir),
    }
}

/// Takes hold of a machine that somebody else started.
pub(crate) async fn adopt(record: &MachineRecord) -> Result<Option<QemuMachine>, BackendError> {
    let found = record
        .process
        .open()
        .map_err(BackendError::io("hold QEMU"))?;
    // After a reboot number and start time may be another's; the name is not.
    let Some(pidfd) = found.filter(|_| is_ours(record)) else {
        see_end(record).await?;
        return Ok(None);
    };
    let answer = Qmp::connect(&record.spec.run_dir.join(QMP)).await;
    match answer {
        Ok(_) => Ok(Some(QemuMachine {
            run_dir: record.spec.run_dir.clone(),
            record: Mutex::new(as_it_is(record)),
            pidfd,
            status: None,
        })),
        Err(_) if !record.process.is_alive() => {
            see_end(record).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Waits for the end of a QEMU that is ending, whose taps and disks are not free for the
/// next until then, and removes what it left.
async fn see_end(record: &MachineRecord) -> Result<(), BackendError> {
    // One that is ending has no arguments any more; another's process has.
    if arguments(record.process.pid).is_none() {
        let ending = record.process.open_ending();
        if let Some(pidfd) = ending.map_err(BackendError::io("hold QEMU"))? {
            let _ = tokio::time::timeout(END, pidfd.wait()).await;
        }
    }
    clear_dead(&record.spec.run_dir)
}

/// The record of a machine whose keeper may have been killed before he wrote down
/// that it had branched off.
fn as_it_is(record: &MachineRecord) -> MachineRecord {
    let mut record = record.clone();
    if let Some(file) = &mut record.spec.memory_file
        && cow::is_mapped_privately(record.process.pid, &file.path).unwrap_or(false)
    {
        file.mapping = Mapping::Private;
    }
    record
}

fn is_ours(record: &MachineRecord) -> bool {
    let name = crate::argv::name(&record.spec);
    arguments(record.process.pid).is_some_and(|argv| argv.contains(&name))
}

impl QemuMachine {
    /// Gives one command without arguments to the monitor.
    async fn command(&self, name: &str) -> Result<Value, BackendError> {
        self.monitor().await?.execute(name, json!({})).await
    }

    /// A connection to the monitor, which takes one client at a time.
    pub(crate) async fn monitor(&self) -> Result<Qmp, BackendError> {
        Qmp::connect(&self.run_dir().join(QMP)).await
    }

    /// The folder of its sockets.
    pub(crate) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The last words of a QEMU that has ended over something, which tell more
    /// than the connection that broke; else the error itself.
    pub(crate) async fn explain(&self, error: BackendError) -> BackendError {
        match tokio::time::timeout(LAST_MOMENT, self.ended()).await {
            Ok(Ok(status)) => ended_early(
                status.unwrap_or_else(|| "it is gone".into()),
                self.run_dir(),
            ),
            _ => error,
        }
    }

    /// Waits for the end; tells the status of our own child.
    async fn ended(&self) -> std::io::Result<Option<String>> {
        self.pidfd.wait().await?;
        let Some(status) = &self.status else {
            return Ok(None);
        };
        let mut status = status.clone();
        // An error says that the task which reaps is gone, with the runtime.
        let told = status.wait_for(Option::is_some).await;
        Ok(told.ok().and_then(|status| status.clone()))
    }
}

/// What stopped a guest, from the answer to `query-block`. QEMU stops the CPUs
/// when a write finds the disk full, and only then (`werror=enospc`, its default).
fn stalled_by(blocks: &Value) -> String {
    let full = |block: &&Value| block["io-status"] == "nospace";
    let file = blocks
        .as_array()
        .and_then(|blocks| blocks.iter().find(full))
        .and_then(|block| block["inserted"]["file"].as_str());
    match file {
        Some(file) => format!("The disk is full: the guest waits for room to write {file}"),
        None => "The guest waits for a disk that cannot be read or written".into(),
    }
}

#[async_trait]
impl Machine for QemuMachine {
    fn record(&self) -> MachineRecord {
        self.record.lock().expect("no holder panics").clone()
    }

    fn link(&self) -> LinkAddress {
        LinkAddress::Unix(self.run_dir.join(LINK))
    }

    fn console(&self) -> PathBuf {
        self.run_dir.join(CONSOLE)
    }

    async fn wait(&self) -> Exit {
        let status = match self.ended().await {
            Ok(status) => status,
            Err(error) => {
                return Exit {
                    description: format!("it cannot be waited for: {error}"),
                };
            }
        };
        let words = last_words(&self.run_dir);
        let description = match (status, words.is_empty()) {
            (None, true) => "QEMU is gone".to_owned(),
            (None, false) => format!("QEMU is gone: {words}"),
            (Some(status), true) => format!("QEMU ended with {status}"),
            (Some(status), false) => format!("QEMU ended with {status}: {words}"),
        };
        Exit { description }
    }

    async fn power_button(&self) -> Result<(), BackendError> {
        self.command("system_powerdown").await.map(drop)
    }

    async fn pause(&self) -> Result<(), BackendError> {
        self.command("stop").await.map(drop)
    }

    async fn resume(&self) -> Result<(), BackendError> {
        let mut qmp = self.monitor().await?;
        if crate::state::is_under_way(&mut qmp).await? {
            crate::state::give_up(&mut qmp).await?;
        }
        match qmp.execute("cont", json!({})).await {
            Ok(_) => Ok(()),
            // That of a save which has just come to its end.
            Err(_) => {
                crate::state::give_up(&mut qmp).await?;
                qmp.execute("cont", json!({})).await.map(drop)
            }
        }
    }

    async fn is_paused(&self) -> Result<bool, BackendError> {
        let status = self.command("query-status").await?;
        // During a save and after it QEMU calls the same thing by other names.
        Ok(matches!(
            status["status"].as_str(),
            Some("paused" | "finish-migrate" | "postmigrate")
        ))
    }

    async fn save(&self, state: &Path, contents: Contents) -> Result<(), BackendError> {
        nestlab_backend::check_saving(self, contents).await?;
        crate::state::save(self, state, contents).await
    }

    async fn branch(&self, memory: &Path, disks: &[Disk]) -> Result<(), BackendError> {
        crate::branch::branch(self, memory, disks).await?;
        let mut record = self.record.lock().expect("no holder panics");
        record.spec = record.spec.clone().branched(memory, disks);
        Ok(())
    }

    async fn shorten(&self, serial: &str, base: &Path) -> Result<(), BackendError> {
        crate::layers::shorten(self, serial, base).await
    }

    async fn resize(&self, serial: &str, bytes: u64) -> Result<(), BackendError> {
        crate::layers::resize(self, serial, bytes).await
    }

    async fn write_memory(&self, file: &Path) -> Result<(), BackendError> {
        let Some(memory) = self.record().spec.memory_file else {
            return Err(BackendError::Refused {
                command: "save".into(),
                message: "its memory is in no file".into(),
            });
        };
        let (pid, to) = (self.record().process.pid, file.to_owned());
        let written = tokio::task::spawn_blocking(move || match memory.mapping {
            Mapping::Shared => cow::copy(&memory.path, &to),
            Mapping::Private => {
                if !to.exists() {
                    cow::copy(&memory.path, &to)?;
                }
                cow::write_as_seen(pid, &memory.path, &to).map(drop)
            }
        });
        let written = written.await;
        let written = written.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        if written.is_err() {
            let _ = std::fs::remove_file(file);
        }
        written.map_err(BackendError::io(format!("write {}", file.display())))
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.pidfd
            .signal(Signal::SIGKILL)
            .map_err(BackendError::io("end QEMU"))?;
        let ended = tokio::time::timeout(END, self.ended()).await;
        ended
            .map_err(|_| BackendError::Timeout {
                what: "end".into(),
                seconds: END.as_secs(),
            })?
            .map_err(BackendError::io("wait for QEMU"))?;
        clear_dead(&self.run_dir)
    }

    async fn revive(&self) -> Option<String> {
        let mut qmp = Qmp::connect(&self.run_dir.join(QMP)).await.ok()?;
        let status = qmp.execute("query-status", json!({})).await.ok()?;
        if status["status"] != "io-error" {
            return None;
        }
        let blocks = qmp.execute("query-block", json!({})).await.ok()?;
        let _ = qmp.execute("cont", json!({})).await;
        Some(stalled_by(&blocks))
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.record().process.resident_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let blocks = json!([
            { "io-status": "ok", "inserted": { "file": "/dev/vdb" } },
            { "io-status": "nospace", "inserted": { "file": "/s/root.qcow2" } },
        ]);
        assert!(stalled_by(&blocks).ends_with("room to write /s/root.qcow2"));
        assert!(stalled_by(&json!([])).contains("cannot be read or written"));
    }
}
