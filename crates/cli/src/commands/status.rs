//! `nestlab status`: the tree, and what each level really runs on.

use crate::cli::StatusArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::machine::{self, Provider};
use crate::place::{Place, Record};
use crate::render::tree;
use crate::{output, supervisor};
use nestlab_api::message::LayerReport;
use nestlab_labfile::VagrantMachine;
use nestlab_model::{Lab, LayerStatus, NodePath, NodeStatus};
use serde_json::{Value, json};

pub fn run(context: &Context, args: &StatusArgs) -> Result<u8, Error> {
    let place = context.place()?;
    let Some(record) = place.record.clone() else {
        return match context.global.machine_readable {
            true => tell_machines(context, &place, &LayerStatus::default(), &args.paths),
            false => never_up(context, &place),
        };
    };
    context.block_on(async {
        let client = supervisor::ensure_running(&place, &record).await?;
        let mut report = client.layer().await?;
        if context.global.machine_readable {
            return tell_machines(context, &place, &report.status, &args.paths);
        }
        for path in &args.paths {
            super::check_path(&report.status, path)?;
        }
        report.status = only(report.status, &args.paths);
        report
            .listeners
            .retain(|listener| is_meant(&listener.path, &args.paths));
        show(context, &record, &report);
        Ok(0)
    })
}

/// The nodes that paths mean, within those they stand in.
fn only(status: LayerStatus, paths: &[NodePath]) -> LayerStatus {
    let keep = |node: NodeStatus| {
        if is_meant(&node.path, paths) {
            return Some(node);
        }
        let inside = only(node.inside?, paths);
        (!inside.nodes.is_empty()).then_some(NodeStatus {
            inside: Some(inside),
            ..node
        })
    };
    LayerStatus {
        nodes: status.nodes.into_iter().filter_map(keep).collect(),
    }
}

fn is_meant(path: &NodePath, paths: &[NodePath]) -> bool {
    paths.is_empty() || paths.iter().any(|meant| meant.contains(path))
}

/// What `vagrant status --machine-readable` writes. Nodes of the file that were not brought
/// up yet are told, too; if it cannot be read now, what is there is.
fn tell_machines(
    context: &Context,
    place: &Place,
    status: &LayerStatus,
    paths: &[NodePath],
) -> Result<u8, Error> {
    let lab = lab_of(context, place, status)?;
    let provider = |path: &NodePath, otherwise: Provider| {
        let mut machines = lab.iter().flat_map(|(_, machines)| machines);
        let machine = machines.find(|machine| machine.node == path.to_string());
        machine.map_or(otherwise, |machine| Provider::named(&machine.provider))
    };
    let mut told: Vec<(NodePath, Provider, &'static str)> = Vec::new();
    for node in status.walk() {
        let provider = provider(&node.path, Provider::of(context, node));
        let state = provider.state(node);
        told.push((node.path.clone(), provider, state));
    }
    for (path, node) in lab.iter().flat_map(|(lab, _)| lab.layer.walk()) {
        if told.iter().all(|(known, ..)| *known != path) {
            let provider = provider(&path, Provider::of_kind(context, node.kind));
            told.push((path, provider, "not_created"));
        }
    }
    if let Some(path) = paths
        .iter()
        .find(|path| told.iter().all(|(known, ..)| known != *path))
    {
        let known: Vec<String> = told.iter().map(|(path, ..)| format!("`{path}`")).collect();
        let message = format!("There is no node `{path}` in this lab");
        let hint = format!("Its nodes: {}", known.join(", "));
        return Err(Error::new(Code::Unknown, message).hint(hint));
    }
    told.retain(|(path, ..)| is_meant(path, paths));
    for (path, provider, _) in &told {
        machine::line(
            &path.to_string(),
            "metadata",
            &["provider", provider.name()],
        );
    }
    for (path, provider, state) in &told {
        let target = path.to_string();
        machine::line(&target, "provider-name", &[provider.name()]);
        machine::line(&target, "state", &[state]);
        machine::line(&target, "state-human-short", &[&machine::short(state)]);
        machine::line(&target, "state-human-long", &[machine::long(state)]);
    }
    let rows = told.iter().map(|(path, provider, state)| {
        let name = path.to_string();
        format!("{name:<25} {} ({})", machine::short(state), provider.name())
    });
    let rows: Vec<String> = rows.collect();
    let text = format!("Current machine states:\n\n{}", rows.join("\n"));
    machine::ui("", "info", &text);
    Ok(0)
}

/// The lab as its file has it now, if that can be read: it must be if nothing else is known.
fn lab_of(
    context: &Context,
    place: &Place,
    status: &LayerStatus,
) -> Result<Option<(Lab, Vec<VagrantMachine>)>, Error> {
    if status.nodes.is_empty() {
        return context.load_with_machines(place.existing_file()?).map(Some);
    }
    let record = place.record.as_ref();
    if record.is_some_and(|record| record.fork_of.is_some()) {
        return Ok(None);
    }
    let read = context.read(&place.file)?;
    let machines = read.vagrant.unwrap_or_default();
    Ok(read.lab.map(|lab| (lab, machines)))
}

fn show(context: &Context, record: &Record, report: &LayerReport) {
    if context.global.json {
        return output::json(&document(record, report));
    }
    if report.status.nodes.is_empty() {
        output::data(&format!(
            "{} has no nodes; `nestlab up` makes them\n",
            record.name
        ));
        return;
    }
    let color = context.color_out();
    output::data(&tree::render(&report.status, color));
    if !report.listeners.is_empty() {
        let lines: Vec<String> = report.listeners.iter().map(super::port::line).collect();
        output::data(&format!("\n{}\n", lines.join("\n")));
    }
    let failures = tree::failures(&report.status, color);
    if !failures.is_empty() {
        output::data(&format!("\n{failures}"));
    }
    let troubles = tree::troubles(&report.status, color);
    if !troubles.is_empty() {
        output::data(&format!("\n{troubles}"));
    }
    if !record.file.is_file() {
        context.warn(&format!(
            "The lab file `{}` is gone; the lab runs on",
            record.file.display()
        ));
    }
}

fn document(record: &Record, report: &LayerReport) -> Value {
    json!({
        "lab": record.name,
        "id": record.id,
        "file": record.file,
        "known": true,
        "ready": !report.status.nodes.is_empty() && report.status.all_ready(),
        "keeper": report.keeper,
        "nodes": nodes(&report.status),
        "listeners": report.listeners,
    })
}

/// Every node of the tree in one list, parents before children.
pub fn nodes(status: &LayerStatus) -> Vec<Value> {
    let flat = |node: &NodeStatus| {
        let mut value = serde_json::to_value(NodeStatus {
            inside: None,
            ..node.clone()
        })
        .unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("inside");
            fields.insert("inside_known".into(), node.inside.is_some().into());
        }
        value
    };
    status.walk().into_iter().map(flat).collect()
}

fn never_up(context: &Context, place: &Place) -> Result<u8, Error> {
    if context.global.json {
        output::json(&json!({
            "lab": Value::Null,
            "file": place.file,
            "known": false,
            "ready": false,
            "nodes": [],
            "listeners": [],
        }));
    } else {
        let file = place.file.display();
        output::data(&format!(
            "The lab of `{file}` is not up; `nestlab up` brings it up\n"
        ));
    }
    Ok(0)
}
