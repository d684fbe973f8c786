//! The traits, and what they speak of.

use crate::{Disk, MachineSpec, Plan};
use async_trait::async_trait;
use nestlab_model::{Accelerator, NodeKind};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::process::ProcessId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Realises machines of one kind at this level.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The word for lab files and `status`, such as `qemu`.
    fn name(&self) -> &'static str;

    /// The kind of node that it realises.
    fn kind(&self) -> NodeKind {
        NodeKind::Vm
    }

    /// Tries what this level can really do. Booting a guest may take a minute;
    /// the caller caches the answer. Never fails: what does not work is a
    /// finding with the reason.
    ///
    /// `boot` is a stock kernel and an initramfs that prints
    /// `nestlab-init: probe` to the console and powers off when its command
    /// line holds `nestlab.probe`.
    /// `place` is where machines will be made (this process's own namespaces if `None`).
    async fn probe(&self, boot: &crate::BootSpec, place: Option<&Namespaces>) -> Support;

    /// Takes over what `probe` found earlier, perhaps for another process, under the same
    /// [`Self::probe_key`]: what it would try again it may believe.
    fn recall(&self, _support: &Support) {}

    /// A text that is equal where `probe` would find the same: program
    /// version, kernel, boot, permissions of the device. Cheap.
    fn probe_key(&self) -> String {
        self.name().to_owned()
    }

    /// Whether what `probe` finds follows from the kernels and programs of a chain of levels
    /// alone, so that one proof is good for all its machines. Not where a service has to be
    /// at work: such a backend remembers by itself what it has proved.
    fn proof_travels(&self) -> bool {
        true
    }

    /// A text that is equal where a state that was saved by one can be taken up by
    /// the other.
    async fn state_key(&self) -> String {
        self.name().to_owned()
    }

    /// What `create` would run. Pure: looks at nothing but its arguments.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] for a spec that this backend cannot realise.
    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError>;

    /// Starts the machine inside `place` (this process's own namespaces if
    /// `None`). When it returns, the VMM has accepted its arguments, its
    /// sockets are there and the guest's CPUs run. A failure leaves nothing.
    ///
    /// # Errors
    /// Whatever kept the VMM from starting, with its own words.
    async fn create(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError>;

    /// Starts a machine as [`Self::create`] does, from a state that
    /// [`Machine::save`] wrote of one with the same spec, whose disks have not
    /// changed since. Where the spec maps a memory file privately, the state holds
    /// [`Contents::Devices`] and that file the memory; else it holds everything.
    /// Its virtual CPUs stand still. A failure leaves nothing.
    ///
    /// # Errors
    /// Whatever kept the VMM from starting or from taking the state.
    async fn restore(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
        state: &Path,
    ) -> Result<Arc<dyn Machine>, BackendError>;

    /// Takes hold of a machine that another process started. `None` if it no
    /// longer runs; then nothing of it is left either. Idempotent.
    ///
    /// # Errors
    /// The VMM runs but does not answer.
    async fn adopt(&self, record: &MachineRecord)
    -> Result<Option<Arc<dyn Machine>>, BackendError>;

    /// Whether all that its machines write lies in folders that their specs name, so that
    /// a copy of these is a copy of what was written.
    fn writes_to_folders(&self) -> bool {
        true
    }

    /// Removes what machines have left that lies elsewhere, by the folder that their specs
    /// named for what they write ([`crate::ContainerSpec::folder`]). None of them runs.
    /// Idempotent.
    ///
    /// # Errors
    /// Whoever keeps it does not answer, or refuses.
    async fn discard(&self, _folder: &Path) -> Result<(), BackendError> {
        Ok(())
    }
}

/// A running machine. Dropping it leaves the machine running.
#[async_trait]
pub trait Machine: Send + Sync {
    /// What another process needs in order to find this machine again.
    fn record(&self) -> MachineRecord;

