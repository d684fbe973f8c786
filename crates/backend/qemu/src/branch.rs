//! A paused machine goes on over frozen files without a new process: its disks get
//! overlays (QEMU's docs/interop/live-block-operations), its memory another mapping.

use crate::machine::QemuMachine;
use crate::qmp::Qmp;
use nestlab_backend::{BackendError, Disk, Machine};
use serde_json::{Value, json};
use std::path::Path;

/// As [`Machine::branch`]. Memory goes first: where it cannot, the disks are as
/// they were.
pub(crate) async fn branch(
    machine: &QemuMachine,
    memory: &Path,
    disks: &[Disk],
) -> Result<(), BackendError> {
    exchange_memory(machine, memory).await?;
    let spec = machine.record().spec;
    let mut qmp = machine.monitor().await?;
    let tops = tops(&mut qmp).await?;
    for (number, disk) in spec.disks.iter().enumerate() {
        if let Some(new) = disks.iter().find(|new| new.serial == disk.serial) {
            let name = crate::argv::disk_name(number);
            put_over(&mut qmp, top_of(&tops, &name)?, new).await?;
        }
    }
    Ok(())
}

async fn exchange_memory(machine: &QemuMachine, memory: &Path) -> Result<(), BackendError> {
    let record = machine.record();
    let mapped = record.spec.memory_file.map(|file| file.path);
    let mapped = mapped.ok_or_else(|| refused("its memory is in no file"))?;
    let (pid, file) = (record.process.pid, memory.to_owned());
    let exchange = move || nestlab_sys::remap::copy_on_write(pid, &mapped, &file);
    let exchanged = tokio::task::spawn_blocking(exchange).await;
    exchanged
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(BackendError::io("give QEMU memory of its own"))
}

/// The names of the nodes that the guest's disks are now.
async fn tops(qmp: &mut Qmp) -> Result<Vec<String>, BackendError> {
    let blocks = qmp.execute("query-block", json!({})).await?;
    let blocks = blocks.as_array().into_iter().flatten();
    let names = blocks.filter_map(|block| block["inserted"]["node-name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// `disk0` under its present name, which is `disk0.2` after two overlays.
fn top_of<'a>(tops: &'a [String], disk: &str) -> Result<&'a str, BackendError> {
    let same = |top: &&String| top.split('.').next() == Some(disk);
    let top = tops.iter().find(same).map(String::as_str);
    top.ok_or_else(|| refused(&format!("it has no {disk}")))
}

async fn put_over(qmp: &mut Qmp, top: &str, new: &Disk) -> Result<(), BackendError> {
    let overlay = after(top);
    let node = json!({
        "driver": "qcow2",
        "node-name": overlay,
        "discard": "unmap",
        "file": { "driver": "file", "filename": new.path },
        // That is what it will be put over.
        "backing": Value::Null,
    });
    qmp.execute("blockdev-add", node).await?;
    let both = json!({ "node": top, "overlay": overlay });
    qmp.execute("blockdev-snapshot", both).await.map(drop)
}

/// The name of the next overlay: `disk0`, `disk0.1`, `disk0.2`.
fn after(top: &str) -> String {
    let (disk, number) = top.split_once('.').unwrap_or((top, "0"));
    let number: u32 = number.parse().unwrap_or(0);
    format!("{disk}.{}", number + 1)
}

fn refused(message: &str) -> BackendError {
    BackendError::Refused {
        command: "branch".into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_are_counted() {
        assert_eq!(after("disk0"), "disk0.1");
        assert_eq!(after("disk0.9"), "disk0.10");
        let tops = ["disk10", "disk1.3"].map(str::to_owned);
        assert_eq!(top_of(&tops, "disk1").unwrap(), "disk1.3");
        assert!(top_of(&tops, "disk2").is_err());
    }
}
