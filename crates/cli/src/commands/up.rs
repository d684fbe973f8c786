//! `nestlab up`: makes the lab as its file says. Other verbs that do so in a way of their
//! own ([`Way`]) call it.

use super::ansible::Plays;
use super::{doctor, operation};
use crate::cli::UpArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::machine::{self, Provider};
use crate::output;
use crate::place::{self, Place, Record};
use crate::starters::{self, Starter};
use crate::supervisor;
use nestlab_api::client::Client;
use nestlab_api::message::{ImageSource, LayerSpec, ProvisionChoice, UpRequest};
use nestlab_labfile::VagrantMachine;
use nestlab_model::{Lab, Layer, NodePath, Playbook};
use std::collections::BTreeSet;
use std::fs::File;
use std::process::Stdio;

/// Actions that are no `up` to whoever asked for them, as Vagrant calls them.
pub const PROVISION: &str = "provision";
pub const SYNC: &str = "sync_folders";

/// How a lab is made as its file says.
#[derive(Debug, Default)]
pub struct Way {
    /// What Vagrant calls it.
    pub action: &'static str,
    /// Nodes meant; all if empty.
    pub paths: Vec<NodePath>,
    /// Which provisioners run.
    pub provision: ProvisionChoice,
    /// Whether templates are left alone.
    pub cold: bool,
    /// Whether packages that are missing here are installed without asking.
    pub install: bool,
}

impl Way {
    fn of(args: &UpArgs) -> Self {
        Self {
            action: "up",
            paths: args.paths.clone(),
            provision: choice(args.provision, args.no_provision, &args.provision_with),
            cold: args.cold,
            install: args.yes,
        }
    }
}

pub fn run(context: &Context, args: UpArgs) -> Result<u8, Error> {
    let mut place = match &args.starter {
        Some(name) => begun(context, name)?,
        None => context.place()?,
    };
    let mut way = Way::of(&args);
    if let Some(record) = place.record.clone().filter(|r| r.fork_of.is_some()) {
        return match args.no_wait {
            true => in_background(context, &place, &record, &way),
            false => context.block_on(bring_up(context, &place, &record, None, &way)),
        };
    }
    let file = place.existing_file()?.to_owned();
    let (mut lab, machines) = context.load_with_machines(&file)?;
    check(&lab, &way)?;
    if way.paths.is_empty() {
        way.paths = by_themselves(&machines)?;
    }
    let record = place.register(lab.name.as_str(), context.global.provider.as_deref())?;
    if args.starter.is_some() && !context.global.json {
        // Before anything can go wrong: without it nobody would know what to destroy.
        output::data(&format!("{}\n", record.id));
    }
    if args.no_wait {
        return in_background(context, &place, &record, &way);
    }
    context.block_on(async {
        super::image::pin(context, &file, &mut lab.images).await?;
        bring_up(context, &place, &record, Some(lab), &way).await
    })
}

/// The nodes that come up without being named: all, if there is no path. A Vagrantfile may
/// say of machines that they do not.
fn by_themselves(machines: &[VagrantMachine]) -> Result<Vec<NodePath>, Error> {
    let (come, wait): (Vec<_>, Vec<_>) = machines.iter().partition(|machine| machine.autostart);
    if come.is_empty() && !wait.is_empty() {
        let names: Vec<String> = wait
            .iter()
            .map(|machine| format!("`{}`", machine.node))
            .collect();
        return Err(Error::new(
            Code::Usage,
            "No machine of the Vagrantfile comes up by itself",
        )
        .hint(format!("Name those that shall: {}", names.join(", "))));
    }
    if wait.is_empty() {
        return Ok(Vec::new());
    }
    let paths = come.iter().map(|machine| machine.node.parse());
    paths
        .collect::<Result<_, _>>()
        .map_err(|error| Error::caused("Cannot tell which nodes are meant", &error))
}

/// The lab as its file has it now. A fork is what it was copied from, whatever has become
/// of the file.
pub async fn current(
    context: &Context,
    place: &Place,
    record: &Record,
    way: &Way,
) -> Result<Option<Lab>, Error> {
    if record.fork_of.is_some() {
        return Ok(None);
    }
    let file = place.existing_file()?;
    let mut lab = context.load(file)?;
    check(&lab, way)?;
    super::image::pin(context, file, &mut lab.images).await?;
    Ok(Some(lab))
}

/// The lab of a starter, in a folder of its own.
fn begun(context: &Context, starter: &str) -> Result<Place, Error> {
    let starter = Starter::named(starter)?;
    let dirs = context.dirs()?;
    let (folder, name) = dirs.new_starter(starter.name)?;
    starter.write(&folder, &name)?;
    place::of_file(&dirs, &folder.join(starters::FILE))
}

