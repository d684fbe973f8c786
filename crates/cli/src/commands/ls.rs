//! `nestlab ls`: all labs of this user on this machine.

use crate::context::Context;
use crate::error::Error;
use crate::output;
use crate::place::{Dirs, Record};
use nestlab_api::client::Client;
use nestlab_model::NodeState;
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
    if context.global.json {
        let list: Vec<_> = labs
            .iter()
            .map(|(record, state)| {
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
    let rows = labs.iter().map(|(record, state)| {
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

fn file(record: &Record) -> String {
    if let Some(origin) = &record.fork_of {
        return format!("(fork of {origin})");
    }
    let gone = if record.file.is_file() { "" } else { " (gone)" };
    format!("{}{gone}", record.file.display())
}

/// How a lab is, in a few words; its supervisor is not started for it.
async fn look(dirs: &Dirs, record: Record) -> (Record, String) {
    let client = Client::unix(dirs.socket(&record.id));
    let state = match timeout(PATIENCE, client.layer()).await {
        Err(_) => "does not answer".to_owned(),
        Ok(Err(_)) => "not supervised".to_owned(),
        Ok(Ok(report)) => {
            let nodes = report.status.walk();
            let ready = nodes
                .iter()
                .filter(|node| node.state == NodeState::Ready)
                .count();
            match (ready, nodes.len()) {
                (0, _) => "down".to_owned(),
                (ready, all) if ready == all => format!("ready ({all})"),
                (ready, all) => format!("{ready} of {all} ready"),
            }
        }
    };
    (record, state)
}
