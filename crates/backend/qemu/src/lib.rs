//! Machines on QEMU, 7.2 and later.
//!
//! Every socket is QEMU's own, in the machine's run folder, so that whoever
//! supervises next finds it: the monitor, the agent's link, the console.

mod argv;
mod branch;
mod layers;
mod machine;
mod probe;
mod qmp;
mod rom;
mod settle;
mod state;

use argv::TscKhz;
use async_trait::async_trait;
use nestlab_backend::{
    Backend, BackendError, BootSpec, Machine, MachineRecord, MachineSpec, Plan, Support,
};
use nestlab_sys::namespace::Namespaces;
use rom::Roms;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// QEMU as found at this level.
pub struct Qemu {
    command: Vec<OsString>,
    tsc: Option<TscKhz>,
    roms: Roms,
}

impl Qemu {
    /// QEMU by its program and the arguments that belong to it, such as a
    /// dynamic loader's.
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            roms: Roms::find(&command),
            command,
            tsc: host_tsc(),
        }
    }
}

#[async_trait]
impl Backend for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    async fn probe(&self, boot: &BootSpec, _place: Option<&Namespaces>) -> Support {
        probe::support(&self.command, boot, self.tsc).await
    }

    fn probe_key(&self) -> String {
        let read = |path: &str| {
            std::fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let kvm = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok();
        format!(
            "qemu {}, Linux {}, boot {}, kvm {kvm}",
            stamps(&self.command),
            read("/proc/sys/kernel/osrelease"),
            read("/proc/sys/kernel/random/boot_id"),
        )
    }

    /// The machine type q35 is another in every minor version of QEMU, and a guest
    /// goes on only with the processor that it knows.
    async fn state_key(&self) -> String {
        let version = probe::version(&self.command).await.unwrap_or_default();
        let minor: Vec<&str> = version.split('.').take(2).collect();
        let processor = processor_line("model name").unwrap_or_default();
        format!("QEMU {} on {processor}", minor.join("."))
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Plan, BackendError> {
        argv::plan(&self.command, spec, self.tsc, &self.roms)
    }

    async fn create(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let plan = self.plan(spec)?;
        self.roms.prepare(spec)?;
        Ok(Arc::new(machine::start(&plan, spec, place).await?))
    }

    async fn restore(
        &self,
        spec: &MachineSpec,
        place: Option<&Namespaces>,
        state: &Path,
    ) -> Result<Arc<dyn Machine>, BackendError> {
        let mut plan = self.plan(spec)?;
        let incoming = state::incoming(state).await?;
        plan.argv.extend(incoming.into_iter().map(OsString::from));
        let machine = machine::start(&plan, spec, place).await?;
        match state::load(&machine, state).await {
            Ok(()) => Ok(Arc::new(machine)),
            Err(error) => {
                // It says why by ending, if it has.
                let error = machine.explain(error).await;
                machine.kill().await?;
                Err(error)
            }
        }
    }

    async fn adopt(
        &self,
        record: &MachineRecord,
    ) -> Result<Option<Arc<dyn Machine>>, BackendError> {
        let adopted = machine::adopt(record).await?;
        Ok(adopted.map(|machine| Arc::new(machine) as Arc<dyn Machine>))
    }
}

/// Size and time of every file that makes up the command.
fn stamps(command: &[OsString]) -> String {
    let stamp = |path: PathBuf| {
        let data = std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        Some(format!("{}@{}", data.size(), data.mtime()))
    };
    let words = command.iter().filter_map(find_program).filter_map(stamp);
    words.collect::<Vec<_>>().join("+")
}

/// The file of a program, searched as exec does.
fn find_program(word: &OsString) -> Option<PathBuf> {
    let given = PathBuf::from(word);
    if given.is_absolute() {
        return given.exists().then_some(given);
    }
    ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| std::path::Path::new(folder).join(word))
        .find(|path| path.exists())
}

/// The rate of this machine's time stamp counter. /proc/cpuinfo tells it as
/// "bogomips", which is a 500th of the kilohertz where loops are counted by it;
/// "cpu MHz" follows the momentary frequency and will not do.
fn host_tsc() -> Option<TscKhz> {
    let bogomips: f64 = processor_line("bogomips")?.parse().ok()?;
    Some(TscKhz((bogomips * 500.0) as u64))
}

/// What /proc/cpuinfo tells of the first processor under a key.
fn processor_line(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