/// Makes the lab so, in that way.
pub async fn bring_up(
    context: &Context,
    place: &Place,
    record: &Record,
    lab: Option<Lab>,
    way: &Way,
) -> Result<u8, Error> {
    if let Some(lab) = &lab
        && !supervisor::is_running(place, record).await
    {
        doctor::provide(context, lab, way.install).await?;
    }
    let plays = match &lab {
        Some(lab) => Plays::of(lab, way)?,
        None => Plays::default(),
    };
    let (told, client) = begin(context, place, record, lab.as_ref()).await?;
    let layer = match lab {
        Some(lab) => {
            let spec = spec(record, lab);
            client.put_layer(&spec).await?;
            spec.layer
        }
        None => client.spec().await?.layer,
    };
    check_paths(&layer, &way.paths)?;
    let order: Vec<NodePath> = layer.walk().into_iter().map(|(path, _)| path).collect();
    let meant = tell_machines(context, &layer, way);
    let request = UpRequest {
        paths: way.paths.clone(),
        provision: way.provision.clone(),
        cold: way.cold,
        boot_only: false,
    };
    let begin = |client: Client| async move { client.up(&request).await };
    let mut done = operation::run(context, &client, order, begin).await?;
    done.progress.finish();
    machine::action(context, way.action, "end", &meant);
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
    plays.run(context, place, record, &layer, &client).await?;
    let elapsed = done.progress.elapsed();
    let name = context.paint("1;32", &record.name);
    context.say(&match way.action {
        PROVISION => format!("Provisioned in {elapsed}"),
        SYNC => format!("Copied in {elapsed}"),
        _ => format!("{name} is up in {elapsed}"),
    });
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

/// Which provisioners run, by the options that verbs have for it.
pub fn choice(again: bool, none: bool, only: &Option<Vec<String>>) -> ProvisionChoice {
    match (only, again, none) {
        (Some(names), ..) => ProvisionChoice::Only(names.clone()),
        (None, true, _) => ProvisionChoice::Force,
        (None, _, true) => ProvisionChoice::None,
        _ => ProvisionChoice::Policy,
    }
}

/// Says for scripts that read Vagrant's output what begins; returns the nodes meant.
fn tell_machines(context: &Context, layer: &Layer, way: &Way) -> Vec<NodePath> {
    let is_meant = |path: &NodePath| {
        way.paths.is_empty() || way.paths.iter().any(|meant| meant.contains(path))
    };
    let mut meant = Vec::new();
    for (path, node) in layer.walk() {
        if !is_meant(&path) {
            continue;
        }
        if context.global.machine_readable {
            let provider = Provider::of_kind(context, node.kind);
            let data = ["provider", provider.name()];
            machine::line(&path.to_string(), "metadata", &data);
        }
        meant.push(path);
    }
    machine::action(context, way.action, "start", &meant);
    meant
}

/// Whether the lab has the nodes and provisioners that are named.
fn check(lab: &Lab, way: &Way) -> Result<(), Error> {
    check_paths(&lab.layer, &way.paths)?;
    match &way.provision {
        ProvisionChoice::Only(names) => check_steps(lab, names),
        _ => Ok(()),
    }
}

fn check_steps(lab: &Lab, names: &[String]) -> Result<(), Error> {
    let nodes = lab.layer.walk();
    let steps = nodes.iter().flat_map(|(_, node)| &node.provision);
    let (mut known, mut kinds) = (BTreeSet::new(), BTreeSet::from(["shell", "file"]));
    for step in steps {
        known.insert(step.name.as_str());
        kinds.insert(step.action.kind());
    }
    for play in &lab.playbooks {
        known.insert(play.name.as_str());
        kinds.insert(Playbook::KIND);
    }
    let is_known = |name: &&String| known.contains(name.as_str()) || kinds.contains(name.as_str());
    let Some(unknown) = names.iter().find(|name| !is_known(name)) else {
        return Ok(());
    };
    let message = format!("The lab file has no provisioner `{unknown}`");
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Err(
        Error::new(Code::Usage, message).hint(match known.is_empty() {
            true => "It has none at all".to_owned(),
            false => format!("Its provisioners: {}", known.join(", ")),
        }),
    )
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
    way: &Way,
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
    for (name, image) in &context.global.box_alias {
        command.arg("--box-alias").arg(format!("{name}={image}"));
    }
    if let Some(provider) = &context.global.provider {
        command.arg("--provider").arg(provider);
    }
    command.arg("up");
    match &way.provision {
        ProvisionChoice::Policy => {}
        ProvisionChoice::None => drop(command.arg("--no-provision")),
        ProvisionChoice::Force => drop(command.arg("--provision")),
        ProvisionChoice::Only(names) => {
            command.arg("--provision-with").arg(names.join(","));
        }
    }
    if way.cold {
        command.arg("--cold");
    }
    command.args(way.paths.iter().map(NodePath::to_string));
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
