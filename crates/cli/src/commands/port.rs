//! `nestlab port`: the forwarded ports that listen.

use crate::cli::PortArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::{machine, output};
use nestlab_api::message::Listener;

pub fn run(context: &Context, args: &PortArgs) -> Result<u8, Error> {
    let report = context.block_on(async { Ok(super::client(context).await?.layer().await?) })?;
    for path in &args.paths {
        super::check_path(&report.status, path)?;
    }
    let is_meant = |listener: &Listener| {
        let named = args.paths.is_empty() || args.paths.iter().any(|p| p.contains(&listener.path));
        named && args.guest.is_none_or(|guest| guest == listener.port)
    };
    let mut listeners = report.listeners;
    listeners.retain(is_meant);
    if let Some(guest) = args.guest {
        return only(context, guest, &listeners);
    }
    if context.global.json {
        output::json(&serde_json::json!({ "listeners": listeners }));
        return Ok(0);
    }
    if listeners.is_empty() {
        context.say("No forwarded port listens");
    }
    for listener in &listeners {
        match context.global.machine_readable {
            true => tell_machines(listener),
            false => output::data(&format!("{}\n", line(listener))),
        }
    }
    Ok(0)
}

/// The port of this machine that leads to a port of a node, alone.
fn only(context: &Context, guest: u16, listeners: &[Listener]) -> Result<u8, Error> {
    match listeners {
        [] => {
            let message = format!("No port of this machine leads to port {guest}");
            Err(Error::new(Code::Failed, message).hint("`nestlab port` lists those that listen"))
        }
        [first, ..] => {
            let port = first.listen.port().to_string();
            match context.global.machine_readable {
                true => machine::ui("", "info", &port),
                false => output::data(&format!("{port}\n")),
            }
            Ok(0)
        }
    }
}

fn tell_machines(listener: &Listener) {
    let (guest, host) = (
        listener.port.to_string(),
        listener.listen.port().to_string(),
    );
    machine::ui("", "info", &format!("{guest:>6} (guest) => {host} (host)"));
    machine::line(
        &listener.path.to_string(),
        "forwarded_port",
        &[&guest, &host],
    );
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
