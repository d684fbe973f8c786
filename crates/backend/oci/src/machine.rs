//! A running container: started by us, or found again.

use crate::config::{self, Powers};
use crate::disk::Throttle;
use crate::runtime::{Handle, Runtime, last_words};
use crate::stage::{self, Stage};
use async_trait::async_trait;
use nestlab_backend::{
    BackendError, ContainerSpec, Contents, Disk, Exit, LinkAddress, Machine, MachineRecord,
    MachineSpec,
};
use nestlab_sys::dir::make_private;
use nestlab_sys::group::{self, Group};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::proc::arguments;
use nestlab_sys::process::{Pidfd, ProcessId, Signal, detach, hand_down};
use nestlab_sys::users;
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

/// Files of a container's run folder.
const LINK: &str = "link.sock";
const CONSOLE: &str = "console.sock";
const LOG: &str = "oci.log";
const PID: &str = "pid";
const STATE: &str = "oci";
const BUNDLE: &str = "bundle";
const RUNTIME: &str = "runtime";
pub(crate) const STAGE: &str = "stage.json";

/// How long a runtime may take to make a container.
const START: Duration = Duration::from_secs(60);

/// How long a killed container may take to end.
const END: Duration = Duration::from_secs(20);

/// A container.
pub(crate) struct Container {
    record: MachineRecord,
    pidfd: Pidfd,
}

/// Makes a container and has its first program run.
pub(crate) async fn start(
    spec: &MachineSpec,
    container: &ContainerSpec,
    runtime: &Runtime,
    own_program: &Path,
    place: Option<&Namespaces>,
) -> Result<Container, BackendError> {
    let run_dir = &spec.run_dir;
    clear(run_dir)?;
    let attempt = Attempt {
        handle: handle(spec, runtime.program.clone()),
        run_dir,
        succeeded: false,
    };
    make_private(&container.folder).map_err(BackendError::io("make the container's folder"))?;
    let powers = powers(place);
    let config = configuration(spec, container, powers)?;
    write_down(spec, container, runtime, &config).map_err(BackendError::io(format!(
        "write the container's files to {}",
        run_dir.display()
    )))?;
    run(spec, own_program, place).await?;
    hand_group_over(spec, container, powers)?;
    let pid = fs::read_to_string(run_dir.join(PID)).unwrap_or_default();
    let process = pid.trim().parse().map_err(std::io::Error::other);
    let process = process.and_then(ProcessId::of);
    let process = process.map_err(BackendError::io("identify the container"))?;
    let pidfd = process
        .open()
        .map_err(BackendError::io("hold the container"))?;
    let gone = || BackendError::EndedEarly {
        status: "it is gone".into(),
        stderr: words(run_dir),
    };
    let record = MachineRecord {
        backend: crate::NAME.into(),
        process,
        started_at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        spec: spec.clone(),
    };
    let pidfd = pidfd.ok_or_else(gone)?;
    attempt.succeed();
    Ok(Container { record, pidfd })
}

/// Gives a container that holds others its control group, if that can be had.
fn hand_group_over(
    spec: &MachineSpec,
    container: &ContainerSpec,
    powers: Powers,
) -> Result<(), BackendError> {
    match container.ids {
        Some(ids) if powers.delegation && config::holds_containers(container) => {
            let handed = Group::new(config::cgroup(spec)).hand_over(ids.first);
            handed.map_err(BackendError::io("give the container its control group"))
        }
        _ => Ok(()),
    }
}

/// What may be done at a place: an ordinary user has neither control groups nor users.
pub(crate) fn powers(place: Option<&Namespaces>) -> Powers {
    let is_ours = !place.is_some_and(Namespaces::has_user);
    let limits = is_ours && group::can_be_made();
    Powers {
        limits,
        delegation: limits && group::is_unified(),
        users: is_ours && users::has_several_ids(),
    }
}

/// A start that is not over. Dropped, by a failure or because nobody waits for it any
/// more, it leaves nothing.
struct Attempt<'a> {
    handle: Handle,
    run_dir: &'a Path,
    succeeded: bool,
}

impl Attempt<'_> {
    fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.succeeded {
            return;
        }
        let mut delete = std::process::Command::new(&self.handle.program);
        delete.arg("--root").arg(&self.handle.state);
        delete.args(["delete", "--force", &self.handle.id]);
        delete
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = delete.status();
        let _ = clear(self.run_dir);
    }
}

