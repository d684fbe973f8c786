//! `nestlab plan`: what `up` would do, level by level. Of a running lab it
//! tells what differs; nothing is started and nothing is changed.

use crate::context::Context;
use crate::error::{Code, Error};
use crate::{output, supervisor};
use nestlab_api::client::Client;
use nestlab_model::{Lab, Layer, LayerStatus, Node, NodePath, NodeState, NodeStatus};
use serde::Serialize;
use std::fmt::Write;

pub fn run(context: &Context) -> Result<u8, Error> {
    let place = context.place()?;
    if let Some(fork) = place.record.as_ref().filter(|r| r.fork_of.is_some()) {
        let message = format!("`{}` is a fork and follows no file", fork.name);
        return Err(Error::new(Code::Usage, message)
            .hint(format!("`nestlab -l {} status` shows it", fork.name)));
    }
    let lab = context.load(place.existing_file()?)?;
    let known = match &place.record {
        None => Known::default(),
        Some(record) => context.block_on(async {
            let client = supervisor::ensure_running(&place, record).await?;
            Known::ask(&client).await
        })?,
    };
    let steps = plan(&lab, &known);
    if context.global.json {
        output::json(&serde_json::json!({ "lab": lab.name, "steps": steps }));
    } else {
        output::data(&render(&lab, &steps));
    }
    Ok(0)
}

/// What is known of the lab as it stands.
#[derive(Debug, Default)]
struct Known {
    status: LayerStatus,
    /// What the last `up` was asked for.
    asked: Layer,
}

impl Known {
    async fn ask(client: &Client) -> Result<Self, Error> {
        let status = client.layer().await?.status;
        let asked = match client.spec().await {
            Ok(spec) => spec.layer,
            // Nobody has asked for anything yet.
            Err(error) if error.failure().is_some() => Layer::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { status, asked })
    }

    fn status(&self, path: &NodePath) -> Option<&NodeStatus> {
        let nodes = self.status.walk();
        nodes.into_iter().find(|status| status.path == *path)
    }

    fn asked(&self, path: &NodePath) -> Option<&Node> {
        let nodes = self.asked.walk();
        let found = nodes.into_iter().find(|(known, _)| known == path);
        found.map(|(_, node)| node)
    }
}

/// What `up` does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Create,
    Start,
    Continue,
    Change,
    Keep,
    Leave,
}

impl Action {
    fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Start => '>',
            Self::Continue => '!',
            Self::Change => '~',
            Self::Keep => '=',
            Self::Leave => '?',
        }
    }
}

#[derive(Debug, Serialize)]
struct Step {
    path: NodePath,
    level: usize,
    action: Action,
    /// What the node is, or what is different.
    detail: String,
}

fn plan(lab: &Lab, known: &Known) -> Vec<Step> {
    let wanted = lab.layer.walk();
    let mut steps: Vec<Step> = wanted
        .iter()
        .map(|(path, node)| step(path, node, known))
        .collect();
    let there = known.status.walk();
    let gone = there.iter().filter(|node| {
        node.state != NodeState::Absent && !wanted.iter().any(|(path, _)| *path == node.path)
    });
    steps.extend(gone.map(|node| Step {
        path: node.path.clone(),
        level: node.level,
        action: Action::Leave,
        detail: format!(
            "not in the file any more; `nestlab destroy {}` removes it",
            node.path
        ),
    }));
    steps
}

fn step(path: &NodePath, node: &Node, known: &Known) -> Step {
    let (action, detail) = match known.status(path) {
        None => (Action::Create, describe(node)),
        Some(status) => match (&status.state, changes(node, status, known.asked(path))) {
            (NodeState::Absent, _) => (Action::Create, describe(node)),
            (_, Some(changes)) => (Action::Change, changes),
            (NodeState::Ready, _) => (Action::Keep, "as it is".to_owned()),
            (NodeState::Halted | NodeState::Saved | NodeState::Halting, _) => {
                (Action::Start, describe(node))
            }
            (state, _) => (Action::Continue, state.word()),
        },
    };
    Step {
        path: path.clone(),
        level: path.level(),
        action,
        detail,
    }
}

fn describe(node: &Node) -> String {
    let mut parts = vec![
        format!("{} from `{}`", kind(node), node.image),
        format!("{} CPU, {}", node.cpus, node.memory),
    ];
    if node.nested {
        parts.push("nested".to_owned());
    }
    let ends = node.endpoints.iter();
    parts.extend(ends.map(|end| format!("{} on `{}`", end.address.addr(), end.network)));
    parts.extend(node.ports.iter().map(|port| format!("port {port}")));
    match node.provision.len() {
        0 => {}
        1 => parts.push("1 provisioner".to_owned()),
        many => parts.push(format!("{many} provisioners")),
    }
    parts.join(", ")
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        nestlab_model::NodeKind::Vm => "VM",
        nestlab_model::NodeKind::Container => "container",
    }
}

