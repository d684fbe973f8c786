//! `nestlab port`: the forwarded ports that listen.

use crate::context::Context;
use crate::error::Error;
use crate::output;
use nestlab_api::message::Listener;

pub fn run(context: &Context) -> Result<u8, Error> {
    let report = context.block_on(async { Ok(super::client(context).await?.layer().await?) })?;
    if context.global.json {
        output::json(&serde_json::json!({ "listeners": report.listeners }));
        return Ok(0);
    }
    if report.listeners.is_empty() {
        context.say("No forwarded port listens");
    }
    for listener in &report.listeners {
        output::data(&format!("{}\n", line(listener)));
    }
    Ok(0)
}

/// A forwarded port in a line.
pub fn line(listener: &Listener) -> String {
    let Listener {
        listen,
        path,
        port,
        protocol,
    } = listener;
    format!("{listen} -> {path}:{port} ({protocol})")
}
