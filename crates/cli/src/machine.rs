//! Vagrant's machine-readable output: `TIME,TARGET,TYPE,DATA…`, a line each, on standard
//! output. Scripts that drive Vagrant read it, so types, words and escapes are Vagrant's.
//!
//! A machine's states are told in the words of the provider that the scripts were written
//! for: `poweroff` is VirtualBox's, `shutoff` libvirt's.

use crate::context::Context;
use crate::error::clean;
use crate::output;
use nestlab_model::{NodeKind, NodePath, NodeState, NodeStatus, Stage};
use std::time::{SystemTime, UNIX_EPOCH};

/// Names the provider where no option does; a variable of Vagrant's.
pub const PROVIDER_VARIABLE: &str = "VAGRANT_DEFAULT_PROVIDER";

/// What machines run on if nobody says otherwise: the nearest to what Nestlab is.
const LIBVIRT: &str = "libvirt";

/// What containers run on.
const DOCKER: &str = "docker";

/// The name of the backend whose nodes are containers.
const CONTAINERS: &str = "oci";

/// Writes a line.
pub fn line(target: &str, kind: &str, data: &[&str]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    output::data(&format!("{}\n", written(seconds, target, kind, data)));
}

/// Writes what a person would be told.
pub fn ui(target: &str, level: &str, text: &str) {
    let text = text.lines().map(clean).collect::<Vec<_>>().join("\n");
    line(target, "ui", &[level, &text]);
}

/// Writes that something begins to be done to nodes, or has been.
pub fn action(context: &Context, name: &str, phase: &str, nodes: &[NodePath]) {
    if !context.global.machine_readable {
        return;
    }
    for node in nodes {
        line(&node.to_string(), "action", &[name, phase]);
    }
}

fn written(seconds: u64, target: &str, kind: &str, data: &[&str]) -> String {
    let data: Vec<String> = data.iter().map(|text| escaped(text)).collect();
    format!("{seconds},{target},{kind},{}", data.join(","))
}

fn escaped(text: &str) -> String {
    text.replace(',', "%!(VAGRANT_COMMA)")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

/// What a node runs on, in Vagrant's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider(String);

impl Provider {
    /// That of the lab's machines.
    pub fn of_machines(context: &Context) -> Self {
        Self(context.provider().unwrap_or_else(|| LIBVIRT.to_owned()))
    }

    /// The one of that name.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// That of nodes of a kind.
    pub fn of_kind(context: &Context, kind: NodeKind) -> Self {
        match kind {
            NodeKind::Container => Self(DOCKER.to_owned()),
            NodeKind::Vm => Self::of_machines(context),
        }
    }

    /// That of a node.
    pub fn of(context: &Context, node: &NodeStatus) -> Self {
        match node.backend.as_str() {
            CONTAINERS => Self::of_kind(context, NodeKind::Container),
            _ => Self::of_kind(context, NodeKind::Vm),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A node's state in the provider's word.
    pub fn state(&self, node: &NodeStatus) -> &'static str {
        match &node.state {
            NodeState::Absent => "not_created",
            NodeState::Starting { stage } if *stage < Stage::Launch => self.before_launch(node),
            NodeState::Starting { .. } | NodeState::Ready | NodeState::Halting => "running",
            NodeState::Paused => "paused",
            NodeState::Saved => "saved",
            NodeState::Halted => self.halted(),
            // What failed may run all the same, as it does where a provisioner failed.
            NodeState::Failed { .. } if node.pid.is_some() => "running",
            NodeState::Failed { stage, .. } if *stage < Stage::Launch => "not_created",
            NodeState::Failed { .. } => self.ended(),
        }
    }

    fn before_launch(&self, node: &NodeStatus) -> &'static str {
        match node.pid {
            Some(_) => "running",
            None => "preparing",
        }
    }

    fn halted(&self) -> &'static str {
        match self.name() {
            LIBVIRT => "shutoff",
            DOCKER => "stopped",
            _ => "poweroff",
        }
    }

    /// Of one that did not halt but is no more.
    fn ended(&self) -> &'static str {
        match self.name() {
            LIBVIRT | DOCKER => self.halted(),
            _ => "aborted",
        }
    }
}

/// A state in a few words, as Vagrant has them beside it.
pub fn short(state: &str) -> String {
    state.replace('_', " ")
}

/// A state in a sentence that says what to type next.
pub fn long(state: &str) -> &'static str {
    match state {
        "running" => {
            "The machine runs. `nestlab halt` stops it, `nestlab suspend` keeps its memory as well, \
             `nestlab destroy` removes it."
        }
        "saved" => "The machine is saved, with its memory. `nestlab resume` lets it go on.",
        "paused" => "The machine stands still. `nestlab resume` lets it go on.",
        "preparing" => "The machine is being made ready to start.",
        "not_created" => "There is no machine yet. `nestlab up` makes it.",
        _ => "The machine is powered off. `nestlab up` starts it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_escaped() {
        let check = |data: &[&str], expected: &str| {
            assert_eq!(
                written(7, "web", "ui", data),
                format!("7,web,ui,{expected}")
            );
        };
        check(&["info", "a, b"], "info,a%!(VAGRANT_COMMA) b");
        check(&["info", "a\nb\r\n"], "info,a\\nb\\r\\n");
        check(&[""], "");
    }

    #[test]
    fn states_are_told_in_the_words_of_a_provider() {
        let node = |state: NodeState, pid: Option<u32>| NodeStatus {
            name: "web".parse().unwrap(),
            path: "web".parse().unwrap(),
            level: 1,
            state,
            kind: nestlab_model::NodeKind::Vm,
            backend: "qemu".into(),
            accelerator: None,
            addresses: Vec::new(),
            uptime_seconds: None,
            boot_millis: None,
            memory_bytes: 0,
            resident_bytes: None,
            killed_for_memory: 0,
            cpus: 1,
            image: "debian".into(),
            pid,
            ports: Vec::new(),
            inside: None,
        };
        let failed = |stage| NodeState::Failed {
            stage,
            reason: String::new(),
            hint: None,
        };
        let check = |state: NodeState, pid, expected: [&str; 3]| {
            let words = [LIBVIRT, "virtualbox", DOCKER]
                .map(|name| Provider(name.to_owned()).state(&node(state.clone(), pid)));
            assert_eq!(words, expected, "{state:?}");
        };
        check(NodeState::Absent, None, ["not_created"; 3]);
        check(NodeState::Ready, Some(1), ["running"; 3]);
        check(NodeState::Paused, Some(1), ["paused"; 3]);
        check(NodeState::Saved, None, ["saved"; 3]);
        check(NodeState::Halted, None, ["shutoff", "poweroff", "stopped"]);
        check(failed(Stage::Provision), Some(1), ["running"; 3]);
        check(failed(Stage::Image), None, ["not_created"; 3]);
        check(failed(Stage::Boot), None, ["shutoff", "aborted", "stopped"]);
        let stage = Stage::Disks;
        check(NodeState::Starting { stage }, None, ["preparing"; 3]);
    }
}
