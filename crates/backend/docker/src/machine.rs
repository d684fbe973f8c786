//! A running container: started by us, or found again.
//!
//! ```text
//!            kept ─► start ─► (pid) ─► hand over link and console ─► runs ─► ends ─► kept
//! none ─► made ─┘                                                              discard ─► none
//! ```
//!
//! What a container writes is kept by the engine, with the container itself: it outlives
//! its end, and goes when the node is discarded. A file in the folder of what it writes
//! says which container that is.

use crate::api::Api;
use crate::config::{self, IMAGE, LAB, MADE};
use crate::engine::{Engine, Finder};
use crate::image::{Wanted, reference};
use async_trait::async_trait;
use nestlab_backend::{
    BackendError, ContainerSpec, Contents, Disk, Exit, LinkAddress, Machine, MachineRecord,
    MachineSpec,
};
use nestlab_sys::dir::make_private;
use nestlab_sys::group::Group;
use nestlab_sys::proc::arguments;
use nestlab_sys::process::{Pidfd, ProcessId, Signal};
use nestlab_sys::socket::hand_over;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout};

/// Files of a container's run folder.
const LINK: &str = "link.sock";
const CONSOLE: &str = "console.sock";
const HAND: &str = "hand.sock";
const LOG: &str = "image.log";
const PID: &str = "pid";

/// In the folder of what it writes: the container that keeps that.
const KEPT: &str = "docker-container";

/// How long a container's first program may take to fetch its sockets.
const FETCH: Duration = Duration::from_secs(60);

/// How long a killed container may take to end, and its engine to notice.
const END: Duration = Duration::from_secs(20);
const NOTICE: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(10);

/// How much of what a container said is shown, in characters.
const LAST_WORDS: usize = 300;

/// A container.
pub(crate) struct Container {
    record: MachineRecord,
    pidfd: Pidfd,
    group: Option<Group>,
    /// How many of its programs the kernel had ended when it ended.
    killed: OnceLock<u64>,
    finder: Arc<Finder>,
}

/// Makes a container, or finds the one that keeps what it has written, and has its first
/// program run.
pub(crate) async fn start(
    spec: &MachineSpec,
    container: &ContainerSpec,
    finder: &Arc<Finder>,
) -> Result<Container, BackendError> {
    let engine = finder.engine().await?;
    clear(&spec.run_dir)?;
    let start = Starting {
        spec,
        container,
        engine,
        program: &finder.program,
    };
    match start.run().await {
        Ok((process, pidfd)) => Ok(Container {
            record: MachineRecord {
                backend: crate::NAME.into(),
                process,
                started_at: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                spec: spec.clone(),
            },
            group: Group::of_process(process.pid).ok(),
            killed: OnceLock::new(),
            pidfd,
            finder: finder.clone(),
        }),
        Err(error) => {
            start.undo().await;
            Err(error)
        }
    }
}

/// A start that is not over.
struct Starting<'a> {
    spec: &'a MachineSpec,
    container: &'a ContainerSpec,
    engine: &'a Engine,
    program: &'a Path,
}

/// Listening sockets of a container.
struct Sockets {
    link: UnixListener,
    console: UnixListener,
    hand: tokio::net::UnixListener,
}

