//! Verbs by which the program describes itself: `schema`, `api-description`,
//! `completions`, `version`.

use crate::cli::{CompletionsArgs, Shell};
use crate::context::Context;
use crate::error::Error;
use crate::{machine, output};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};
use nestlab_api::message::API_VERSION;

pub fn schema(_: &Context) -> Result<u8, Error> {
    output::json(&nestlab_labfile::schema());
    Ok(0)
}

pub fn api(_: &Context) -> Result<u8, Error> {
    output::json(&nestlab_api::openapi::openapi());
    Ok(0)
}

pub fn version(context: &Context) -> Result<u8, Error> {
    let version = env!("CARGO_PKG_VERSION");
    if context.global.machine_readable {
        machine::ui("", "output", &format!("Installed Version: {version}"));
        machine::line("", "version-installed", &[version]);
    } else if context.global.json {
        output::json(&serde_json::json!({ "version": version, "api": API_VERSION }));
    } else {
        output::data(&format!("nestlab {version}\n"));
    }
    Ok(0)
}

/// A script that asks this program for every completion, so that it knows the
/// nodes of the lab at hand.
pub fn completions(args: &CompletionsArgs) -> Result<u8, Error> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    shell
        .write_registration("COMPLETE", "nestlab", "nestlab", "nestlab", &mut script)
        .map_err(|error| Error::caused("Cannot write the completion script", &error))?;
    output::data(&String::from_utf8_lossy(&script));
    Ok(0)
}