/// What the container will be; else what of it is not to be had here.
fn configuration(
    spec: &MachineSpec,
    container: &ContainerSpec,
    powers: Powers,
) -> Result<Value, BackendError> {
    let folder = stage::folder().map_err(BackendError::io("find a place for the stage"))?;
    let limits = Some(container.io).filter(|limits| !limits.is_empty());
    let throttle = limits.map(|limits| match powers.limits {
        true => Throttle::of(&container.folder, limits),
        false => Err("there are no control groups to limit with".into()),
    });
    let throttle = throttle
        .transpose()
        .map_err(|message| BackendError::Missing { key: "io", message })?;
    Ok(config::config(spec, container, powers, throttle, folder))
}

/// Writes all that the stage and the runtime read.
fn write_down(
    spec: &MachineSpec,
    container: &ContainerSpec,
    runtime: &Runtime,
    config: &Value,
) -> std::io::Result<()> {
    let run_dir = &spec.run_dir;
    let bundle = run_dir.join(BUNDLE);
    make_private(run_dir)?;
    make_private(&bundle)?;
    let folder = stage::folder()?;
    fs::write(bundle.join("config.json"), config.to_string())?;
    fs::write(
        run_dir.join(RUNTIME),
        runtime.program.as_os_str().as_encoded_bytes(),
    )?;
    let handle = handle(spec, runtime.program.clone());
    let stage = Stage {
        folder: folder.to_owned(),
        lower: container.root.clone(),
        upper: container.folder.clone(),
        kit: container.kit.clone(),
        disks: spec.disks.iter().map(|disk| disk.path.clone()).collect(),
        devices: container.devices.clone(),
        volumes: container.volumes.clone(),
        holds_layer: container.holds_layer,
        inner_roots: container
            .inner_roots
            .iter()
            .map(|root| root.lower.clone())
            .collect(),
        ids: container.ids,
        may_mount: config::administers(container),
        then: handle.creation(&bundle, &run_dir.join(PID)),
    };
    let text = serde_json::to_vec(&stage)?;
    fs::write(run_dir.join(STAGE), text)
}

/// Sets the stage and has the runtime make the container on it, and start it.
async fn run(
    spec: &MachineSpec,
    own_program: &Path,
    place: Option<&Namespaces>,
) -> Result<(), BackendError> {
    let run_dir = &spec.run_dir;
    let cannot = |what: &str| BackendError::io(format!("make the container's {what}"));
    let listen = |name| UnixListener::bind(run_dir.join(name)).map(OwnedFd::from);
    let sockets = listen(LINK).and_then(|link| Ok([link, listen(CONSOLE)?]));
    let log = File::create(run_dir.join(LOG)).map_err(cannot("log"))?;
    let mut command = Command::new(own_program);
    command
        .arg(stage::ROLE)
        .arg(run_dir.join(STAGE))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    detach(&mut command);
    if let Some(place) = place {
        place.attach(&mut command);
    }
    hand_down(&mut command, sockets.map_err(cannot("sockets"))?);
    let mut child = command.spawn().map_err(cannot("stage"))?;
    // The container has its own now.
    drop(command);
    match tokio::time::timeout(START, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(_)) => Err(BackendError::Refused {
            command: "run".into(),
            message: words(run_dir),
        }),
        Ok(Err(error)) => Err(BackendError::io("wait for the runtime")(error)),
        Err(_) => Err(BackendError::Timeout {
            what: "make a container".into(),
            seconds: START.as_secs(),
        }),
    }
}

fn handle(spec: &MachineSpec, program: PathBuf) -> Handle {
    Handle {
        program,
        state: spec.run_dir.join(STATE),
        id: config::id(spec),
    }
}

fn words(run_dir: &Path) -> String {
    last_words(&fs::read_to_string(run_dir.join(LOG)).unwrap_or_default())
}

/// Removes what a container had in its run folder.
fn clear(run_dir: &Path) -> Result<(), BackendError> {
    for folder in [STATE, BUNDLE] {
        let _ = fs::remove_dir_all(run_dir.join(folder));
    }
    for name in [LINK, CONSOLE, LOG, PID, RUNTIME, STAGE] {
        let path = run_dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackendError::io(format!("remove {}", path.display()))(
                    error,
                ));
            }
            _ => {}
        }
    }
    // Not ours alone: another file in it is no error.
    let _ = fs::remove_dir(run_dir);
    Ok(())
}

/// Takes hold of a container that somebody else made.
pub(crate) async fn adopt(record: &MachineRecord) -> Result<Option<Container>, BackendError> {
    let found = record
        .process
        .open()
        .map_err(BackendError::io("hold the container"))?;
    // After a reboot number and start time may be another's; the name is not.
    let Some(pidfd) = found.filter(|_| is_ours(record)) else {
        forget(record).await?;
        return Ok(None);
    };
    Ok(Some(Container {
        record: record.clone(),
        pidfd,
    }))
}

