//! The layers of a running machine's disks: another one put over the last, those
//! between merged into it (QEMU's docs/interop/live-block-operations).

use crate::machine::QemuMachine;
use crate::qmp::Qmp;
use nestlab_backend::{BackendError, Disk, Machine};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// Puts new overlays over the disks with the same serials.
pub(crate) async fn put_over(machine: &QemuMachine, disks: &[Disk]) -> Result<(), BackendError> {
    let mut qmp = machine.monitor().await?;
    end_jobs(&mut qmp).await?;
    let names = names(&mut qmp).await?;
    for (number, disk) in machine.record().spec.disks.iter().enumerate() {
        if let Some(new) = disks.iter().find(|new| new.serial == disk.serial) {
            let name = crate::argv::disk_name(number);
            put_one_over(&mut qmp, top_of(&names, &name)?, new).await?;
        }
    }
    Ok(())
}

async fn put_one_over(qmp: &mut Qmp, top: &str, new: &Disk) -> Result<(), BackendError> {
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

/// As [`Machine::shorten`]. Whoever else has a word for the machine comes in between.
pub(crate) async fn shorten(
    machine: &QemuMachine,
    serial: &str,
    base: &Path,
) -> Result<(), BackendError> {
    let job = begin(machine, serial, base).await?;
    loop {
        tokio::time::sleep(LOOK).await;
        let mut qmp = machine.monitor().await?;
        let jobs = qmp.execute("query-jobs", json!({})).await?;
        let ours = |found: &&Value| found["id"] == job.as_str();
        let Some(found) = jobs.as_array().into_iter().flatten().find(ours) else {
            return Err(refused("block-stream", "somebody else has ended it"));
        };
        if found["status"] != "concluded" {
            continue;
        }
        let dismissal = json!({ "id": job });
        qmp.execute("job-dismiss", dismissal).await?;
        if let Some(error) = found["error"].as_str() {
            return Err(refused("block-stream", error));
        }
        return drop_unused(&mut qmp).await;
    }
}

/// As [`Machine::resize`].
pub(crate) async fn resize(
    machine: &QemuMachine,
    serial: &str,
    bytes: u64,
) -> Result<(), BackendError> {
    let disk = disk(machine, serial)?;
    let mut qmp = machine.monitor().await?;
    end_jobs(&mut qmp).await?;
    let names = names(&mut qmp).await?;
    let wanted = json!({ "node-name": top_of(&names, &disk)?, "size": bytes });
    qmp.execute("block_resize", wanted).await.map(drop)
}

/// QEMU's name for a disk, before anything was put over it.
fn disk(machine: &QemuMachine, serial: &str) -> Result<String, BackendError> {
    let disks = machine.record().spec.disks;
    let number = disks.iter().position(|disk| disk.serial == serial);
    let missing = || {
        refused(
            "query-named-block-nodes",
            &format!("it has no disk {serial}"),
        )
    };
    number.map(crate::argv::disk_name).ok_or_else(missing)
}

/// Closes the layers that were put over a disk once and are below none any more. QEMU
/// keeps those that are in use.
async fn drop_unused(qmp: &mut Qmp) -> Result<(), BackendError> {
    for node in nodes(qmp).await? {
        if let Some(name) = node["node-name"].as_str().filter(|name| name.contains('.')) {
            let _ = qmp
                .execute("blockdev-del", json!({ "node-name": name }))
                .await;
        }
    }
    Ok(())
}

/// Begins to copy into the last layer what those between it and `base` hold.
async fn begin(machine: &QemuMachine, serial: &str, base: &Path) -> Result<String, BackendError> {
    let disk = disk(machine, serial)?;
    let mut qmp = machine.monitor().await?;
    end_jobs(&mut qmp).await?;
    let names = names(&mut qmp).await?;
    let job = format!("shorten-{disk}");
    let stream = json!({
        "job-id": job,
        "device": top_of(&names, &disk)?,
        "base-node": layer(&mut qmp, base).await?,
        "backing-file": base.file_name().and_then(|name| name.to_str()),
        "auto-dismiss": false,
    });
    qmp.execute("block-stream", stream).await?;
    Ok(job)
}

/// Ends what an earlier supervisor began and did not come to see the end of: a layer
/// that is being copied to cannot have another put over it.
async fn end_jobs(qmp: &mut Qmp) -> Result<(), BackendError> {
    loop {
        let jobs = qmp.execute("query-jobs", json!({})).await?;
        let jobs = jobs.as_array().cloned().unwrap_or_default();
        if jobs.is_empty() {
            return Ok(());
        }
        for job in jobs {
            let verb = match job["status"] == "concluded" {
                true => "job-dismiss",
                false => "job-cancel",
            };
            // It may come to its end between the two.
            let _ = qmp.execute(verb, json!({ "id": job["id"] })).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The name of the node that is a layer of some disk, by its file's name: all layers
/// of a machine's disks lie in one folder.
async fn layer(qmp: &mut Qmp, file: &Path) -> Result<String, BackendError> {
    let nodes = nodes(qmp).await?;
    let same = |node: &&Value| {
        let found = node["file"].as_str().map(Path::new);
        node["drv"] == "qcow2" && found.and_then(Path::file_name) == file.file_name()
    };
    let found = nodes.iter().find(same);
    let name = found.and_then(|node| node["node-name"].as_str());
    let missing = || refused("block-stream", &format!("{} is not in use", file.display()));
    name.map(str::to_owned).ok_or_else(missing)
}

/// All nodes of all disks, one beside the other: `query-block` nests them, one level
/// for each layer.
async fn nodes(qmp: &mut Qmp) -> Result<Vec<Value>, BackendError> {
    let flat = json!({ "flat": true });
    let nodes = qmp.execute("query-named-block-nodes", flat).await?;
    Ok(nodes.as_array().cloned().unwrap_or_default())
}

/// The names of all layers that have one of ours.
async fn names(qmp: &mut Qmp) -> Result<Vec<String>, BackendError> {
    let nodes = nodes(qmp).await?;
    let names = nodes.iter().filter_map(|node| node["node-name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The last layer of a disk: `disk0`, or `disk0.2` after two overlays.
fn top_of<'a>(names: &'a [String], disk: &str) -> Result<&'a str, BackendError> {
    let layers = names.iter().map(String::as_str);
    let layers = layers.filter(|name| parts(name).0 == disk);
    let top = layers.max_by_key(|name| parts(name).1);
    top.ok_or_else(|| refused("query-named-block-nodes", &format!("it has no {disk}")))
}

/// The name of the next overlay: `disk0`, `disk0.1`, `disk0.2`.
fn after(top: &str) -> String {
    let (disk, number) = parts(top);
    format!("{disk}.{}", number + 1)
}

/// The disk that a layer is of, and which it is of those put over it.
fn parts(name: &str) -> (&str, u32) {
    let (disk, number) = name.split_once('.').unwrap_or((name, ""));
    (disk, number.parse().unwrap_or(0))
}

fn refused(command: &str, message: &str) -> BackendError {
    BackendError::Refused {
        command: command.into(),
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
        let names = ["disk10", "disk1.9", "#block1", "disk1.10", "disk1"].map(str::to_owned);
        assert_eq!(top_of(&names, "disk1").unwrap(), "disk1.10");
        assert_eq!(top_of(&names, "disk10").unwrap(), "disk10");
        assert!(top_of(&names, "disk2").is_err());
    }
}
