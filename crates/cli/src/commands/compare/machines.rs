//! A lab of our own with a machine, and a machine in a machine, to be measured.

use super::technology::{self, Technology};
use crate::cli::Isolation;
use crate::commands::bench;
use crate::commands::scratch::ScratchLab;
use crate::context::Context;
use crate::error::Error;
use crate::place::Place;
use crate::{role, supervisor};
use nestlab_api::client::Client;
use nestlab_model::{NodePath, NodeStatus};

/// The node that is measured of each.
fn node_of(way: Isolation) -> NodePath {
    let path = match way {
        Isolation::Nested => "outer/inner",
        _ => "vm",
    };
    path.parse().expect("it is a path")
}

/// Brings them up, measures each, and removes them.
pub async fn measure(
    context: &Context,
    image: &str,
    ways: &[Isolation],
) -> Result<Vec<Technology>, Error> {
    let lab = ScratchLab::new(&context.dirs()?, "compare", &nodes(image, ways))?;
    context.say("Bringing up machines");
    lab.during(context, async |lab| all(context, &lab, ways).await)
        .await
}

async fn all(context: &Context, lab: &Place, ways: &[Isolation]) -> Result<Vec<Technology>, Error> {
    let client = supervisor::ensure_running(lab, lab.known()?).await?;
    let paths: Vec<NodePath> = ways.iter().map(|way| node_of(*way)).collect();
    let levels = bench::inside(context, &client, &paths).await?;
    let status = client.layer().await?.status;
    let mut found = Vec::new();
    for way in ways {
        let path = node_of(*way);
        let level = levels.iter().find(|level| level.path == path);
        let node = status.walk().into_iter().find(|node| node.path == path);
        if let (Some(level), Some(node)) = (level, node) {
            found.push(one(&client, *way, level, node).await?);
        }
    }
    Ok(found)
}

async fn one(
    client: &Client,
    way: Isolation,
    level: &bench::Level,
    node: &NodeStatus,
) -> Result<Technology, Error> {
    let there = bench::Place::Node(client.at(&node.path));
    let mut looking = there.start(&[role::LOOK]).await?;
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

fn nodes(image: &str, ways: &[Isolation]) -> String {
    let machine = format!("{{ image: {image}, memory: 256MiB }}");
    let mut text = String::new();
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
        let both = nodes("debian", &[Isolation::Vm, Isolation::Nested]);
        assert!(both.contains("  vm: { image: debian"));
        assert!(both.contains("\n        inner: { image: debian"));
        let one = nodes("debian", &[Isolation::Vm]);
        assert!(!one.contains("outer"));
    }
}
