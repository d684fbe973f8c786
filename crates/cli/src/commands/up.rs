//! `nestlab up`: makes the lab as its file says.

use super::ansible::Plays;
use super::{doctor, operation};
use crate::cli::UpArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::place::{self, Place, Record};
use crate::starters::{self, Starter};
use crate::supervisor;
use nestlab_api::client::Client;
use nestlab_api::message::{ImageSource, LayerSpec, ProvisionChoice, UpRequest};
use nestlab_model::{Lab, Layer, NodePath};
use std::fs::File;
use std::process::Stdio;

pub fn run(context: &Context, args: UpArgs) -> Result<u8, Error> {
    let mut place = match &args.starter {
        Some(name) => begun(context, name)?,
        None => context.place()?,
    };
    if let Some(record) = place.record.clone().filter(|r| r.fork_of.is_some()) {
        return match args.no_wait {
            true => in_background(context, &place, &record, &args),
            false => context.block_on(bring_up(context, &place, &record, None, &args)),
        };
    }
    let file = place.existing_file()?.to_owned();
    let mut lab = context.load(&file)?;
    check_paths(&lab.layer, &args.paths)?;
    let plays = Plays::of(&lab, &args)?;
    let record = place.register(lab.name.as_str())?;
    if args.starter.is_some() && !context.global.json {
        // Before anything can go wrong: without it nobody would know what to destroy.
        output::data(&format!("{}\n", record.id));
    }
    if args.no_wait {
        return in_background(context, &place, &record, &args);
    }
    context.block_on(async {
        super::image::pin(context, &file, &mut lab.images).await?;
        let layer = lab.layer.clone();
        let done = bring_up(context, &place, &record, Some(lab), &args).await?;
        let client = place.client(&record);
        plays.run(context, &place, &record, &layer, &client).await?;
        Ok(done)
    })
}

/// The lab of a starter, in a folder of its own.
fn begun(context: &Context, starter: &str) -> Result<Place, Error> {
    let starter = Starter::named(starter)?;
    let dirs = context.dirs()?;
    let (folder, name) = dirs.new_starter(starter.name)?;
    starter.write(&folder, &name)?;
    place::of_file(&dirs, &folder.join(starters::FILE))
}

async fn bring_up(
    context: &Context,
    place: &Place,
    record: &Record,
    lab: Option<Lab>,
    args: &UpArgs,
) -> Result<u8, Error> {
    let (told, client) = begin(context, place, record, lab.as_ref()).await?;
    // A fork is what it was copied from, whatever has become of the file.
    let layer = match lab {
        Some(lab) => {
            let spec = spec(record, lab);
            client.put_layer(&spec).await?;
            spec.layer
        }
        None => client.spec().await?.layer,
    };
    check_paths(&layer, &args.paths)?;
    let order: Vec<NodePath> = layer.walk().into_iter().map(|(path, _)| path).collect();
    let request = UpRequest {
        paths: args.paths.clone(),
        provision: provision(args),
        cold: args.cold,
        boot_only: false,
    };
    let begin = |client: Client| async move { client.up(&request).await };
    let mut done = operation::run(context, &client, order, begin).await?;
    done.progress.finish();
    let status = &done.outcome.status;
    if context.global.json {
        output::json_line(
            &serde_json::json!({ "event": "outcome", "lab": record.name, "ok": done.outcome.ok, "status": status }),
        );
    }
    if !done.outcome.ok {
        if !told {
            doctor::explain(context, &place.dirs).await;
        }
        return Err(operation::failure(
            context,
            status,
            &done.progress,
            "brought up",
        ));
    }
    let elapsed = done.progress.elapsed();
    context.say(&format!(
        "{} is up in {elapsed}",
        context.paint("1;32", &record.name)
    ));
    if !context.global.quiet && !context.global.json {
        for listener in client.layer().await?.listeners {
            context.say(&format!("  {}", super::port::line(&listener)));
        }
    }
    Ok(0)
}

