//! `nestlab init`: a lab file to begin with.

use crate::cli::InitArgs;
use crate::context::Context;
use crate::error::Error;
use crate::output;
use crate::starters::{self, FILE, Starter};
use serde_json::json;
use std::path::PathBuf;

pub fn run(context: &Context, args: &InitArgs) -> Result<u8, Error> {
    if args.list {
        list(context);
        return Ok(0);
    }
    let starter = Starter::named(&args.starter)?;
    let folder = match &context.global.directory {
        Some(folder) => folder.clone(),
        None => PathBuf::from("."),
    };
    let cannot = |error| Error::caused(format!("Cannot open `{}`", folder.display()), &error);
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    let whole = folder.canonicalize().map_err(cannot)?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    starter.write(&folder, &starters::lab_name(&name))?;
    context.say(&format!(
        "{} holds {}; `nestlab up` brings it up",
        folder.join(FILE).display(),
        starter.about
    ));
    Ok(0)
}

fn list(context: &Context) {
    if context.global.json {
        let starters = starters::ALL.iter();
        let starters = starters.map(|one| json!({ "name": one.name, "about": one.about }));
        return output::json(&json!({ "starters": starters.collect::<Vec<_>>() }));
    }
    let rows: Vec<_> = starters::ALL
        .iter()
        .map(|starter| vec![starter.name.to_owned(), starter.about.to_owned()])
        .collect();
    output::data(&output::table(&rows));
}
