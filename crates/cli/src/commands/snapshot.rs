//! `nestlab snapshot`: the lab as it was at some moments, to go back to.

use super::operation;
use crate::cli::SnapshotVerb;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use nestlab_api::client::Client;
use nestlab_api::message::{Snapshot, SnapshotRequest};
use serde_json::json;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub fn run(context: &Context, verb: SnapshotVerb) -> Result<u8, Error> {
    context.block_on(async {
        let client = super::client(context).await?;
        match verb {
            SnapshotVerb::Save {
                name,
                compress,
                disks_only,
            } => {
                let request = SnapshotRequest {
                    name,
                    compress,
                    disks_only,
                };
                save(context, &client, request).await
            }
            SnapshotVerb::List => list(context, &client).await,
            SnapshotVerb::Restore { name } => restore(context, &client, &name).await,
            SnapshotVerb::Delete { names } => delete(context, &client, &names).await,
            SnapshotVerb::Inspect { name } => inspect(context, &client, &name).await,
        }
    })
}

async fn save(context: &Context, client: &Client, request: SnapshotRequest) -> Result<u8, Error> {
    let begun = Instant::now();
    let snapshot = client.save_snapshot(&request).await?;
    match context.global.json {
        true => output::json(&json!(snapshot)),
        false => output::data(&format!("{}\n", snapshot.name)),
    }
    context.say(&format!(
        "Saved {} in {:.1} s; the lab stood still for {:.1} s",
        size(&snapshot),
        begun.elapsed().as_secs_f64(),
        snapshot.pause_seconds
    ));
    Ok(0)
}

async fn list(context: &Context, client: &Client) -> Result<u8, Error> {
    let snapshots = client.snapshots().await?;
    if context.global.json {
        output::json(&json!({ "snapshots": snapshots }));
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

async fn delete(context: &Context, client: &Client, names: &[String]) -> Result<u8, Error> {
    for name in names {
        client.delete_snapshot(name).await?;
        context.say(&format!("Deleted `{name}`"));
    }
    Ok(0)
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