fn is_ours(record: &MachineRecord) -> bool {
    let name = format!("nestlab:{}:{}", record.spec.lab_id, record.spec.path);
    arguments(record.process.pid).is_some_and(|argv| argv.contains(&name))
}

/// Has the runtime forget a container, whether it runs or not, and removes what is left;
/// unless its successor already uses the folder: a handle may be older than the container
/// that runs now.
async fn forget(record: &MachineRecord) -> Result<(), BackendError> {
    let run_dir = &record.spec.run_dir;
    let last = fs::read_to_string(run_dir.join(PID)).unwrap_or_default();
    let last: Option<u32> = last.trim().parse().ok();
    if last.is_some_and(|pid| pid != record.process.pid) {
        return Ok(());
    }
    if let Ok(program) = fs::read_to_string(run_dir.join(RUNTIME)) {
        let handle = handle(&record.spec, program.into());
        Group::new(config::cgroup(&record.spec)).remove_below();
        if handle.state.join(&handle.id).exists() {
            handle.tell(&["delete", "--force"]).await?;
        }
    }
    clear(run_dir)
}

impl Container {
    fn unsupported(what: &str) -> BackendError {
        BackendError::Unsupported {
            backend: crate::NAME,
            what: what.to_owned(),
        }
    }

    fn group(&self) -> Group {
        Group::new(config::cgroup(&self.record.spec))
    }
}

#[async_trait]
impl Machine for Container {
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
        let ended = self.pidfd.wait().await;
        let description = match (ended, self.group().killed_for_memory()) {
            (Err(error), _) => error.to_string(),
            (Ok(()), 0) => "its first program has ended".to_owned(),
            (Ok(()), _) => format!(
                "it needed more than its {} of memory, and the kernel ended it",
                self.record.spec.memory
            ),
        };
        Exit { description }
    }

    /// The signal that its first program takes for one.
    async fn power_button(&self) -> Result<(), BackendError> {
        let sent = self.pidfd.signal(Signal::SIGTERM);
        sent.map_err(BackendError::io("signal the container"))
    }

    async fn kill(&self) -> Result<(), BackendError> {
        let _ = self.pidfd.signal(Signal::SIGKILL);
        // A frozen one dies only when it goes on.
        if self.record.process.is_alive() {
            let _ = self.resume().await;
        }
        let ended = tokio::time::timeout(END, self.pidfd.wait()).await;
        ended
            .map_err(|_| BackendError::Timeout {
                what: "end a killed container".into(),
                seconds: END.as_secs(),
            })?
            .map_err(BackendError::io("wait for the container's end"))?;
        match forget(&self.record).await {
            // Two at once: the other may have been quicker.
            Err(_) => forget(&self.record).await,
            Ok(()) => Ok(()),
        }
    }

    async fn pause(&self) -> Result<(), BackendError> {
        if !self.group().can_freeze() {
            return Err(Self::unsupported("control group here that could be frozen"));
        }
        let frozen = self.group().freeze().await;
        frozen.map_err(BackendError::io("freeze the container"))
    }

    async fn resume(&self) -> Result<(), BackendError> {
        match self.is_paused().await? {
            true => self
                .group()
                .thaw()
                .map_err(BackendError::io("thaw the container")),
            false => Ok(()),
        }
    }

    async fn is_paused(&self) -> Result<bool, BackendError> {
        Ok(self.group().is_frozen())
    }

    async fn save(&self, _state: &Path, _contents: Contents) -> Result<(), BackendError> {
        Err(Self::unsupported("state that could be saved"))
    }

    async fn branch(&self, _memory: &Path, _disks: &[Disk]) -> Result<(), BackendError> {
        Err(Self::unsupported("memory that could be shared with a copy"))
    }

    async fn shorten(&self, _serial: &str, _base: &Path) -> Result<(), BackendError> {
        Err(Self::unsupported("disks"))
    }

    async fn resize(&self, _serial: &str, _bytes: u64) -> Result<(), BackendError> {
        Err(Self::unsupported("disks"))
    }

    async fn write_memory(&self, _file: &Path) -> Result<(), BackendError> {
        Err(Self::unsupported("memory in a file"))
    }

    async fn revive(&self) -> Option<String> {
        None
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.group().memory()
    }

    fn killed_for_memory(&self) -> u64 {
        self.group().killed_for_memory()
    }
}
