//! The namespaces of one lab, and the keeper that holds them.

use crate::NetworkError;
use nestlab_sys::keeper::{JOINED, Step, read_report};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::proc;
use nestlab_sys::process::{ProcessId, Signal, detach};
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Longest that a keeper may take to be ready.
const DEADLINE: Duration = Duration::from_secs(10);

/// The namespaces of one lab. Dropping it leaves them, held by the keeper.
#[derive(Debug)]
pub struct LabNamespace {
    /// The command line of the keeper; its last word is the lab's id.
    command: Vec<OsString>,
    keeper: ProcessId,
    namespaces: Namespaces,
}

impl LabNamespace {
    /// Makes new namespaces. `command` starts a keeper and ends with the lab's id.
    ///
    /// # Errors
    /// The kernel refuses a namespace; the keeper does not start.
    pub async fn create(command: Vec<OsString>) -> Result<Self, NetworkError> {
        let keeper = start(&command, None).await?;
        Self::of(command, keeper)
    }

    /// Finds a lab's namespaces again: through its keeper, or, if that died,
    /// through a VMM that still runs in them; then a new keeper takes hold of
    /// them. `Ok(None)` if they are gone.
    ///
    /// # Errors
    /// The namespaces are there but cannot be entered.
    pub async fn adopt(
        command: Vec<OsString>,
        keeper: Option<ProcessId>,
        vmms: &[ProcessId],
    ) -> Result<Option<Self>, NetworkError> {
        let known = keeper
            .filter(ProcessId::is_alive)
            .or_else(|| find_keeper(&command));
        if let Some(keeper) = known {
            return Self::of(command, keeper).map(Some);
        }
        for vmm in vmms.iter().filter(|vmm| vmm.is_alive()) {
            let namespaces = match Namespaces::of_process(vmm.pid) {
                Ok(found) if !found.holds_network_of(std::process::id()) => found,
                _ => continue,
            };
            let keeper = start(&command, Some(&namespaces)).await?;
            return Ok(Some(Self {
                command,
                keeper,
                namespaces,
            }));
        }
        Ok(None)
    }

    fn of(command: Vec<OsString>, keeper: ProcessId) -> Result<Self, NetworkError> {
        let namespaces = Namespaces::of_process(keeper.pid)
            .map_err(NetworkError::io("open the namespaces of the keeper"))?;
        // A keeper in our own network would have us change this machine.
        if namespaces.holds_network_of(std::process::id()) {
            let source = io::Error::other("the keeper is in this machine's own network");
            return Err(NetworkError::Io {
                action: "use the keeper's namespaces".to_owned(),
                source,
            });
        }
        Ok(Self {
            command,
            keeper,
            namespaces,
        })
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// The process that holds them.
    pub fn keeper(&self) -> ProcessId {
        self.keeper
    }

    /// The lab's id, as the keeper's arguments have it.
    pub fn lab_id(&self) -> String {
        self.command
            .last()
            .map(|id| id.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Starts a new keeper for the namespaces that we hold, if theirs has died.
    ///
    /// # Errors
    /// The keeper does not start.
    pub async fn revive(&mut self) -> Result<(), NetworkError> {
        if !self.keeper.is_alive() {
            self.keeper = start(&self.command, Some(&self.namespaces)).await?;
        }
        Ok(())
    }

    /// Ends the keeper. The kernel removes the namespaces with all that is in
    /// them once no other process and no handle holds them.
    ///
    /// # Errors
    /// The keeper cannot be signalled.
    pub async fn destroy(self) -> Result<(), NetworkError> {
        end(self.keeper, "end the keeper").await
    }
}

/// Kills a process and waits for its end.
pub(crate) async fn end(process: ProcessId, action: &str) -> Result<(), NetworkError> {
    let Some(handle) = process.open().map_err(NetworkError::io(action))? else {
        return Ok(());
    };
    handle
        .signal(Signal::SIGKILL)
        .map_err(NetworkError::io(action))?;
    handle.wait().await.map_err(NetworkError::io(action))
}

/// A keeper of this lab whose record was lost.
fn find_keeper(command: &[OsString]) -> Option<ProcessId> {
    let id = command.last()?.to_str()?;
    let is_keeper = |argv: &[String]| {
        let after = argv.iter().skip_while(|word| *word != "__keeper").nth(1);
        after.is_some_and(|word| word == id)
    };
    proc::find_own(is_keeper).into_iter().find(|found| {
        // One that has not entered its namespaces yet is another's.
        let entered = Namespaces::of_process(found.pid)
            .is_ok_and(|namespaces| !namespaces.holds_network_of(std::process::id()));
        entered && proc::shares_our_pids(found.pid)
    })
}

async fn start(command: &[OsString], join: Option<&Namespaces>) -> Result<ProcessId, NetworkError> {
    let [program, arguments @ ..] = command else {
        let source = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(NetworkError::Io {
            action: "start a keeper without a command".into(),
            source,
        });
    };
    let mut process = Command::new(program);
    process
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    detach(&mut process);
    if let Some(namespaces) = join {
        process.arg(JOINED);
        namespaces.attach(&mut process);
    }
    let mut child = process
        .spawn()
        .map_err(NetworkError::io("start the keeper"))?;
    let id = child.id().map(ProcessId::of);
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let read = tokio::time::timeout(DEADLINE, stdout.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            line.clear();
        }
    }
    let program = program.to_string_lossy().into_owned();
    if let Err((step, source)) = read_report(&line) {
        let _ = child.kill().await;
        return Err(NetworkError::Namespace {
            step,
            program,
            source,
        });
    }
    match id {
        Some(Ok(id)) => Ok(id),
        _ => {
            let source = io::Error::other("the keeper ended at once");
            Err(NetworkError::Namespace {
                step: Step::Setup,
                program,
                source,
            })
        }
    }
}
