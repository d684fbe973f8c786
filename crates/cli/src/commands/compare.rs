//! `nestlab compare`: what each way to isolate a program costs on this machine, and
//! what it hides.

mod container;
mod machines;
mod technology;

use crate::cli::{CompareArgs, Isolation};
use crate::commands::bench::{self, Place, report};
use crate::context::Context;
use crate::error::Error;
use crate::{output, place, role};
pub use container::Bundle;
use nestlab_measure::bench::{Group, NOTHING, Request};
use nestlab_model::bench::Figure;
use serde_json::json;
use std::time::Instant;
pub use technology::Seen;
use technology::{Missing, Technology};

/// The version of the JSON that is written.
const SCHEMA: u32 = 1;

/// How often a start is timed.
const STARTS: usize = 9;

pub fn run(context: &Context, args: CompareArgs) -> Result<u8, Error> {
    context.block_on(async {
        let (found, missing) = all(context, &args).await?;
        if let Some(file) = &args.report {
            report::table_page(
                file,
                "Ways to isolate a program",
                &technology::rows(&found),
                &technology::advice(),
            )?;
            context.say(&format!("The report is in {}", file.display()));
        }
        tell(context, &found, &missing);
        Ok(0)
    })
}

async fn all(
    context: &Context,
    args: &CompareArgs,
) -> Result<(Vec<Technology>, Vec<Missing>), Error> {
    let wanted = |way| args.backends.is_empty() || args.backends.contains(&way);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    if wanted(Isolation::Process) {
        context.say("Measuring a process");
        found.push(process(context).await?);
    }
    if wanted(Isolation::Container) {
        context.say("Measuring a container");
        match contained(context).await? {
            Ok(technology) => found.push(technology),
            Err(why) => missing.push(Missing::new(Isolation::Container, why)),
        }
    }
    if wanted(Isolation::Microvm) {
        let why = "no backend for microVMs is built in yet";
        missing.push(Missing::new(Isolation::Microvm, why));
    }
    if wanted(Isolation::Vm) || wanted(Isolation::Nested) {
        let mut ways = vec![Isolation::Vm, Isolation::Nested];
        ways.retain(|way| wanted(*way));
        found.extend(machines::measure(context, &args.image, &ways).await?);
    }
    Ok((found, missing))
}

async fn process(context: &Context) -> Result<Technology, Error> {
    let place = Place::Here;
    let dirs = context.dirs()?;
    let mut technology = beside(Isolation::Process, &place, |request| {
        request.folder = Some(place::existing(&dirs.state).to_owned());
    })
    .await?;
    technology.by = "fork and exec".into();
    Ok(technology)
}

async fn contained(context: &Context) -> Result<Result<Technology, String>, Error> {
    let dirs = context.dirs()?;
    let parent = place::existing(&dirs.state);
    let (bundle, runtime) = match Bundle::make(parent).await? {
        Ok(made) => made,
        Err(why) => return Ok(Err(why)),
    };
    let place = Place::Container(bundle);
    let mut technology = beside(Isolation::Container, &place, |request| {
        request.folder = Some("/".into());
    })
    .await?;
    technology.by = runtime;
    Ok(Ok(technology))
}

/// A technology that runs a program of this machine.
async fn beside(
    way: Isolation,
    place: &Place,
    adjust: impl FnOnce(&mut Request),
) -> Result<Technology, Error> {
    let start = starts(place).await?;
    let (memory, seen) = technology::at_rest(place).await?;
    let mut request = Request {
        groups: Group::ALL.to_vec(),
        ..Request::default()
    };
    adjust(&mut request);
    let (answering, peer) = match way {
        // Without a card of its own, all it can speak with is itself.
        Isolation::Process => {
            let mut answering = place.start(&[role::ANSWER, "127.0.0.1"]).await?;
            let port: u16 = answering.json().await?;
            (Some(answering), Some(([127, 0, 0, 1], port).into()))
        }
        _ => (None, None),
    };
    request.peers = peer
        .into_iter()
        .map(|address| ("loopback".to_owned(), address))
        .collect();
    let measured = bench::measure(place, &request).await?;
    drop(answering);
    Ok(Technology {
        way,
        by: String::new(),
        start,
        memory,
        seen,
        figures: measured.figures,
    })
}

/// How long it takes until a program that does nothing has run.
async fn starts(place: &Place) -> Result<Figure, Error> {
    let mut samples = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut program = place.start(&[NOTHING]).await?;
        while program.line().await?.is_some() {}
        samples.push(begun.elapsed().as_secs_f64());
    }
    Ok(technology::start(samples))
}

fn tell(context: &Context, found: &[Technology], missing: &[Missing]) {
    if context.global.json {
        return output::json(&json!({
            "schema": SCHEMA,
            "nestlab": env!("CARGO_PKG_VERSION"),
            "technologies": found.iter().map(Technology::json).collect::<Vec<_>>(),
            "missing": missing.iter().map(Missing::json).collect::<Vec<_>>(),
        }));
    }
    let mut text = output::table(&technology::rows(found));
    for Missing { way, why } in missing {
        text.push_str(&format!("\n{}: not measured, {why}", way.name()));
    }
    for line in technology::advice() {
        text.push_str(&format!("\n{line}"));
    }
    output::data(&(text + "\n"));
}
