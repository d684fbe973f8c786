//! `nestlab status`: the tree, and what each level really runs on.

use crate::context::Context;
use crate::error::Error;
use crate::place::{Place, Record};
use crate::render::tree;
use crate::{output, supervisor};
use nestlab_api::message::LayerReport;
use nestlab_model::{LayerStatus, NodeStatus};
use serde_json::{Value, json};

pub fn run(context: &Context) -> Result<u8, Error> {
    let place = context.place()?;
    let Some(record) = place.record.clone() else {
        return never_up(context, &place);
    };
    context.block_on(async {
        let client = supervisor::ensure_running(&place, &record).await?;
        let report = client.layer().await?;
        show(context, &record, &report);
        Ok(0)
    })
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
