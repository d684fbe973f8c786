//! Packages that a lab cannot do without, installed before it comes up: asked about first, or
//! agreed to in advance.

use super::fix::{as_root, shown};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::terminal::agrees;
use nestlab_measure::doctor::packages::{Manager, is_there};
use nestlab_model::{Lab, NodeKind};
use std::ffi::OsStr;
use std::io::IsTerminal;
use tokio::process::Command;

/// What runs containers.
const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];

/// Installs what is missing here for a lab. Where nobody agrees nothing is done, and what
/// fails for it says so itself.
///
/// # Errors
/// A program that installs them failed.
pub async fn provide(context: &Context, lab: &Lab, yes: bool) -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let packages = wanted(lab, &path);
    let Some(manager) = Manager::of(&path).filter(|_| !packages.is_empty()) else {
        return Ok(());
    };
    let lines = manager.install(&packages).into_iter();
    let lines: Vec<_> = match manager.needs_root() {
        true => lines.map(|line| as_root(&line)).collect(),
        false => lines.collect(),
    };
    if !consent(&packages, &lines, yes)? {
        return Ok(());
    }
    for line in &lines {
        run(context, line).await?;
    }
    Ok(())
}

/// Packages by Debian's names.
fn wanted(lab: &Lab, path: &OsStr) -> Vec<&'static str> {
    let mut packages = nestlab_measure::doctor::missing(path);
    let is_container = |kind: NodeKind| kind == NodeKind::Container;
    let containers = lab.layer.nodes.iter().any(|node| is_container(node.kind));
    if containers && !RUNTIMES.iter().any(|runtime| is_there(runtime, path)) {
        packages.push(RUNTIMES[0]);
    }
    if !lab.playbooks.is_empty() && !is_there("ansible-playbook", path) {
        packages.push("ansible-core");
    }
    packages
}

fn consent(packages: &[&str], lines: &[Vec<String>], yes: bool) -> Result<bool, Error> {
    let missing = format!("Missing here: {}", packages.join(", "));
    let typed: Vec<_> = lines.iter().map(|line| shown(line)).collect();
    let typed = typed.join(" && ");
    if yes {
        output::say(&format!("{missing}. Running: {typed}"));
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    agrees(&format!("{missing}. Run: {typed}"))
}

async fn run(context: &Context, line: &[String]) -> Result<(), Error> {
    let (program, arguments) = line.split_first().expect("a line has a program");
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    // What it says is conversation.
    command.stdout(match context.global.quiet {
        true => std::process::Stdio::null(),
        false => std::io::stderr().into(),
    });
    command.env("DEBIAN_FRONTEND", "noninteractive");
    let what = format!("`{}`", shown(line));
    let status = command.status().await;
    let status = status.map_err(|error| Error::caused(format!("Cannot run {what}"), &error))?;
    match status.success() {
        true => Ok(()),
        false => Err(
            Error::new(Code::Needs, format!("{what} ended with {status}"))
                .hint("Install the packages yourself, then `nestlab up` goes on"),
        ),
    }
}
