//! `nestlab snapshot`: the lab as it was at some moments, to go back to.

use super::operation;
use crate::cli::SnapshotVerb;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::{machine, output};
use nestlab_api::client::Client;
use nestlab_api::message::{Snapshot, SnapshotRequest};
use nestlab_model::{LayerStatus, NodePath, NodeStatus};
use serde_json::json;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the names of snapshots on the stack begin with.
const PUSHED: &str = "push-";

pub fn run(context: &Context, verb: SnapshotVerb) -> Result<u8, Error> {
    context.block_on(async {
        let client = super::client(context).await?;
        let client = &client;
        match verb {
            SnapshotVerb::Save {
                names,
                force,
                compress,
                disks_only,
            } => {
                let (node, name) = node_and_name(names);
                keeps_all(context, client, node.as_deref()).await?;
                let request = SnapshotRequest {
                    name,
                    compress,
                    disks_only,
                };
                if force {
                    forget(client, &request).await?;
                }
                save(context, client, request).await
            }
            SnapshotVerb::List { node } => list(context, client, node.as_ref()).await,
            SnapshotVerb::Restore { names, .. } => {
                let (node, name) = node_and_name(names);
                restores_all(client, node.as_deref()).await?;
                let name = name.expect("one at least is required");
                restore(context, client, &name).await
            }
            SnapshotVerb::Push { node } => {
                keeps_all(
                    context,
                    client,
                    node.map(|node| node.to_string()).as_deref(),
                )
                .await?;
                push(context, client).await
            }
            SnapshotVerb::Pop {
                node, no_delete, ..
            } => {
                restores_all(client, node.map(|node| node.to_string()).as_deref()).await?;
                pop(context, client, !no_delete).await
            }
            SnapshotVerb::Delete { names } => delete(context, client, names).await,
            SnapshotVerb::Inspect { name } => inspect(context, client, &name).await,
        }
    })
}

/// `[NODE] NAME`
fn node_and_name(mut names: Vec<String>) -> (Option<String>, Option<String>) {
    let name = names.pop();
    (names.pop(), name)
}

/// The node that was named, if it is one of the lab's; the nodes at its top.
async fn named(client: &Client, node: Option<&str>) -> Result<Option<(NodePath, usize)>, Error> {
    let Some(node) = node else {
        return Ok(None);
    };
    let status = client.layer().await?.status;
    let path: NodePath = node
        .parse()
        .map_err(|error| Error::caused(format!("`{node}` is no node"), &error).code(Code::Usage))?;
    super::check_path(&status, &path)?;
    Ok(Some((path, status.nodes.len())))
}

/// Says that more is kept than was asked for.
async fn keeps_all(context: &Context, client: &Client, node: Option<&str>) -> Result<(), Error> {
    if let Some((path, 2..)) = named(client, node).await? {
        context.say(&format!(
            "A snapshot keeps the whole lab, and not `{path}` alone"
        ));
    }
    Ok(())
}

/// Refuses to take other nodes back than was asked for.
async fn restores_all(client: &Client, node: Option<&str>) -> Result<(), Error> {
    let Some((path, 2..)) = named(client, node).await? else {
        return Ok(());
    };
    let message = format!("A snapshot is of the whole lab: `{path}` cannot be taken back alone");
    Err(Error::new(Code::Usage, message)
        .hint("Without the node's name, all of the lab becomes what it was"))
}

/// Removes the snapshot whose name another is to have.
async fn forget(client: &Client, request: &SnapshotRequest) -> Result<(), Error> {
    let Some(name) = &request.name else {
        return Ok(());
    };
    let snapshots = client.snapshots().await?;
    if snapshots.iter().any(|snapshot| snapshot.name == *name) {
        client.delete_snapshot(name).await?;
    }
    Ok(())
}

/// `nestlab snapshot push`
async fn push(context: &Context, client: &Client) -> Result<u8, Error> {
    let snapshots = client.snapshots().await?;
    let top = stack(&snapshots).last().map_or(0, |(number, _)| *number);
    let request = SnapshotRequest {
        name: Some(format!("{PUSHED}{}", top + 1)),
        ..SnapshotRequest::default()
    };
    save(context, client, request).await
}

/// `nestlab snapshot pop`
async fn pop(context: &Context, client: &Client, forget: bool) -> Result<u8, Error> {
    let snapshots = client.snapshots().await?;
    let Some((_, name)) = stack(&snapshots).pop() else {
        return Err(Error::new(Code::Unknown, "Nothing was pushed")
            .hint("`nestlab snapshot push` keeps the lab as it is, `snapshot restore` goes back to a snapshot by name"));
    };
    restore(context, client, name).await?;
    match forget {
        true => delete(context, client, vec![name.to_owned()]).await,
        false => Ok(0),
    }
}

/// What was pushed, the last at the end.
fn stack(snapshots: &[Snapshot]) -> Vec<(u64, &str)> {
    let number = |name: &str| name.strip_prefix(PUSHED)?.parse().ok();
    let pushed = snapshots.iter().map(|snapshot| snapshot.name.as_str());
    let mut pushed: Vec<_> = pushed
        .filter_map(|name| Some((number(name)?, name)))
        .collect();
    pushed.sort_unstable();
    pushed
}

async fn save(context: &Context, client: &Client, request: SnapshotRequest) -> Result<u8, Error> {
    let begun = Instant::now();
    let snapshot = client.save_snapshot(&request).await?;
    match &context.global {
        global if global.json => output::json(&json!(snapshot)),
        global if global.machine_readable => machine::ui("", "info", &snapshot.name),
        _ => output::data(&format!("{}\n", snapshot.name)),
    }
    context.say(&format!(
        "Saved {} in {:.1} s; the lab stood still for {:.1} s",
        size(&snapshot),
        begun.elapsed().as_secs_f64(),
        snapshot.pause_seconds
    ));
    Ok(0)
}

