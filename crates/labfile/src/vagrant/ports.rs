//! Forwarded ports of all machines, which share this machine's.

use super::datum::{Datum, Options};
use super::document::Node;
use super::machine::Machine;
use super::notes::Notes;
use crate::report::Mark;
use std::collections::BTreeSet;

const KNOWN: [&str; 10] = [
    "auto_correct",
    "disabled",
    "gateway_ports",
    "guest",
    "guest_ip",
    "host",
    "host_ip",
    "id",
    "protocol",
    "adapter",
];

/// What takes the place of a port that somebody has already, if it may.
const FREE: std::ops::RangeInclusive<i64> = 2200..=2250;

/// A port of one machine.
struct Port {
    listen: String,
    host: i64,
    guest: i64,
    protocol: String,
    movable: bool,
    mark: Mark,
}

/// The `ports:` of every machine.
pub(super) fn of(machines: &[Machine], notes: &mut Notes<'_>) -> Vec<Vec<Node>> {
    let mut all: Vec<Vec<Port>> = Vec::new();
    for machine in machines {
        let forwards = machine
            .networks
            .iter()
            .filter(|network| network.kind == "forwarded_port");
        let ports = forwards.filter_map(|network| read(&network.options, notes));
        all.push(ports.collect());
    }
    let fixed = all.iter().flatten().filter(|port| !port.movable);
    let mut taken: BTreeSet<_> = fixed
        .map(|port| (port.host, port.protocol.clone()))
        .collect();
    for port in all.iter_mut().flatten().filter(|port| port.movable) {
        settle(port, &mut taken, notes);
    }
    all.iter()
        .map(|ports| ports.iter().map(Port::node).collect())
        .collect()
}

fn read(options: &Options, notes: &mut Notes<'_>) -> Option<Port> {
    // The port of ssh that every machine has by itself; ours are entered otherwise.
    let ssh = options.text("id").as_deref() == Some("ssh")
        && options.text("host").as_deref() == Some("2222");
    if options.is("disabled") || ssh {
        return None;
    }
    for (name, value) in options.iter() {
        if !KNOWN.contains(&name) {
            notes.ignore("`config.vm.network :forwarded_port`", name, value.mark);
        }
    }
    let mut number = |name: &str| {
        let value = options.get(name);
        let port = value.and_then(|value| value.datum.integer());
        if port.is_none() {
            let message = match value {
                Some(value) => format!("`{name}` cannot be `{}`", value.datum.show()),
                None => format!("A forwarded port needs `{name}`"),
            };
            let hint = "give a port such as `guest: 80, host: 8080`";
            notes.error("vagrant-value", options.mark(name), message, hint);
        }
        port
    };
    let (guest, host) = (number("guest"), number("host"));
    let listen = options.text("host_ip").unwrap_or_default();
    let listen = match listen.as_str() {
        "" | "localhost" => "127.0.0.1".to_owned(),
        "*" => "0.0.0.0".to_owned(),
        other => other.to_owned(),
    };
    Some(Port {
        listen,
        host: host?,
        guest: guest?,
        protocol: options.text("protocol").unwrap_or_else(|| "tcp".into()),
        movable: options.is("auto_correct"),
        mark: options.mark("host"),
    })
}

/// `auto_correct`: a port that another machine of the file has is exchanged.
fn settle(port: &mut Port, taken: &mut BTreeSet<(i64, String)>, notes: &mut Notes<'_>) {
    let key = |host: i64, port: &Port| (host, port.protocol.clone());
    if taken.contains(&key(port.host, port)) {
        let free = FREE
            .into_iter()
            .find(|host| !taken.contains(&key(*host, port)));
        let Some(free) = free else {
            return;
        };
        let message = format!(
            "Port {} is taken by another machine: {free} leads here",
            port.host
        );
        notes.note(
            "vagrant-port",
            port.mark,
            message,
            "`auto_correct` asks for that",
        );
        port.host = free;
    }
    taken.insert(key(port.host, port));
}

impl Port {
    fn node(&self) -> Node {
        let protocol = if self.protocol == "tcp" {
            String::new()
        } else {
            format!("/{}", self.protocol)
        };
        let listen = match self.listen.as_str() {
            "127.0.0.1" => String::new(),
            other => format!("{other}:"),
        };
        let text = format!("{listen}{}:{}{protocol}", self.host, self.guest);
        Node::text(self.mark, text)
    }
}

/// The range that Vagrant takes free ports from, for the resolved view.
pub(super) fn ssh(mark: Mark) -> Options {
    let mut options = Options::new(mark);
    for (name, value) in [
        ("guest", Datum::Int(22)),
        ("host", Datum::Int(2222)),
        ("host_ip", Datum::text("127.0.0.1")),
        ("id", Datum::text("ssh")),
        ("auto_correct", Datum::Bool(true)),
    ] {
        options.set(name, value, mark);
    }
    options
}
