//! `nestlab doctor`: what works at this machine and at every level of a lab, where the
//! chain breaks first, and what mends it.

mod chain;
mod fix;
mod install;
mod levels;
mod orphans;
mod tell;

pub use install::provide;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::error::Error;
use crate::place::{self, Dirs};
use crate::supervisor;
use nestlab_agent::examine::{self, Boots};
use nestlab_api::client::Client;
use nestlab_measure::doctor::room::{self, Size};
use nestlab_model::doctor::{Check, Verdict};
use nestlab_model::{Layer, Node, NodePath};

/// What was found, and at which level.
struct Finding {
    path: NodePath,
    check: Check,
}

pub fn run(context: &Context, args: DoctorArgs) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    if args.orphans {
        return context.block_on(orphans::remove(context, &dirs, args.yes));
    }
    let lab = match &args.of {
        Some(name) => Some(place::named(&dirs, name)?),
        None => None,
    };
    context.block_on(async {
        let client = match &lab {
            Some(lab) => Some(supervisor::ensure_running(lab, lab.known()?).await?),
            None => None,
        };
        let mut findings = examine(context, &dirs, client.as_ref(), &args).await?;
        if args.fix && fix::all(context, client.as_ref(), &findings, &args).await? {
            findings = examine(context, &dirs, client.as_ref(), &args).await?;
        }
        tell::tell(context, &findings);
        Ok(tell::exit_code(&findings))
    })
}

async fn examine(
    context: &Context,
    dirs: &Dirs,
    client: Option<&Client>,
    args: &DoctorArgs,
) -> Result<Vec<Finding>, Error> {
    let boots = match (args.quick, args.fresh) {
        (true, _) => Boots::None,
        (false, false) => Boots::Once,
        (false, true) => Boots::Again,
    };
    let mut findings = host(dirs, boots).await;
    let left = at(&NodePath::host(), vec![orphans::check(dirs)]);
    findings.extend(left);
    if let Some(depth) = args.depth {
        findings.extend(chain::examine(context, depth).await?);
    }
    if let Some(client) = client {
        findings.extend(levels::examine(client, &args.paths, args.reach.as_deref()).await?);
    }
    Ok(findings)
}

async fn host(dirs: &Dirs, boots: Boots) -> Vec<Finding> {
    let state = place::existing(&dirs.state);
    let checks = examine::host(state, &dirs.store, boots).await;
    at(&NodePath::host(), checks)
}

/// What is said before a lab comes up that does not run: what is broken here, and
/// whether the lab asks for more than there is. Tells whether anything was said.
pub async fn foretell(context: &Context, dirs: &Dirs, layer: &Layer) -> bool {
    let mut findings = host(dirs, Boots::None).await;
    findings.retain(|finding| finding.check.verdict == Verdict::Broken);
    let sizes: Vec<Size> = layer.nodes.iter().map(asked).collect();
    findings.extend(at(&NodePath::host(), room::asked(room::here(), &sizes)));
    warn_of_first(context, &findings, Verdict::Degraded)
}

fn asked(node: &Node) -> Size {
    Size {
        memory: node.memory.as_bytes(),
        cpus: node.cpus,
    }
}

/// Says what is broken here, if anything: it may be why something did not come up.
pub async fn explain(context: &Context, dirs: &Dirs) {
    warn_of_first(context, &host(dirs, Boots::None).await, Verdict::Broken);
}

fn warn_of_first(context: &Context, findings: &[Finding], weight: Verdict) -> bool {
    let mut bad = findings
        .iter()
        .filter(|finding| finding.check.verdict >= weight);
    let Some(first) = bad.next() else {
        return false;
    };
    let mend = first.check.mend.as_deref();
    let mend = mend.unwrap_or("`nestlab doctor` tells more");
    context.warn(&format!("{} {mend}", tell::sentence(first)));
    true
}

fn at(path: &NodePath, checks: Vec<Check>) -> Vec<Finding> {
    let finding = |check| Finding {
        path: path.clone(),
        check,
    };
    checks.into_iter().map(finding).collect()
}