async fn list(context: &Context, client: &Client, node: Option<&NodePath>) -> Result<u8, Error> {
    let snapshots = client.snapshots().await?;
    let status = client.layer().await?.status;
    if let Some(node) = node {
        super::check_path(&status, node)?;
    }
    if context.global.json {
        output::json(&json!({ "snapshots": snapshots }));
        return Ok(0);
    }
    if context.global.machine_readable {
        tell_machines(&status, node, &snapshots);
        return Ok(0);
    }
    if snapshots.is_empty() {
        context.say("No snapshots; `nestlab snapshot save` makes one");
        return Ok(0);
    }
    let head = ["SNAPSHOT", "AGE", "SIZE", "NODES"].map(str::to_owned);
    let rows = snapshots.iter().map(|snapshot| {
        let nodes = snapshot.nodes.len().to_string();
        vec![snapshot.name.clone(), age(snapshot), size(snapshot), nodes]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    output::data(&output::table(&rows));
    Ok(0)
}

/// What `vagrant snapshot list --machine-readable` writes: every node at the top has them.
fn tell_machines(status: &LayerStatus, named: Option<&NodePath>, snapshots: &[Snapshot]) {
    let is_meant = |node: &&NodeStatus| named.is_none_or(|named| *named == node.path);
    for node in status.nodes.iter().filter(is_meant) {
        let target = node.path.to_string();
        machine::ui(&target, "output", &format!("==> {target}: "));
        for snapshot in snapshots {
            machine::ui(&target, "detail", &snapshot.name);
        }
    }
}

async fn restore(context: &Context, client: &Client, name: &str) -> Result<u8, Error> {
    let begin = |client: Client| async move { client.restore_snapshot(name).await };
    let done = operation::run(context, client, Vec::new(), begin).await?;
    if context.global.json {
        output::json_line(
            &json!({ "event": "outcome", "ok": done.outcome.ok, "status": done.outcome.status }),
        );
    }
    context.say(&format!("Restored `{name}` in {}", done.progress.elapsed()));
    Ok(0)
}

async fn delete(context: &Context, client: &Client, names: Vec<String>) -> Result<u8, Error> {
    for name in without_node(client, names).await? {
        client.delete_snapshot(&name).await?;
        context.say(&format!("Deleted `{name}`"));
    }
    Ok(0)
}

/// The names of snapshots, where a node's may come first.
async fn without_node(client: &Client, names: Vec<String>) -> Result<Vec<String>, Error> {
    let [node, _] = names.as_slice() else {
        return Ok(names);
    };
    let snapshots = client.snapshots().await?;
    let is_snapshot = snapshots.iter().any(|snapshot| snapshot.name == *node);
    let is_node = !is_snapshot && named(client, Some(node)).await.is_ok();
    Ok(names.into_iter().skip(usize::from(is_node)).collect())
}

async fn inspect(context: &Context, client: &Client, name: &str) -> Result<u8, Error> {
    let snapshots = client.snapshots().await?;
    let found = snapshots.iter().find(|snapshot| snapshot.name == name);
    let Some(snapshot) = found else {
        return Err(
            Error::new(Code::Unknown, format!("There is no snapshot `{name}`"))
                .hint("`nestlab snapshot list` shows those that there are"),
        );
    };
    if context.global.json {
        output::json(&json!(snapshot));
        return Ok(0);
    }
    let mut rows = vec![
        vec!["name".to_owned(), snapshot.name.clone()],
        vec!["saved".to_owned(), format!("{} ago", age(snapshot))],
        vec!["size".to_owned(), size(snapshot)],
        vec![
            "pause".to_owned(),
            format!("{:.2} s", snapshot.pause_seconds),
        ],
    ];
    for node in &snapshot.nodes {
        let state = node.state.word().to_owned();
        rows.push(vec![node.path.to_string(), state]);
    }
    output::data(&output::table(&rows));
    Ok(0)
}

fn size(snapshot: &Snapshot) -> String {
    format!("{} MiB", snapshot.bytes.div_ceil(1 << 20))
}

/// How long ago it was saved, in the largest unit that fits.
fn age(snapshot: &Snapshot) -> String {
    let saved = UNIX_EPOCH + Duration::from_secs(snapshot.created);
    let seconds = SystemTime::now()
        .duration_since(saved)
        .map_or(0, |age| age.as_secs());
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_last_is_on_top() {
        let snapshot = |name: &str| Snapshot {
            name: name.to_owned(),
            created: 0,
            pause_seconds: 0.0,
            bytes: 0,
            compressed: false,
            nodes: Vec::new(),
        };
        let check = |names: &[&str], top: Option<&str>| {
            let snapshots: Vec<_> = names.iter().map(|name| snapshot(name)).collect();
            assert_eq!(stack(&snapshots).last().map(|(_, name)| *name), top);
        };
        check(&[], None);
        check(&["snapshot-1", "push-it", "push-"], None);
        check(&["push-10", "push-9", "zz"], Some("push-10"));
    }

    #[test]
    fn a_node_comes_before_the_name() {
        let check = |words: &[&str], node: Option<&str>, name: Option<&str>| {
            let words = words.iter().map(|word| word.to_string()).collect();
            let expected = (node.map(str::to_owned), name.map(str::to_owned));
            assert_eq!(node_and_name(words), expected);
        };
        check(&[], None, None);
        check(&["one"], None, Some("one"));
        check(&["web", "one"], Some("web"), Some("one"));
    }
}
