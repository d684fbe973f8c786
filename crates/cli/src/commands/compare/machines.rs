//! A lab of our own with a machine, and a machine in a machine, to be measured.

use super::technology::{self, Technology};
use crate::cli::Isolation;
use crate::commands::bench::{self, Place};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::place::{self, Dirs};
use crate::{role, supervisor};
use nestlab_api::client::Client;
use nestlab_model::{NodePath, NodeStatus};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// The lab, from when its file is written until it is destroyed.
pub struct Machines {
    folder: PathBuf,
    name: String,
}

/// The node that is measured of each.
fn node_of(way: Isolation) -> NodePath {
    let path = match way {
        Isolation::Nested => "outer/inner",
        _ => "vm",
    };
    path.parse().expect("it is a path")
}

impl Machines {
    /// Writes the file of a lab that is nobody else's.
    pub fn new(dirs: &Dirs, image: &str, ways: &[Isolation]) -> Result<Self, Error> {
        let name = format!("compare-{}", std::process::id());
        let folder = dirs.state.join(&name);
        let cannot = |error| Error::caused(format!("Cannot write {}", folder.display()), &error);
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        let text = lab_file(&name, image, ways);
        std::fs::write(folder.join("nestlab.yaml"), text).map_err(cannot)?;
        Ok(Self { folder, name })
    }

    /// Brings them up and measures each.
    pub async fn measure(
        &self,
        context: &Context,
        ways: &[Isolation],
    ) -> Result<Vec<Technology>, Error> {
        context.say("Bringing up a machine, and a machine in a machine");
        self.nestlab(&["up", "--cold"]).await?;
        let lab = place::named(&context.dirs()?, &self.name)?;
        let client = supervisor::ensure_running(&lab, lab.known()?).await?;
        let paths: Vec<NodePath> = ways.iter().map(|way| node_of(*way)).collect();
        let levels = bench::inside(context, &client, &paths).await?;
        let status = client.layer().await?.status;
        let mut found = Vec::new();
        for way in ways {
            let path = node_of(*way);
            let level = levels.iter().find(|level| level.path == path);
            let node = status.walk().into_iter().find(|node| node.path == path);
            if let (Some(level), Some(node)) = (level, node) {
                found.push(self.one(&client, *way, level, node).await?);
            }
        }
        Ok(found)
    }

    async fn one(
        &self,
        client: &Client,
        way: Isolation,
        level: &bench::Level,
        node: &NodeStatus,
    ) -> Result<Technology, Error> {
        let mut looking = Place::Node(client.at(&node.path))
            .start(&[role::LOOK])
            .await?;
        let boot = node.boot_millis.map(|millis| millis as f64 / 1000.0);
        let figures = level.figures.iter();
        let others = figures.filter(|figure| !figure.id.starts_with("node."));
        Ok(Technology {
            way,
            by: format!("{}, {}", node.backend, level.footing()),
            start: technology::start(boot.into_iter().collect()),
            memory: node.resident_bytes,
            seen: looking.json().await?,
            figures: others.cloned().collect(),
        })
    }

    /// Removes the lab and its file.
    pub async fn destroy(&self) -> Result<(), Error> {
        let gone = self.nestlab(&["destroy", "--yes"]).await;
        // It is ours, and `destroy` has told if anything of the lab is left.
        let _ = std::fs::remove_dir_all(&self.folder);
        gone
    }

    /// Runs a verb on the lab, as a user would.
    async fn nestlab(&self, arguments: &[&str]) -> Result<(), Error> {
        let cannot = |error| Error::caused("Cannot run this program", &error);
        let own = std::env::current_exe().map_err(cannot)?;
        let mut command = Command::new(own);
        command
            .arg("-C")
            .arg(&self.folder)
            .arg("--quiet")
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().await.map_err(cannot)?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::new(
                Code::Failed,
                format!(
                    "`nestlab {}` of the lab that is measured failed",
                    arguments.join(" ")
                ),
            )),
        }
    }
}

fn lab_file(name: &str, image: &str, ways: &[Isolation]) -> String {
    let machine = format!("{{ image: {image}, memory: 256MiB }}");
    let mut text = format!("name: {name}\nnodes:\n");
    if ways.contains(&Isolation::Vm) {
        text.push_str(&format!("  vm: {machine}\n"));
    }
    if ways.contains(&Isolation::Nested) {
        text.push_str(&format!(
            "  outer:\n    image: {image}\n    memory: 768MiB\n    nested: true\n    inside:\n      nodes:\n        inner: {machine}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_holds_what_is_asked_for() {
        let both = lab_file("compare-1", "debian", &[Isolation::Vm, Isolation::Nested]);
        assert!(both.contains("\n  vm: { image: debian"));
        assert!(both.contains("\n        inner: { image: debian"));
        let one = lab_file("compare-1", "debian", &[Isolation::Vm]);
        assert!(!one.contains("outer"));
    }
}
