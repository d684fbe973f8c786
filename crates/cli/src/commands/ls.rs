//! `nestlab ls`: all labs of this user on this machine.

use crate::context::Context;
use crate::error::Error;
use crate::machine::{self, Provider};
use crate::output;
use crate::place::{Dirs, Record};
use nestlab_api::client::Client;
use nestlab_model::{LayerStatus, NodeState};
use std::time::Duration;
use tokio::time::timeout;

/// How long one lab may take to say how it is.
const PATIENCE: Duration = Duration::from_millis(500);

pub fn run(context: &Context) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let labs = context.block_on(async {
        let looks = dirs.records().into_iter().map(|record| look(&dirs, record));
        Ok(futures::future::join_all(looks).await)
    })?;
    if context.global.machine_readable {
        tell_machines(context, &labs);
        return Ok(0);
    }
    if context.global.json {
        let list: Vec<_> = labs
            .iter()
            .map(|(record, state, _)| {
                serde_json::json!({
                    "name": record.name,
                    "id": record.id,
                    "state": state,
                    "file": record.file,
                    "created": record.created,
                    "fork_of": record.fork_of,
                })
            })
            .collect();
        output::json(&serde_json::json!({ "labs": list }));
        return Ok(0);
    }
    if labs.is_empty() {
        context.say("No labs; `nestlab up` in a lab's folder brings one up");
        return Ok(0);
    }
    let head = ["LAB", "ID", "STATE", "FILE"].map(str::to_owned).to_vec();
    let rows = labs.iter().map(|(record, state, _)| {
        vec![
            record.name.clone(),
            record.id.clone(),
            state.clone(),
            file(record),
        ]
    });
    output::data(&output::table(
        &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
    ));
    Ok(0)
}

/// What `vagrant global-status --machine-readable` writes: every node, under its lab's id.
fn tell_machines(context: &Context, labs: &[(Record, String, LayerStatus)]) {
    let count: usize = labs.iter().map(|(.., status)| status.walk().len()).sum();
    machine::line("", "metadata", &["machine-count", &count.to_string()]);
    for (record, _, status) in labs {
        let home = record.file.parent().unwrap_or(&record.file).display();
        for node in status.walk() {
            let (target, provider) = (node.path.to_string(), Provider::of(context, node));
            machine::line(&target, "machine-id", &[&record.id]);
            machine::line(&target, "provider-name", &[provider.name()]);
            machine::line(&target, "machine-home", &[&home.to_string()]);
            machine::line(&target, "state", &[provider.state(node)]);
        }
    }
}

fn file(record: &Record) -> String {
    if let Some(origin) = &record.fork_of {
        return format!("(fork of {origin})");
    }
    let gone = if record.file.is_file() { "" } else { " (gone)" };
    format!("{}{gone}", record.file.display())
}

/// How a lab is, in a few words and whole; its supervisor is not started for it.
async fn look(dirs: &Dirs, record: Record) -> (Record, String, LayerStatus) {
    let client = Client::unix(dirs.socket(&record.id));
    match timeout(PATIENCE, client.layer()).await {
        Err(_) => (record, "does not answer".to_owned(), LayerStatus::default()),
        Ok(Err(_)) => (record, "not supervised".to_owned(), LayerStatus::default()),
        Ok(Ok(report)) => (record, words(&report.status), report.status),
    }
}

fn words(status: &LayerStatus) -> String {
    let nodes = status.walk();
    let ready = nodes.iter().filter(|node| node.state == NodeState::Ready);
    match (ready.count(), nodes.len()) {
        (0, _) => "down".to_owned(),
        (ready, all) if ready == all => format!("ready ({all})"),
        (ready, all) => format!("{ready} of {all} ready"),
    }
}
