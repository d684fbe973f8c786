//! `nestlab bench`: how fast this machine and every level of a lab is, by the same work
//! at each, and what each level leaves of the speed of the one below it.

mod level;
mod noise;
pub mod report;
mod runner;
pub mod table;
mod targets;

pub use level::{Level, measure};
pub use runner::Place;

use crate::cli::BenchArgs;
use crate::context::Context;
use crate::error::Error;
use crate::{output, place, supervisor};
use nestlab_api::client::Client;
use nestlab_model::NodePath;
use serde_json::json;
use targets::Target;

/// The version of the JSON that is written.
const SCHEMA: u32 = 1;

pub fn run(context: &Context, args: BenchArgs) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let lab = match &args.of {
        Some(name) => Some(place::named(&dirs, name)?),
        None => None,
    };
    context.block_on(async {
        let here = Target::this_machine(place::existing(&dirs.state));
        let mut targets = vec![here];
        let mut client = None;
        if let Some(lab) = lab {
            let found = supervisor::ensure_running(&lab, lab.known()?).await?;
            targets.extend(targets::inside(&found, &args.paths).await?);
            client = Some(found);
        }
        let levels = level::all(context, client.as_ref(), &targets, &args.only).await?;
        for level in &levels {
            for warning in &level.warnings {
                context.warn(&format!("{}: {warning}", level.name()));
            }
        }
        if let Some(file) = &args.report {
            report::write(file, &levels)?;
            context.say(&format!("The report is in {}", file.display()));
        }
        tell(context, &levels);
        Ok(0)
    })
}

/// Measures nodes of a lab, each after those it stands in.
pub async fn inside(
    context: &Context,
    client: &Client,
    paths: &[NodePath],
) -> Result<Vec<Level>, Error> {
    let targets = targets::inside(client, paths).await?;
    level::all(context, Some(client), &targets, &[]).await
}

fn tell(context: &Context, levels: &[Level]) {
    if !context.global.json {
        return output::data(&table::text(levels));
    }
    let described = levels.iter().map(|level| level.json(levels));
    output::json(&json!({
        "schema": SCHEMA,
        "nestlab": env!("CARGO_PKG_VERSION"),
        "levels": described.collect::<Vec<_>>(),
    }));
}

/// How a level is called where people read it.
pub fn name_of(path: &NodePath) -> String {
    match path.is_host() {
        true => "this machine".to_owned(),
        false => path.to_string(),
    }
}
