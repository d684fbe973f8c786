//! What works at every level of a running lab.

use super::{Finding, at};
use crate::error::Error;
use futures::future::join_all;
use nestlab_api::client::Client;
use nestlab_measure::doctor::room::{self, Size};
use nestlab_model::doctor::{Check, Verdict};
use nestlab_model::{Accelerator, LayerStatus, NodeKind, NodePath, NodeState, NodeStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that is off by more than this is wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Parents come before what is inside them.
pub async fn examine(
    client: &Client,
    paths: &[NodePath],
    reach: Option<&str>,
) -> Result<Vec<Finding>, Error> {
    let status = client.layer().await?.status;
    for path in paths {
        crate::commands::check_path(&status, path)?;
    }
    let nodes = status.walk().into_iter();
    let meant =
        nodes.filter(|node| paths.is_empty() || paths.iter().any(|path| path.contains(&node.path)));
    let found = join_all(meant.map(|node| level(client, node, reach))).await;
    let asked = at(
        &NodePath::host(),
        room::asked(room::here(), &sizes(&status)),
    );
    Ok(asked
        .into_iter()
        .chain(found.into_iter().flatten())
        .collect())
}

/// What the nodes of a layer ask for, if they run.
fn sizes(layer: &LayerStatus) -> Vec<Size> {
    let running = layer.nodes.iter().filter(|node| node.accelerator.is_some());
    running.map(size).collect()
}

fn size(node: &NodeStatus) -> Size {
    Size {
        memory: node.memory_bytes,
        cpus: node.cpus,
    }
}

async fn level(client: &Client, node: &NodeStatus, reach: Option<&str>) -> Vec<Finding> {
    let mut checks = vec![state(node), accelerator(node)];
    if let Some(inside) = node
        .inside
        .as_ref()
        .filter(|inside| !inside.nodes.is_empty())
    {
        checks.extend(room::asked(size(node), &sizes(inside)));
    }
    if node.state == NodeState::Ready {
        checks.extend(inside(client, node, reach).await);
    }
    at(&node.path, checks)
}

fn state(node: &NodeStatus) -> Check {
    let check = Check::new("state", "asked its parent");
    match &node.state {
        NodeState::Ready => check.found(Verdict::Ok, "ready"),
        state @ (NodeState::Halted | NodeState::Saved | NodeState::Paused | NodeState::Absent) => {
            check.found(Verdict::NotApplicable, state.word())
        }
        state => check
            .found(Verdict::Broken, state.word())
            .means("what stands inside it cannot be had")
            .mend(format!(
                "`nestlab status` tells why, `nestlab up {}` tries again",
                node.path
            )),
    }
}

/// That it runs is the proof.
fn accelerator(node: &NodeStatus) -> Check {
    let check = Check::new("accelerator", "asked its VMM");
    match node.accelerator {
        Some(Accelerator::Kvm) => check.found(Verdict::Ok, "runs under KVM"),
        Some(Accelerator::Tcg) => check
            .found(Verdict::Degraded, "runs under TCG")
            .means("it is many times slower than under KVM"),
        Some(Accelerator::Container) => check.found(
            Verdict::Ok,
            "runs on the kernel of the level that it stands on",
        ),
        None => check.found(Verdict::NotApplicable, "it does not run"),
    }
}

async fn inside(client: &Client, node: &NodeStatus, reach: Option<&str>) -> Vec<Check> {
    let asked = now();
    let examined = client.at(&node.path).doctor(nests(node), reach).await;
    match examined {
        Ok(examination) => {
            let mut checks = vec![clock(asked, examination.unix_seconds, now())];
            checks.extend(examination.checks);
            checks
        }
        Err(error) => vec![
            Check::new("agent", "asked it")
                .found(Verdict::Broken, error.to_string())
                .means("nothing can be done with what is inside it")
                .mend(format!("`nestlab logs {}` shows its console", node.path)),
        ],
    }
}

/// Whether virtual machines are meant to stand inside a node, or inside its containers, which
/// rest on the same kernel.
fn nests(node: &NodeStatus) -> bool {
    let mut inside = node.inside.iter().flat_map(|inside| &inside.nodes);
    inside.any(|child| match child.kind {
        NodeKind::Container => nests(child),
        NodeKind::Vm => true,
    })
}

/// Whether a clock that was read between two moments of ours agrees.
fn clock(before: Duration, theirs: f64, after: Duration) -> Check {
    let check = Check::new("clock", "compared it with this machine's");
    let off = match theirs {
        early if early < before.as_secs_f64() => early - before.as_secs_f64(),
        late if late > after.as_secs_f64() => late - after.as_secs_f64(),
        _ => 0.0,
    };
    if off.abs() <= CLOCK_SLACK.as_secs_f64() {
        return check.found(Verdict::Ok, format!("{off:+.1} s"));
    }
    check
        .found(Verdict::Degraded, format!("{off:+.1} s"))
        .means("certificates, leases and logs go wrong")
        .mend("`nestlab pause` and `nestlab resume` set it right")
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_moments_around_it() {
        let verdict = |theirs| {
            let at = Duration::from_secs;
            clock(at(100), theirs, at(105)).verdict
        };
        for good in [99.5, 100.0, 103.0, 105.9] {
            assert_eq!(verdict(good), Verdict::Ok, "{good}");
        }
        for bad in [90.0, 107.0] {
            assert_eq!(verdict(bad), Verdict::Degraded, "{bad}");
        }
    }
}
