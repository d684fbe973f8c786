//! Completions that know the lab: the nodes of the file or of the running lab,
//! and the labs of this machine. Silent and quick, whatever is wrong.

use crate::cli::Global;
use crate::context::Context;
use crate::place::{self, Dirs};
use clap::Parser;
use clap_complete::CompletionCandidate;
use nestlab_labfile::OsFiles;
use nestlab_model::NodePath;
use std::ffi::OsStr;
use std::time::Duration;

/// How long a running lab may take to name its nodes.
const PATIENCE: Duration = Duration::from_millis(300);

/// Labs by name.
pub fn labs(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(dirs) = Dirs::from_env() else {
        return Vec::new();
    };
    let names = dirs.records().into_iter().map(|record| record.name);
    matching(names, current)
}

/// Paths of nodes.
pub fn nodes(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(
        node_paths()
            .unwrap_or_default()
            .iter()
            .map(NodePath::to_string),
        current,
    )
}

/// Snapshots of the lab, by name: its supervisor need not run.
pub fn snapshots(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(snapshot_names().unwrap_or_default().into_iter(), current)
}

fn snapshot_names() -> Option<Vec<String>> {
    let dirs = Dirs::from_env().ok()?;
    let place = place::find(&dirs, &typed()?).ok()?;
    let folder = dirs.lab_state(&place.record?.id).join("snapshots");
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    Some(names.filter(|name| !name.starts_with('.')).collect())
}

fn matching(words: impl Iterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    words
        .filter(|word| word.starts_with(&*current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Only the options that choose a lab, out of whatever has been typed.
#[derive(Parser)]
#[command(ignore_errors = true, disable_help_flag = true)]
struct Typed {
    #[command(flatten)]
    global: Global,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

/// The options before what is completed.
fn typed() -> Option<Global> {
    // The words behind `--` are those that the shell completes.
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    Some(Typed::try_parse_from(words).ok()?.global)
}

fn node_paths() -> Option<Vec<NodePath>> {
    let place = place::find(&Dirs::from_env().ok()?, &typed()?).ok()?;
    let settings = Context::new(typed()?).settings().ok()?;
    let loaded = nestlab_labfile::load_as(&OsFiles, &place.file, &settings);
    if let Some(lab) = loaded.lab {
        return Some(lab.layer.walk().into_iter().map(|(path, _)| path).collect());
    }
    let client = place.client(place.record.as_ref()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let report = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.layer()).await });
    let status = report.ok()?.ok()?.status;
    Some(
        status
            .walk()
            .into_iter()
            .map(|node| node.path.clone())
            .collect(),
    )
}