    /// Where the agent's byte stream is.
    fn link(&self) -> LinkAddress;

    /// The Unix socket of the guest's console: a raw byte stream for one client.
    fn console(&self) -> PathBuf;

    /// Waits until the VMM has ended. May be called by many at once.
    async fn wait(&self) -> Exit;

    /// Presses the power button (ACPI). Says nothing of whether the guest obeys.
    ///
    /// # Errors
    /// The VMM does not answer.
    async fn power_button(&self) -> Result<(), BackendError>;

    /// Ends the VMM at once, waits for its end and removes its sockets.
    /// Idempotent.
    ///
    /// # Errors
    /// The process cannot be signalled.
    async fn kill(&self) -> Result<(), BackendError>;

    /// Stops the virtual CPUs. When it returns, none of them runs. Idempotent.
    ///
    /// # Errors
    /// The VMM does not answer.
    async fn pause(&self) -> Result<(), BackendError>;

    /// Lets the virtual CPUs go on from where they stand. Idempotent.
    ///
    /// # Errors
    /// The VMM does not answer.
    async fn resume(&self) -> Result<(), BackendError>;

    /// Whether the virtual CPUs stand still because [`Self::pause`] said so.
    ///
    /// # Errors
    /// The VMM does not answer.
    async fn is_paused(&self) -> Result<bool, BackendError>;

    /// Writes the state of a paused machine to a new file, and leaves it paused.
    /// Without its disks as they are then the file is of no use, nor without its memory:
    /// the machine may go on for moments before what it is saved as.
    ///
    /// # Errors
    /// The machine is not paused, its memory is not where `contents` says, or the
    /// file cannot be written; it is gone then.
    async fn save(&self, state: &Path, contents: Contents) -> Result<(), BackendError>;

    /// Has a paused machine keep to itself what it writes from now on: to memory of
    /// its own over what a file holds, and to new disks over its own (with the same
    /// serials, each an empty overlay). Process, sockets and sessions stay. Nobody
    /// writes to what it had before any more.
    ///
    /// `memory` is its own shared file, or what [`Self::write_memory`] wrote since it
    /// was paused.
    ///
    /// # Errors
    /// This VMM, or this level's kernel, cannot do that, or something has gone wrong.
    /// Nothing is lost: the machine goes on as it is, or can be ended and begun anew
    /// from what was saved.
    async fn branch(&self, memory: &Path, disks: &[Disk]) -> Result<(), BackendError>;

    /// Has a disk hold by itself what the layers between it and `base` hold, a frozen
    /// one below it: nothing between is used any more then. The guest goes on.
    ///
    /// # Errors
    /// This VMM cannot do that, or it did not come to its end: all layers are needed
    /// as before.
    async fn shorten(&self, serial: &str, base: &Path) -> Result<(), BackendError>;

    /// Makes a disk so many bytes long, more than it has, and tells the guest, which goes
    /// on meanwhile.
    ///
    /// # Errors
    /// It has no such disk, or this VMM cannot do that.
    async fn resize(&self, serial: &str, bytes: u64) -> Result<(), BackendError>;

    /// Writes the memory of a paused machine, which is in a file or began from what
    /// one holds, to a file from which machines can begin. That is new; or it is a copy
    /// of the one from which this machine's memory began, which is less to write while
    /// it stands still.
    ///
    /// # Errors
    /// No file has to do with its memory, or the new one cannot be written; it is
    /// gone then.
    async fn write_memory(&self, file: &Path) -> Result<(), BackendError>;

    /// Lets a guest go on whose CPUs the VMM has stopped by itself, and tells why
    /// it had: a full disk, say. `None` if they run, or nothing can be learnt.
    /// Where the reason still holds, the VMM stops them again at once.
    async fn revive(&self) -> Option<String>;

    /// Bytes of this level's memory that the VMM really holds, if known.
    fn resident_bytes(&self) -> Option<u64>;

