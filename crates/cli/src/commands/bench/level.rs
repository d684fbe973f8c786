//! The measuring of one level, and what is known of it afterwards.

use super::noise::Watch;
use super::runner::{Place, Program};
use super::targets::{Peer, Target};
use crate::cli::BenchGroup;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::role;
use nestlab_api::client::Client;
use nestlab_measure::bench::{Group, Line, NOTHING, Request};
use nestlab_model::bench::{Better, Figure, Outcome};
use nestlab_model::{Accelerator, NodePath};
use nestlab_sys::namespace::Namespaces;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Instant;

/// A clock that differs by more than this from this machine's is corrected for. Less is
/// within what the way of a message adds.
const CLOCK_SLACK: f64 = 0.02;

/// Samples that lie further apart than this make a figure doubtful.
const DOUBTFUL: f64 = 0.15;

/// How often a program is run for the time that this takes.
const EXECS: usize = 15;

/// What was measured at one level.
pub struct Level {
    pub path: NodePath,
    /// What it and all below it run on, from the first level.
    pub accelerators: Vec<Accelerator>,
    pub figures: Vec<Figure>,
    /// Figures that there are none of, and why.
    pub skipped: Vec<(String, String)>,
    /// Seconds of this machine's clock in one second of the level's.
    pub clock: f64,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// What a program that measured told.
pub struct Measured {
    pub figures: Vec<Figure>,
    pub skipped: Vec<(String, String)>,
    pub clock: f64,
}

impl Level {
    pub fn name(&self) -> String {
        super::name_of(&self.path)
    }

    /// On what it runs, in words.
    pub fn footing(&self) -> String {
        let names: Vec<_> = self
            .accelerators
            .iter()
            .map(Accelerator::to_string)
            .collect();
        match names.as_slice() {
            [] => "native".to_owned(),
            names => names.iter().rev().cloned().collect::<Vec<_>>().join(" in "),
        }
    }

    /// Whether it or anything below it is emulated.
    pub fn is_emulated(&self) -> bool {
        self.accelerators.contains(&Accelerator::Tcg)
    }

    pub fn figure(&self, id: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.id == id)
    }