impl Starting<'_> {
    async fn run(&self) -> Result<(ProcessId, Pidfd), BackendError> {
        let sockets = self
            .sockets()
            .map_err(BackendError::io("make the container's sockets"))?;
        let api = &self.engine.api;
        let id = self.container().await?;
        let started = api.post(&format!("/containers/{id}/start")).await?;
        started.accepted()?;
        let process = self.first_process(&id).await?;
        let pidfd = process.open();
        let pidfd = pidfd.map_err(BackendError::io("hold the container"))?;
        let Some(pidfd) = pidfd else {
            return Err(self.ended(&id).await);
        };
        tokio::select! {
            given = timeout(FETCH, give(&sockets, process.pid)) => match given {
                Ok(given) => given.map_err(BackendError::io("hand the container its sockets"))?,
                Err(_) => return Err(BackendError::Timeout {
                    what: "fetch its sockets".into(),
                    seconds: FETCH.as_secs(),
                }),
            },
            _ = pidfd.wait() => return Err(self.ended(&id).await),
        }
        let written = fs::write(self.spec.run_dir.join(PID), process.pid.to_string());
        written.map_err(BackendError::io("write down the container"))?;
        Ok((process, pidfd))
    }

    /// Link and console are made out here and given to the first program: nothing that
    /// a container does to its files can lead us elsewhere. The engine hands no open
    /// files down, so the program fetches them from a third socket, which is shown to it
    /// and of no more use afterwards.
    fn sockets(&self) -> io::Result<Sockets> {
        make_private(&self.spec.run_dir)?;
        make_private(&self.container.folder)?;
        let at = |name: &str| self.spec.run_dir.join(name);
        let sockets = Sockets {
            link: UnixListener::bind(at(LINK))?,
            console: UnixListener::bind(at(CONSOLE))?,
            hand: tokio::net::UnixListener::bind(at(HAND))?,
        };
        // Root of the container may be another user here; the folder is closed to others.
        fs::set_permissions(at(HAND), fs::Permissions::from_mode(0o666))?;
        Ok(sockets)
    }

    /// The container, which does not run yet.
    async fn container(&self) -> Result<String, BackendError> {
        let api = &self.engine.api;
        let hand = self.spec.run_dir.join(HAND);
        let mut body = config::body(self.spec, self.container, &hand);
        let kept = kept(api, &self.container.folder).await?;
        let Some(old) = kept else {
            let wanted = Wanted {
                image: &self.container.image,
                root: &self.container.root,
                program: self.program,
                log: &self.spec.run_dir.join(LOG),
            };
            body["Image"] = json!(self.engine.ensure_image(&wanted).await?);
            return self.make(&body).await;
        };
        let id = id_of(&old)?;
        end(api, &id).await?;
        if old["Config"]["Labels"][MADE] == body["Labels"][MADE] {
            return Ok(id);
        }
        // The same files, otherwise shut in: the engine changes no container, but makes
        // images of what one has written.
        let commit = format!("/commit?container={id}&pause=0");
        let committed = api.post_json(&commit, &json!({})).await?.value()?;
        body["Image"] = committed["Id"].clone();
        let aside = format!(
            "/containers/{id}/rename?name={}-old",
            config::name(self.spec)
        );
        api.post(&aside).await?.accepted()?;
        let new = self.make(&body).await?;
        remove(api, &old).await?;
        Ok(new)
    }

    /// A new container, written down. One of its name that no file speaks of was made by
    /// somebody who died then.
    async fn make(&self, body: &Value) -> Result<String, BackendError> {
        let api = &self.engine.api;
        let name = config::name(self.spec);
        if let Some(other) = inspect(api, &name).await? {
            if other["Config"]["Labels"][LAB].is_null() {
                return Err(BackendError::Refused {
                    command: "create".into(),
                    message: format!("there is a container `{name}` that Nestlab has not made"),
                });
            }
            remove(api, &other).await?;
        }
        let path = format!("/containers/create?name={name}");
        let made = api.post_json(&path, body).await?.value()?;
        let id = id_of(&made)?;
        let file = self.container.folder.join(KEPT);
        let written = nestlab_sys::atomic::write(&file, id.as_bytes());
        written.map_err(BackendError::io(format!("write {}", file.display())))?;
        Ok(id)
    }

    async fn first_process(&self, id: &str) -> Result<ProcessId, BackendError> {
        let state = inspect(&self.engine.api, id).await?.unwrap_or_default();
        let pid = state["State"]["Pid"].as_u64().unwrap_or(0);
        match u32::try_from(pid) {
            Ok(pid @ 1..) => ProcessId::of(pid).map_err(BackendError::io("identify the container")),
            _ => Err(self.ended(id).await),
        }
    }

    async fn ended(&self, id: &str) -> BackendError {
        let api = &self.engine.api;
        let state = inspect(api, id).await.ok().flatten().unwrap_or_default();
        let code = &state["State"]["ExitCode"];
        BackendError::EndedEarly {
            status: format!("status {code}"),
            stderr: last_words(api, id).await,
        }
    }

    /// Leaves nothing that runs, and nothing at all of what was never written to.
    async fn undo(&self) {
        let api = &self.engine.api;
        let undone = match kept(api, &self.container.folder).await {
            Ok(Some(container)) => self.undo_container(&container).await,
            Ok(None) => {
                remove_image(api, &reference(&self.container.image)).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = undone {
            tracing::warn!(%error, "a container that did not start is left");
        }
        let _ = clear(&self.spec.run_dir);
    }

    async fn undo_container(&self, container: &Value) -> Result<(), BackendError> {
        let api = &self.engine.api;
        let ran = container["State"]["StartedAt"].as_str();
        // The engine's word for never.
        match ran.is_some_and(|time| !time.starts_with("0001")) {
            true => end(api, &id_of(container)?).await,
            false => remove(api, container).await,
        }
    }
}

/// Hands link and console to the process, and to nobody else.
async fn give(sockets: &Sockets, pid: u32) -> io::Result<()> {
    loop {
        let (stream, _) = sockets.hand.accept().await?;
        let peer = stream.peer_cred()?.pid();
        if peer.and_then(|pid| u32::try_from(pid).ok()) != Some(pid) {
            tracing::warn!(?peer, "refused a stranger");
            continue;
        }
        return hand_over(&stream, &[sockets.link.as_fd(), sockets.console.as_fd()]);
    }
}

/// What the engine knows of a container, by its name or id.
async fn inspect(api: &Api, name: &str) -> Result<Option<Value>, BackendError> {
    let answer = api.get(&format!("/containers/{name}/json")).await?;
    answer
        .accepted_or_gone()?
        .map(|found| found.value())
        .transpose()
}

/// The container that keeps what was written, by the file in its folder.
async fn kept(api: &Api, folder: &Path) -> Result<Option<Value>, BackendError> {
    match fs::read_to_string(folder.join(KEPT)) {
        Ok(id) if is_id(&id) => inspect(api, &id).await,
        _ => Ok(None),
    }
}

fn id_of(container: &Value) -> Result<String, BackendError> {
    let id = container["Id"].as_str().filter(|id| is_id(id));
    id.map(str::to_owned).ok_or_else(|| BackendError::Refused {
        command: "create".into(),
        message: "it names no container".into(),
    })
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Ends a container that runs, and waits until the engine knows.
async fn end(api: &Api, id: &str) -> Result<(), BackendError> {
    // Refused where it does not run.
    api.post(&format!("/containers/{id}/kill")).await?;
    let start = Instant::now();
    while runs(api, id).await? {
        if start.elapsed() > NOTICE {
            return Err(unnoticed());
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn unnoticed() -> BackendError {
    BackendError::Timeout {
        what: "see the end of a container".into(),
        seconds: NOTICE.as_secs(),
    }
}

async fn runs(api: &Api, id: &str) -> Result<bool, BackendError> {
    let found = inspect(api, id).await?;
    Ok(found.is_some_and(|found| found["State"]["Running"] == true))
}

/// Removes a container with all that it has written, and what it was made from if nobody
/// else needs that.
async fn remove(api: &Api, container: &Value) -> Result<(), BackendError> {
    let id = id_of(container)?;
    let removed = api.delete(&format!("/containers/{id}?force=1&v=1")).await?;
    removed.accepted_or_gone()?;
    let images = [&container["Image"], &container["Config"]["Labels"][IMAGE]];
    for image in images.into_iter().filter_map(Value::as_str) {
        remove_image(api, image).await;
    }
    Ok(())
}

/// Removes an image unless others use it.
async fn remove_image(api: &Api, image: &str) {
    let _ = api.delete(&format!("/images/{image}")).await;
}

/// Removes the container that keeps what was written.
pub(crate) async fn discard(folder: &Path, finder: &Finder) -> Result<(), BackendError> {
    let file = folder.join(KEPT);
    if !file.exists() {
        return Ok(());
    }
    let api = &finder.engine().await?.api;
    if let Some(container) = kept(api, folder).await? {
        remove(api, &container).await?;
    }
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackendError::io(format!(
            "remove {}",
            file.display()
        ))(error)),
        _ => Ok(()),
    }
}

/// The last line that a container wrote before it had its console.
async fn last_words(api: &Api, id: &str) -> String {
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1&tail=1");
    let Ok(answer) = api.get(&path).await else {
        return "it said nothing".to_owned();
    };
    // Every piece has a head of eight bytes.
    let text = String::from_utf8_lossy(answer.bytes().get(8..).unwrap_or_default());
    match text.trim() {
        "" => "it said nothing".to_owned(),
        words => words
            .chars()
            .filter(|c| !c.is_control())
            .take(LAST_WORDS)
            .collect(),
    }
}

/// Removes what a container had in its run folder.
fn clear(run_dir: &Path) -> Result<(), BackendError> {
    for name in [LINK, CONSOLE, HAND, LOG, PID] {
        let path = run_dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
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

/// Takes hold of a container that somebody else started. The engine is not asked: it may
/// be at rest, and its containers run.
pub(crate) fn adopt(
    record: &MachineRecord,
    finder: &Arc<Finder>,
) -> Result<Option<Container>, BackendError> {
    let found = record
        .process
        .open()
        .map_err(BackendError::io("hold the container"))?;
    // After a reboot number and start time may be another's; the name is not.
    let Some(pidfd) = found.filter(|_| is_ours(record)) else {
        forget(record)?;
        return Ok(None);
    };
    Ok(Some(Container {
        record: record.clone(),
        group: Group::of_process(record.process.pid).ok(),
        killed: OnceLock::new(),
        pidfd,
        finder: finder.clone(),
    }))
}

fn is_ours(record: &MachineRecord) -> bool {
    let marker = config::marker(&record.spec);
    arguments(record.process.pid).is_some_and(|argv| argv.contains(&marker))
}

/// Removes what is left in the run folder of a container that has ended; unless its
/// successor already uses it: a handle may be older than the container that runs now.
fn forget(record: &MachineRecord) -> Result<(), BackendError> {
    let run_dir = &record.spec.run_dir;
    let last = fs::read_to_string(run_dir.join(PID)).unwrap_or_default();
    let last: Option<u32> = last.trim().parse().ok();
    match last.is_some_and(|pid| pid != record.process.pid) {
        true => Ok(()),
        false => clear(run_dir),
    }
}

impl Container {
    fn unsupported(what: &str) -> BackendError {
        BackendError::Unsupported {
            backend: crate::NAME,
            what: what.to_owned(),
        }
    }

    /// Its control group while it runs. The next container of the node has one of the same
    /// name.
    fn group(&self) -> Result<&Group, BackendError> {
        let group = self.group.as_ref();
        let group = group.filter(|_| self.record.process.is_alive());
        group
            .ok_or_else(|| io::Error::other("it has ended"))
            .map_err(BackendError::io("find the container's control group"))
    }

    /// Waits until the engine, if one answers, has seen the end of this container.
    async fn noticed(&self) -> Result<(), BackendError> {
        let (Some(container), Ok(engine)) = (
            self.record.spec.boot.container(),
            self.finder.engine().await,
        ) else {
            return Ok(());
        };
        let start = Instant::now();
        // Another of the same node may run already.
        let own = u64::from(self.record.process.pid);
        while let Some(found) = kept(&engine.api, &container.folder).await?
            && found["State"]["Pid"].as_u64() == Some(own)
        {
            if start.elapsed() > NOTICE {
                return Err(unnoticed());
            }
            sleep(LOOK).await;
        }
        Ok(())
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
        // Its control group is there for some moments more.
        let killed = *self.killed.get_or_init(|| self.killed_for_memory());
        let description = match (ended, killed) {
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
        let ended = timeout(END, self.pidfd.wait()).await;
        ended
            .map_err(|_| BackendError::Timeout {
                what: "end a killed container".into(),
                seconds: END.as_secs(),
            })?
            .map_err(BackendError::io("wait for the container's end"))?;
        // It is started again only when the engine has seen its end.
        self.noticed().await?;
        forget(&self.record)
    }

    async fn pause(&self) -> Result<(), BackendError> {
        let frozen = self.group()?.freeze().await;
        frozen.map_err(BackendError::io("freeze the container"))
    }

    async fn resume(&self) -> Result<(), BackendError> {
        match self.is_paused().await? {
            true => self
                .group()?
                .thaw()
                .map_err(BackendError::io("thaw the container")),
            false => Ok(()),
        }
    }

    async fn is_paused(&self) -> Result<bool, BackendError> {
        Ok(self.group()?.is_frozen())
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
        self.group.as_ref()?.memory()
    }

    fn killed_for_memory(&self) -> u64 {
        let known = self.killed.get().copied();
        let group = self.group.as_ref();
        known.unwrap_or_else(|| group.map_or(0, Group::killed_for_memory))
    }
}
