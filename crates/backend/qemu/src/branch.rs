//! A paused machine goes on over frozen files without a new process: its memory gets
//! another mapping, its disks get overlays.

use crate::layers;
use crate::machine::QemuMachine;
use nestlab_backend::{BackendError, Disk, Machine};
use std::path::Path;

/// As [`Machine::branch`]. Memory goes first: where it cannot, the disks are as
/// they were.
pub(crate) async fn branch(
    machine: &QemuMachine,
    memory: &Path,
    disks: &[Disk],
) -> Result<(), BackendError> {
    exchange_memory(machine, memory).await?;
    layers::put_over(machine, disks).await
}

async fn exchange_memory(machine: &QemuMachine, memory: &Path) -> Result<(), BackendError> {
    let record = machine.record();
    let mapped = record.spec.memory_file.map(|file| file.path);
    let mapped = mapped.ok_or_else(|| BackendError::Refused {
        command: "branch".into(),
        message: "its memory is in no file".into(),
    })?;
    let (pid, file) = (record.process.pid, memory.to_owned());
    let exchange = move || nestlab_sys::remap::copy_on_write(pid, &mapped, &file);
    let exchanged = tokio::task::spawn_blocking(exchange).await;
    exchanged
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(BackendError::io("give QEMU memory of its own"))
}