/// Has the lab's supervisor run. Of a lab that does not run yet it is said meanwhile what
/// will go wrong; the first value tells whether there was anything.
async fn begin(
    context: &Context,
    place: &Place,
    record: &Record,
    lab: Option<&Lab>,
) -> Result<(bool, Client), Error> {
    let ensured = supervisor::ensure_running(place, record);
    let (told, client) = match lab {
        Some(lab) if !supervisor::is_running(place, record).await => {
            let foretold = doctor::foretell(context, &place.dirs, &lab.layer);
            futures::join!(foretold, ensured)
        }
        _ => (false, ensured.await),
    };
    client.map(|client| (told, client))
}

/// What the host is told to make.
pub fn spec(record: &Record, lab: Lab) -> LayerSpec {
    let images = lab
        .images
        .into_iter()
        .map(|(name, spec)| (name, ImageSource::Spec(spec)));
    LayerSpec {
        lab_id: record.id.clone(),
        path: NodePath::host(),
        layer: lab.layer,
        images: images.collect(),
        kit: None,
        chain: String::new(),
        proved: Default::default(),
        templates: lab.templates,
        authorized_keys: public_keys(),
    }
}

/// The user's own public keys.
fn public_keys() -> Vec<String> {
    let folder = std::env::home_dir().map(|home| home.join(".ssh"));
    let entries = folder
        .map(std::fs::read_dir)
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
    files.sort();
    let texts = files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let is_key = |line: &&str| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|kind| line.starts_with(kind))
    };
    let keys = texts.flat_map(|text| {
        text.lines()
            .filter(is_key)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    keys.collect()
}

fn provision(args: &UpArgs) -> ProvisionChoice {
    match (args.provision, args.no_provision) {
        (true, _) => ProvisionChoice::Force,
        (_, true) => ProvisionChoice::None,
        _ => ProvisionChoice::Policy,
    }
}

fn check_paths(layer: &Layer, paths: &[NodePath]) -> Result<(), Error> {
    for path in paths.iter().filter(|path| !path.is_host()) {
        if layer.descend(path).is_none() {
            let known: Vec<String> = layer
                .walk()
                .iter()
                .map(|(path, _)| format!("`{path}`"))
                .collect();
            return Err(
                Error::new(Code::Unknown, format!("The lab file has no node `{path}`"))
                    .hint(format!("Its nodes: {}", known.join(", "))),
            );
        }
    }
    Ok(())
}

/// Leaves another `up` behind: an operation lives as long as its caller.
fn in_background(
    context: &Context,
    place: &Place,
    record: &Record,
    args: &UpArgs,
) -> Result<u8, Error> {
    let what = "Cannot go on in the background";
    let fail = |error: std::io::Error| Error::caused(what, &error);
    let log = place.dirs.lab_state(&record.id).join("up.log");
    let output = File::create(&log).map_err(fail)?;
    let mut command = tokio::process::Command::new(std::env::current_exe().map_err(fail)?);
    command
        .arg("--file")
        .arg(&place.file)
        .arg("--lab")
        .arg(&record.id);
    for (key, value) in &context.global.set {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.arg("up");
    match provision(args) {
        ProvisionChoice::Policy => {}
        ProvisionChoice::None => drop(command.arg("--no-provision")),
        ProvisionChoice::Force => drop(command.arg("--provision")),
    }
    if args.cold {
        command.arg("--cold");
    }
    command.args(args.paths.iter().map(NodePath::to_string));
    command.stdin(Stdio::null());
    command
        .stdout(output.try_clone().map_err(fail)?)
        .stderr(output);
    nestlab_sys::process::detach(&mut command);
    context.block_on(async { command.spawn().map(drop).map_err(fail) })?;
    context.say(&format!(
        "{} comes up in the background; `nestlab wait` waits for it",
        record.name
    ));
    context.say(&format!("  what it says goes to `{}`", log.display()));
    Ok(0)
}