    /// How many programs in it this level's kernel has ended because it needed more
    /// memory than it may have.
    fn killed_for_memory(&self) -> u64 {
        0
    }
}

/// What a saved state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Memory and devices.
    Everything,
    /// Devices alone: the memory is in the shared file of the machine's spec, or
    /// in what [`Machine::write_memory`] wrote.
    Devices,
}

/// What [`Machine::save`] asks of every machine first.
///
/// # Errors
/// The machine is not paused, or its memory is not where `contents` says.
pub async fn check_saving(machine: &dyn Machine, contents: Contents) -> Result<(), BackendError> {
    let refused = |message: &str| {
        Err(BackendError::Refused {
            command: "save".into(),
            message: message.into(),
        })
    };
    if !machine.is_paused().await? {
        return refused("only a paused machine can be saved");
    }
    if contents == Contents::Devices && machine.record().spec.memory_file.is_none() {
        return refused("its memory is in no file");
    }
    Ok(())
}

/// Where the byte stream to a node's agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkAddress {
    /// A Unix socket served by the VMM, which takes one client at a time.
    Unix(PathBuf),
}

/// What is written down about a running machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// [`Backend::name`].
    pub backend: String,
    /// The VMM's process, safe against reuse of its number.
    pub process: ProcessId,
    /// When the VMM was started, in seconds since 1970.
    pub started_at: u64,
    /// What it was started with.
    pub spec: MachineSpec,
}

/// How a VMM ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// What is known: the exit status or signal if it was our child, and the
    /// last words on its standard error.
    pub description: String,
}

/// What a backend can do at this level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// The program's version, if it is there.
    pub version: Option<String>,
    /// What was found about each accelerator, best first.
    pub accelerators: Vec<Finding>,
}

impl Support {
    /// The best accelerator that works.
    pub fn best(&self) -> Option<Accelerator> {
        self.accelerators
            .iter()
            .find(|finding| finding.works)
            .map(|finding| finding.accelerator)
    }
}

/// What was found about one accelerator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub accelerator: Accelerator,
    /// Whether a stock kernel booted.
    pub works: bool,
    /// Why not, or what it was proved with.
    pub reason: String,
    /// What to type to mend it.
    pub hint: Option<String>,
}

/// Why a backend could not do something.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The spec asks for what this backend does not have.
    #[error("Backend `{backend}` has no {what}")]
    Unsupported {
        /// Which backend.
        backend: &'static str,
        /// The missing thing.
        what: String,
    },
    /// A key of the lab file asks for what this level does not have.
    #[error("`{key}` is not to be had here: {message}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What is missing.
        message: String,
    },
    /// A program is not installed.
    #[error("Cannot find the program `{program}`")]
    MissingProgram {
        /// Its name.
        program: String,
        /// How it is installed.
        hint: String,
    },
    /// A program that should be at work here is not.
    #[error("No {what} is at work here: {why}")]
    NotAtWork {
        /// What it is.
        what: String,
        /// How that was found out.
        why: String,
        /// How it is put to work.
        hint: String,
    },
    /// The VMM refused its arguments or ended at once.
    #[error("The VMM ended before it answered ({status}): {stderr}")]
    EndedEarly {
        /// Exit status or signal.
        status: String,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The VMM did not answer in time.
    #[error("The VMM did not {what} within {seconds} s")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The VMM answered with an error.
    #[error("The VMM refused `{command}`: {message}")]
    Refused {
        /// The command.
        command: String,
        /// Its words.
        message: String,
    },
    /// A machine inside it, which Nestlab did not start, was in the middle of its
    /// work at every look: a state saved then does not load.
    #[error("A machine inside it, which Nestlab did not start, gave it no moment of rest")]
    Restless,
    /// A system call did not work.
    #[error("Cannot {action}")]
    Io {
        /// What was tried, on what.
        action: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl BackendError {
    /// Wraps an I/O error with what was tried.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
