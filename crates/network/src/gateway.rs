//! The way out of a lab: one user-mode gateway process, slirp4netns or pasta.
//! It lets guests reach what this machine reaches, but not this machine's
//! loopback; the packet rules close its own addresses once more.

use crate::layer::{self, interfaces};
use crate::namespace::end;
use crate::plan::{UPLINK_RESOLVER, UPLINK_SUBNET};
use crate::{LabNamespace, NetworkError, program};
use nestlab_sys::proc;
use nestlab_sys::process::{ProcessId, detach, memory_file};
use std::io::{Read, Seek};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The interface inside the lab that leads out.
pub(crate) const INTERFACE: &str = "uplink0";

/// Longest that a gateway may take to be ready.
const DEADLINE: Duration = Duration::from_secs(5);

/// A lab's way out. Dropping it leaves it running.
#[derive(Debug)]
pub struct Gateway {
    process: ProcessId,
}

/// A way of starting one.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Slirp { confined: bool },
    Pasta,
}

impl Kind {
    /// In the order in which they are tried.
    const ALL: [Self; 3] = [
        Self::Slirp { confined: true },
        Self::Slirp { confined: false },
        Self::Pasta,
    ];

    fn program(self) -> &'static str {
        match self {
            Self::Slirp { .. } => "slirp4netns",
            Self::Pasta => "pasta",
        }
    }
}

impl Gateway {
    /// Finds the lab's gateway, or starts one. `Ok(None)` if this machine has
    /// no program for it or none works here: the lab then has no way out.
    ///
    /// # Errors
    /// The interfaces of the lab cannot be listed; an old gateway cannot be ended.
    pub async fn ensure(
        known: Option<ProcessId>,
        lab: &LabNamespace,
    ) -> Result<Option<Self>, NetworkError> {
        let known = known.filter(ProcessId::is_alive);
        let running: Vec<_> = known.into_iter().chain(find(&lab.lab_id())).collect();
        // One that has been here for a while is ready if its route is there.
        let leads_out = layer::process_leads_out_by(lab.keeper().pid, INTERFACE);
        if let (Some(process), true) = (running.first(), leads_out) {
            return Ok(Some(Self { process: *process }));
        }
        // Left over from namespaces that are gone.
        for process in running {
            end(process, "end an old gateway").await?;
        }
        Self::start(lab).await
    }

    async fn start(lab: &LabNamespace) -> Result<Option<Self>, NetworkError> {
        for kind in Kind::ALL {
            let Some(path) = program::find(kind.program()) else {
                continue;
            };
            match start(kind, &path, lab).await {
                Ok(process) => return Ok(Some(Self { process })),
                Err(error) => tracing::warn!(?kind, %error, "this gateway does not work here"),
            }
        }
        tracing::warn!("no gateway: nodes reach nothing outside the lab (install slirp4netns)");
        Ok(None)
    }

    /// The gateway's process.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// The name server that nodes of `nat` networks reach.
    pub fn resolver(&self) -> Option<Ipv4Addr> {
        Some(UPLINK_RESOLVER)
    }

    /// Ends it. Idempotent.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub async fn stop(self) -> Result<(), NetworkError> {
        end(self.process, "end the gateway").await
    }
}

/// The first argument of a gateway's command line, by which it is found again.
/// pasta wants its own name in it.
fn title(program: &str, lab_id: &str) -> String {
    format!("{program}-nestlab-{lab_id}")
}

fn find(lab_id: &str) -> Vec<ProcessId> {
    let titles = Kind::ALL.map(|kind| title(kind.program(), lab_id));
    proc::find_own(|argv| argv.first().is_some_and(|word| titles.contains(word)))
}

async fn has_uplink(lab: &LabNamespace) -> Result<bool, NetworkError> {
    let found = interfaces(Some(lab.namespaces())).await?;
    Ok(found
        .iter()
        .any(|i| i.name == INTERFACE && i.up && !i.addresses.is_empty()))
}

async fn start(kind: Kind, path: &Path, lab: &LabNamespace) -> Result<ProcessId, NetworkError> {
    let action = format!("start the gateway `{}`", kind.program());
    let mut stderr = memory_file().map_err(NetworkError::io(&action))?;
    let log = stderr.try_clone().map_err(NetworkError::io(&action))?;
    let mut command = Command::new(path);
    command.as_std_mut().env("LC_ALL", "C");
    command
        .arg0(title(kind.program(), &lab.lab_id()))
        .args(arguments(kind, lab));
    command
        .stdin(Stdio::from(
            network(lab).map_err(NetworkError::io(&action))?,
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log));
    detach(&mut command);
    let mut child = command.spawn().map_err(NetworkError::io(&action))?;
    let id = child.id().unwrap_or_default();
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        let ended = child.try_wait().map_err(NetworkError::io(&action))?;
        if ended.is_none() && has_uplink(lab).await? {
            return ProcessId::of(id).map_err(NetworkError::io(&action));
        }
        if let Some(status) = ended {
            return Err(NetworkError::Command {
                action,
                message: words(&mut stderr, status),
            });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _ = child.kill().await;
    let message = format!("it was not ready in {} s", DEADLINE.as_secs());
    Err(NetworkError::Command { action, message })
}

/// The lab's network namespace as an open file. As root, pasta gives up the
/// privilege to open it by the keeper's number, but may still open its own
/// standard input.
fn network(lab: &LabNamespace) -> std::io::Result<std::fs::File> {
    std::fs::File::open(format!("/proc/{}/ns/net", lab.keeper().pid))
}

fn words(stderr: &mut std::fs::File, status: std::process::ExitStatus) -> String {
    let mut text = String::new();
    let _ = stderr.rewind();
    let _ = stderr.take(4096).read_to_string(&mut text);
    format!("{status}: {}", text.trim().replace('\n', "; "))
}

fn arguments(kind: Kind, lab: &LabNamespace) -> Vec<String> {
    let keeper = lab.keeper().pid;
    let (net, user) = (
        format!("/proc/{keeper}/ns/net"),
        format!("/proc/{keeper}/ns/user"),
    );
    let user = lab.namespaces().has_user().then_some(user);
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let mut line;
    match kind {
        Kind::Slirp { confined } => {
            line = words(&["--configure", "--mtu=65520", "--disable-host-loopback"]);
            line.push(format!("--cidr={UPLINK_SUBNET}"));
            if confined {
                line.extend(words(&["--enable-sandbox", "--enable-seccomp"]));
            }
            line.extend(user.map(|path| format!("--userns-path={path}")));
            line.extend([String::from("--netns-type=path"), net, INTERFACE.to_owned()]);
        }
        Kind::Pasta => {
            line = words(&[
                "--foreground",
                "--quiet",
                "--stderr",
                "--config-net",
                "--no-map-gw",
            ]);
            line.extend(words(&[
                "-4", "-t", "none", "-u", "none", "-T", "none", "-U", "none",
            ]));
            line.extend(words(&[
                "-a",
                "100.127.254.100",
                "-n",
                "24",
                "-g",
                "100.127.254.2",
            ]));
            line.extend(words(&[
                "--dns-forward",
                &UPLINK_RESOLVER.to_string(),
                "-I",
                INTERFACE,
            ]));
            match user {
                Some(path) => line.extend([String::from("--userns"), path]),
                None => line.extend(words(&["--netns-only", "--runas", "0"])),
            }
            line.extend(words(&["--netns", "/proc/self/fd/0"]));
        }
    }
    line
}