/// What the node has otherwise than the file asks: as it stands, and as the
/// last `up` was asked.
fn changes(node: &Node, status: &NodeStatus, asked: Option<&Node>) -> Option<String> {
    let asked = asked
        .map(|asked| asked.changes_to(node))
        .unwrap_or_default();
    let values = differing_values(node, status);
    let mut machine: Vec<String> = values.iter().map(|(_, words)| words.clone()).collect();
    let others = asked.machine.iter();
    machine.extend(
        others
            .filter(|key| !values.iter().any(|(shown, _)| shown == *key))
            .map(|key| (*key).to_owned()),
    );
    let runs = !matches!(status.state, NodeState::Halted);
    if let (true, Some(last)) = (runs, machine.last_mut()) {
        last.push_str(&format!(" (after `nestlab halt {}`)", status.path));
    }
    machine.extend(asked.guest.iter().map(|key| (*key).to_owned()));
    (!machine.is_empty()).then(|| machine.join(", "))
}

/// Keys whose values the status tells, and both values.
fn differing_values(node: &Node, status: &NodeStatus) -> Vec<(&'static str, String)> {
    let memory = nestlab_model::ByteSize::bytes(status.memory_bytes);
    let pairs = [
        ("cpus", status.cpus.to_string(), node.cpus.to_string()),
        ("memory", memory.to_string(), node.memory.to_string()),
        ("image", status.image.clone(), node.image.to_string()),
        (
            "networks",
            listed(status.addresses.iter()),
            listed(node.endpoints.iter().map(|e| e.address.addr())),
        ),
    ];
    let different = pairs.into_iter().filter(|(_, is, want)| is != want);
    different
        .map(|(key, is, want)| (key, format!("{key}: {is} -> {want}")))
        .collect()
}

fn listed(addresses: impl Iterator<Item = impl ToString>) -> String {
    addresses
        .map(|address| address.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn render(lab: &Lab, steps: &[Step]) -> String {
    let mut text = format!("Lab `{}`\n", lab.name);
    let deepest = steps.iter().map(|step| step.level).max().unwrap_or(0);
    for level in 1..=deepest {
        let _ = writeln!(text, "\nLevel {level}");
        for network in networks(lab, level) {
            let _ = writeln!(text, "  {network}");
        }
        let here: Vec<&Step> = steps.iter().filter(|step| step.level == level).collect();
        let width = here
            .iter()
            .map(|step| step.path.to_string().len())
            .max()
            .unwrap_or(0);
        for step in here {
            let path = step.path.to_string();
            let _ = writeln!(
                text,
                "  {} {path:width$}  {}",
                step.action.sign(),
                step.detail
            );
        }
    }
    let count = |action: Action| steps.iter().filter(|step| step.action == action).count();
    let words = [
        (Action::Create, "to create"),
        (Action::Start, "to start"),
        (Action::Continue, "to continue"),
        (Action::Change, "to change"),
        (Action::Keep, "unchanged"),
        (Action::Leave, "not in the file"),
    ];
    let counts: Vec<String> = words
        .into_iter()
        .filter(|(action, _)| count(*action) > 0)
        .map(|(action, words)| format!("{} {words}", count(action)))
        .collect();
    let _ = writeln!(
        text,
        "\n{}",
        if counts.is_empty() {
            "Nothing to do".into()
        } else {
            counts.join(", ")
        }
    );
    text
}

/// The networks of a level, each once per layer.
fn networks(lab: &Lab, level: usize) -> Vec<String> {
    let top = (level == 1).then_some((NodePath::host(), &lab.layer));
    let deeper = lab
        .layer
        .walk()
        .into_iter()
        .map(|(path, node)| (path, &node.inside));
    let layers = top
        .into_iter()
        .chain(deeper)
        .filter(|(path, _)| path.level() + 1 == level);
    layers
        .flat_map(|(path, layer)| {
            layer.networks.iter().map(move |network| {
                let place = if path.is_host() {
                    String::new()
                } else {
                    format!(" in {path}")
                };
                let mode = match network.mode {
                    nestlab_model::NetworkMode::Nat => "nat",
                    nestlab_model::NetworkMode::Isolated => "isolated",
                };
                format!(
                    "network `{}`{place}: {}, {mode}, MTU {}",
                    network.name, network.subnet, network.mtu
                )
            })
        })
        .collect()
}