    /// The level that it stands on, if that was measured too.
    pub fn parent<'a>(&self, levels: &'a [Self]) -> Option<&'a Self> {
        let (parent, _) = self.path.split_last()?;
        levels.iter().find(|level| level.path == parent)
    }

    /// The machine below all.
    pub fn native<'a>(&self, levels: &'a [Self]) -> Option<&'a Self> {
        let native = levels.iter().find(|level| level.path.is_host());
        native.filter(|_| !self.path.is_host())
    }

    pub fn json(&self, levels: &[Self]) -> Value {
        let figure = |figure: &Figure| {
            let share = |other: Option<&Self>| figure.share_of(other?.figure(&figure.id)?);
            json!({
                "id": figure.id, "unit": figure.unit, "better": figure.better,
                "median": figure.median(), "spread": figure.spread(),
                "of_parent": share(self.parent(levels)),
                "of_native": share(self.native(levels)),
                "samples": figure.samples,
            })
        };
        let skipped = |(id, why): &(String, String)| json!({ "id": id, "why": why });
        json!({
            "path": self.path,
            "accelerators": self.accelerators,
            "clock": self.clock,
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(skipped).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}

/// Measures one level after another: what runs at once would measure the others.
pub async fn all(
    context: &Context,
    client: Option<&Client>,
    targets: &[Target],
    only: &[BenchGroup],
) -> Result<Vec<Level>, Error> {
    let mut levels = Vec::new();
    for target in targets {
        context.say(&format!("Measuring {}", super::name_of(&target.path)));
        levels.push(one(client, target, only).await?);
    }
    Ok(levels)
}

async fn one(
    client: Option<&Client>,
    target: &Target,
    only: &[BenchGroup],
) -> Result<Level, Error> {
    let wanted = |group: BenchGroup| only.is_empty() || only.contains(&group);
    let watch = Watch::begin().await;
    let place = place(client, &target.path);
    let (mut answering, mut peers) = (Vec::new(), Vec::new());
    if let Some(client) = client.filter(|_| wanted(BenchGroup::Network)) {
        for peer in &target.peers {
            let (program, address) = answer(client, peer).await?;
            answering.push(program);
            peers.push((peer.name.clone(), address));
        }
    }
    let request = Request {
        groups: Group::ALL
            .into_iter()
            .filter(|group| wanted((*group).into()))
            .collect(),
        folder: target.folder.clone(),
        peers,
    };
    let mut measured = measure(&place, &request).await?;
    drop(answering);
    if let Some(client) = client.filter(|_| !target.path.is_host() && wanted(BenchGroup::Node)) {
        measured.figures.extend(target.boot_millis.map(boot));
        measured.figures.push(exec(client, &target.path).await?);
    }
    let mut warnings = doubts(&measured);
    warnings.extend(watch.warnings());
    Ok(Level {
        path: target.path.clone(),
        accelerators: target.accelerators.clone(),
        figures: measured.figures,
        skipped: measured.skipped,
        clock: measured.clock,
        warnings,
    })
}

fn place(client: Option<&Client>, path: &NodePath) -> Place {
    match client {
        Some(client) if !path.is_host() => Place::Node(client.at(path)),
        _ => Place::Here,
    }
}

/// Has somebody answer who is spoken with, for as long as the program is kept.
async fn answer(client: &Client, peer: &Peer) -> Result<(Program, SocketAddr), Error> {
    let place = match peer.at.is_host() {
        false => Place::Node(client.at(&peer.at)),
        true => {
            let keeper = client.layer().await?.keeper.ok_or_else(|| {
                Error::new(Code::Failed, "The lab has no network now").hint("`nestlab up` makes it")
            })?;
            let cannot = |error| Error::caused("Cannot open the lab's namespaces", &error);
            Place::Network(Namespaces::of_process(keeper).map_err(cannot)?)
        }
    };
    let address = peer.address.to_string();
    let mut program = place.start(&[role::ANSWER, &address]).await?;
    let port: u16 = program.json().await?;
    Ok((program, (peer.address, port).into()))
}

/// Has a program measure somewhere. All of its figures are by this machine's clock.
pub async fn measure(place: &Place, request: &Request) -> Result<Measured, Error> {
    let words = json!(request).to_string();
    let mut program = place.start(&[role::MEASURE, &words]).await?;
    let mut measured = Measured {
        figures: Vec::new(),
        skipped: Vec::new(),
        clock: 1.0,
    };
    let mut first: Option<(Instant, f64)> = None;
    while let Some(line) = program.line().await? {
        let unreadable = |error| Error::caused("Cannot read what was measured", &error);
        match serde_json::from_str(&line).map_err(unreadable)? {
            Line::Outcome(Outcome::Measured(figure)) => measured.figures.push(figure),
            Line::Outcome(Outcome::Skipped { id, why }) => measured.skipped.push((id, why)),
            Line::Clock(theirs) => match first {
                None => first = Some((Instant::now(), theirs)),
                Some((begun, at)) => {
                    measured.clock = begun.elapsed().as_secs_f64() / (theirs - at).max(1e-9);
                }
            },
        }
    }
    if is_off(measured.clock) {
        let figures = measured.figures.into_iter();
        let right = figures.map(|figure| figure.by_another_clock(measured.clock));
        measured.figures = right.collect();
    }
    Ok(measured)
}

fn is_off(clock: f64) -> bool {
    (clock - 1.0).abs() > CLOCK_SLACK
}

fn boot(millis: u64) -> Figure {
    Figure {
        id: "node.boot".into(),
        unit: "s".into(),
        better: Better::Lower,
        samples: vec![millis as f64 / 1000.0],
    }
}

/// How long a program takes in a node that does nothing, from here and back.
async fn exec(client: &Client, path: &NodePath) -> Result<Figure, Error> {
    let place = Place::Node(client.at(path));
    let mut samples = Vec::new();
    for _ in 0..EXECS {
        let begun = Instant::now();
        let mut program = place.start(&[NOTHING]).await?;
        while program.line().await?.is_some() {}
        samples.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Figure {
        id: "node.exec".into(),
        unit: "ms".into(),
        better: Better::Lower,
        samples,
    })
}

fn doubts(measured: &Measured) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_off(measured.clock) {
        warnings.push(format!(
            "its clock ran {:.2} times as fast as this machine's; its figures are by the latter",
            1.0 / measured.clock
        ));
    }
    let apart = measured
        .figures
        .iter()
        .filter(|one| one.spread() > DOUBTFUL);
    let ids: Vec<_> = apart.map(|figure| figure.id.as_str()).collect();
    if !ids.is_empty() {
        warnings.push(format!(
            "samples lie more than {:.0} % apart: {}",
            DOUBTFUL * 100.0,
            ids.join(", ")
        ));
    }
    warnings
}
