//! `nestlab doctor`: what works at this machine and at every level of a lab, where the
//! chain breaks first, and what mends it.

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::error::Error;
use crate::place::{self, Dirs, Place};
use crate::{output, supervisor};
use futures::future::join_all;
use nestlab_agent::examine;
use nestlab_api::client::Client;
use nestlab_model::doctor::{Check, Verdict, first_broken_link, worst};
use nestlab_model::{Accelerator, NodePath, NodeState, NodeStatus};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that is off by more than this is wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// What was found, and at which level.
struct Finding {
    path: NodePath,
    check: Check,
}

pub fn run(context: &Context, args: DoctorArgs) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let lab = match &args.of {
        Some(name) => Some(place::named(&dirs, name)?),
        None => None,
    };
    context.block_on(async {
        let state = place::existing(&dirs.state);
        let host = examine::host(state, &dirs.store, !args.quick).await;
        let mut findings = at(&NodePath::host(), host);
        if let Some(lab) = lab {
            findings.extend(levels(&lab, &args.paths).await?);
        }
        tell(context, &findings);
        Ok(exit_code(&findings))
    })
}

/// Says what is broken here, if anything: it may be why something did not come up.
pub async fn explain(context: &Context, dirs: &Dirs) {
    let found = examine::host(place::existing(&dirs.state), &dirs.store, false).await;
    let findings = at(&NodePath::host(), found);
    let mut broken = findings
        .iter()
        .filter(|finding| finding.check.verdict == Verdict::Broken);
    if let Some(first) = broken.next() {
        let mend = first
            .check
            .mend
            .as_deref()
            .unwrap_or("`nestlab doctor` tells more");
        context.warn(&format!("{} {mend}", sentence(first)));
    }
}

fn at(path: &NodePath, checks: Vec<Check>) -> Vec<Finding> {
    let finding = |check| Finding {
        path: path.clone(),
        check,
    };
    checks.into_iter().map(finding).collect()
}

/// Parents come before what is inside them.
async fn levels(lab: &Place, paths: &[NodePath]) -> Result<Vec<Finding>, Error> {
    let client = supervisor::ensure_running(lab, lab.known()?).await?;
    let status = client.layer().await?.status;
    for path in paths {
        super::check_path(&status, path)?;
    }
    let nodes = status.walk().into_iter();
    let meant =
        nodes.filter(|node| paths.is_empty() || paths.iter().any(|path| path.contains(&node.path)));
    let found = join_all(meant.map(|node| level(&client, node))).await;
    Ok(found.into_iter().flatten().collect())
}

async fn level(client: &Client, node: &NodeStatus) -> Vec<Finding> {
    let mut checks = vec![state(node), accelerator(node)];
    if node.state == NodeState::Ready {
        checks.extend(inside(client, node).await);
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
        None => check.found(Verdict::NotApplicable, "it does not run"),
    }
}

async fn inside(client: &Client, node: &NodeStatus) -> Vec<Check> {
    let nests = node
        .inside
        .as_ref()
        .is_some_and(|inside| !inside.nodes.is_empty());
    let asked = now();
    let examined = client.at(&node.path).doctor(nests).await;
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

/// What is unproved raises no alarm.
fn exit_code(findings: &[Finding]) -> u8 {
    match worst(findings.iter().map(|finding| &finding.check)) {
        Verdict::Broken => 2,
        Verdict::Degraded => 1,
        _ => 0,
    }
}

fn tell(context: &Context, findings: &[Finding]) {
    let first = first_broken_link(findings, |finding| &finding.check);
    if context.global.json {
        let checks = findings.iter().map(|finding| {
            let mut value = json!(finding.check);
            value["path"] = json!(finding.path);
            value
        });
        return output::json(&json!({
            "first_broken_link": first.map(sentence),
            "checks": checks.collect::<Vec<_>>(),
        }));
    }
    output::data(&match first {
        Some(finding) => format!("{}\n\n", sentence(finding)),
        None => "All is well.\n\n".to_owned(),
    });
    let head = ["LEVEL", "CHECK", "VERDICT", "FOUND"].map(str::to_owned);
    let rows = findings.iter().map(|Finding { path, check }| {
        let word = check.verdict.word().to_owned();
        vec![
            level_name(path),
            check.id.clone(),
            word,
            check.found.clone(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    output::data(&output::table(&rows));
    for Finding { path, check } in findings {
        if let (Verdict::Degraded | Verdict::Broken, Some(mend)) = (check.verdict, &check.mend) {
            output::data(&format!("\n{}, {}: {mend}\n", level_name(path), check.id));
        }
    }
}

/// One finding in one sentence.
fn sentence(Finding { path, check }: &Finding) -> String {
    let mut text = format!("{}, {}: {}", level_name(path), check.id, check.found);
    if !check.means.is_empty() {
        text.push_str(&format!("; {}", check.means));
    }
    text + "."
}

fn level_name(path: &NodePath) -> String {
    match path.is_host() {
        true => "this machine".to_owned(),
        false => path.to_string(),
    }
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

    #[test]
    fn the_worst_decides_the_exit_code() {
        let findings = |verdicts: &[Verdict]| {
            let check = |verdict: &Verdict| Check::new("", "").found(*verdict, "");
            at(&NodePath::host(), verdicts.iter().map(check).collect())
        };
        assert_eq!(exit_code(&findings(&[])), 0);
        assert_eq!(exit_code(&findings(&[Verdict::Ok, Verdict::Unproved])), 0);
        assert_eq!(exit_code(&findings(&[Verdict::Degraded, Verdict::Ok])), 1);
        assert_eq!(
            exit_code(&findings(&[Verdict::Degraded, Verdict::Broken])),
            2
        );
    }
}
