//! Disks that become larger: at once where their node runs, from its next start on where
//! it is halted.

use crate::carry::to_the_end;
use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::pause::answer;
use crate::{Fault, disks};
use nestlab_api::client::Client;
use nestlab_api::message::{Growth, NewSize, ResizeRequest, Resized};
use nestlab_model::{ByteSize, Node, NodeKind, NodeName, NodeState};

/// What disks are made of: neither QEMU nor guests count in anything smaller.
const UNIT: u64 = 512;

impl Engine {
    /// Makes a disk of a node larger, and has the node use it if it runs. Once begun it is
    /// carried to its end.
    ///
    /// # Errors
    /// There is no such node or disk, or none yet; it is as large already; the node is
    /// paused or saved; there is no such room.
    pub async fn resize(&self, name: &NodeName, request: &ResizeRequest) -> Result<Resized, Fault> {
        let cell = self.cell(name)?;
        let disk = request.disk.as_ref().map_or(disks::ROOT, NodeName::as_str);
        let (disk, size) = (disk.to_owned(), request.size);
        let work = async move {
            let _work = cell.work.clone().lock_owned().await;
            let resized = enlarge(&cell, &disk, size).await;
            let action = || format!("Cannot make the disk `{disk}` of `{}` larger", cell.path);
            resized.map_err(|fault| fault.while_doing(action()))
        };
        to_the_end("The resize", work).await
    }
}

async fn enlarge(cell: &NodeCell, disk: &str, size: NewSize) -> Result<Resized, Fault> {
    check(cell, disk)?;
    let before = disks::size(&cell.folder, disk)?;
    let after = wanted(before, size)?;
    let live = cell.live_now();
    match &live {
        Some(live) => live.machine.resize(disk, after.as_bytes()).await?,
        None => disks::enlarge(&cell.folder, disk, after)?,
    }
    let mut resized = Resized {
        disk: disk.to_owned(),
        before,
        after,
        inside: None,
        unused: None,
    };
    if let Some(agent) = live.and_then(|live| live.agent_now()) {
        match grow(&agent, disk, after).await {
            Ok(growth) => resized.inside = Some(growth),
            Err(fault) => resized.unused = Some(fault.message),
        }
    }
    Ok(resized)
}

/// Has a node use all of a disk.
pub(crate) async fn grow(agent: &Client, disk: &str, bytes: ByteSize) -> Result<Growth, Fault> {
    let grown = answer(agent.grow(disk, bytes)).await;
    grown.map_err(|error| Fault::caused("The node does not use the new room", &error))
}

/// Whether the node has that disk and would see it grow.
fn check(cell: &NodeCell, disk: &str) -> Result<(), Fault> {
    let record = cell.record();
    let made = disks::any(&cell.folder) || cell.live_now().is_some();
    let node = record.filter(|_| made).map(|record| record.node);
    let node = node.ok_or_else(|| {
        Fault::new("The node was never started").with_hint(
            "Write the size into the lab file: `disk:` for the root, `disks:` for others",
        )
    })?;
    check_kind(cell, &node)?;
    check_name(&node, disk)?;
    match cell.state() {
        state @ (NodeState::Paused | NodeState::Saved) => Err(Fault::new(format!(
            "The node is {} and would not see it",
            state.word()
        ))
        .with_hint(format!("`nestlab resume {}` lets it go on", cell.path))),
        _ => Ok(()),
    }
}

fn check_kind(cell: &NodeCell, node: &Node) -> Result<(), Fault> {
    if node.kind != NodeKind::Container {
        return Ok(());
    }
    let parent = cell.path.split_last().map(|(parent, _)| parent);
    let hint = match parent.filter(|parent| !parent.is_host()) {
        Some(parent) => format!("`nestlab resize {parent} --disk +10G` gives that more room"),
        None => "Its room is that of this machine".to_owned(),
    };
    let why = "A container has no disk: it writes to the file system of the level it stands on";
    Err(Fault::new(why).with_hint(hint))
}

fn check_name(node: &Node, disk: &str) -> Result<(), Fault> {
    let others = node.disks.iter().map(|disk| disk.name.as_str());
    let names: Vec<&str> = std::iter::once(disks::ROOT).chain(others).collect();
    match names.contains(&disk) {
        true => Ok(()),
        false => {
            let hint = format!("Its disks: {}", names.join(", "));
            Err(Fault::new("The node has no such disk").with_hint(hint))
        }
    }
}

/// The size asked for, in whole units.
fn wanted(before: ByteSize, size: NewSize) -> Result<ByteSize, Fault> {
    let after = match size {
        NewSize::To(size) => size,
        NewSize::By(more) => before.saturating_add(more),
    };
    let after = after.as_bytes().checked_next_multiple_of(UNIT);
    let after = after.map(ByteSize::bytes);
    let after = after.ok_or_else(|| Fault::new("No disk can be so large"))?;
    if after <= before {
        let why = format!("It has {before} already, and disks are not made smaller");
        return Err(Fault::new(why).with_hint("`--disk +10G` adds to what it has"));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_sectors_and_only_grow() {
        let gib = ByteSize::gib;
        assert_eq!(wanted(gib(1), NewSize::By(gib(2))), Ok(gib(3)));
        assert_eq!(wanted(gib(1), NewSize::To(gib(2))), Ok(gib(2)));
        let odd = ByteSize::bytes((1 << 30) + 1);
        let whole = ByteSize::bytes((1 << 30) + 512);
        assert_eq!(wanted(gib(1), NewSize::To(odd)), Ok(whole));
        for size in [
            NewSize::To(gib(1)),
            NewSize::By(ByteSize::ZERO),
            NewSize::By(ByteSize::bytes(u64::MAX)),
        ] {
            assert!(wanted(gib(1), size).is_err(), "{size:?}");
        }
    }
}
