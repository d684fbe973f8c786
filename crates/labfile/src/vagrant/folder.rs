//! Synced folders. Nothing is mounted here: they are copied when the node comes up, one way.

use super::datum::Options;
use super::document::Node;
use super::machine::Machine;
use super::notes::Notes;
use super::tree::Context;
use crate::files::FileKind;
use crate::report::Mark;

/// What nobody wants in a node: histories, states of tools, disks of machines.
const SKIPPED: [&str; 6] = [
    ".git",
    ".hg",
    ".svn",
    ".vagrant",
    ".nestlab",
    "nestlab.lock",
];
const SKIPPED_ENDINGS: [&str; 7] = [".box", ".qcow2", ".vdi", ".vmdk", ".vhd", ".vhdx", ".raw"];

/// Options that say how a folder is mounted, which it is not.
const KNOWN: [&str; 4] = ["guestpath", "hostpath", "disabled", "create"];

/// The `files:` that a machine's folders amount to.
pub(super) fn copies(machine: &Machine, cx: &Context<'_>, notes: &mut Notes<'_>) -> Vec<Node> {
    let mut copies = Vec::new();
    for (_, options) in &machine.folders {
        if !options.is("disabled") {
            folder(options, cx, notes, &mut copies);
        }
    }
    copies
}

fn folder(options: &Options, cx: &Context<'_>, notes: &mut Notes<'_>, copies: &mut Vec<Node>) {
    let mark = options.mark;
    let Some(target) = options.text("guestpath").filter(|path| !path.is_empty()) else {
        notes.ignore(
            "`config.vm.synced_folder`",
            "a folder without a place in the machine",
            mark,
        );
        return;
    };
    for (name, value) in options.iter() {
        if !KNOWN.contains(&name) && !name.starts_with("rsync__") && name != "type" {
            notes.ignore("`config.vm.synced_folder`", name, value.mark);
        }
    }
    let source = cx.expand(&options.text("hostpath").unwrap_or_default());
    let there = cx.files.kind(&cx.path(&source));
    if there.is_none() && options.is("create") {
        return;
    }
    if notes.first("vagrant-folder") {
        let message =
            "Synced folders are copied when a node comes up; later changes stay on either side";
        let hint = "`nestlab up` copies them again; `disabled: true` leaves one out";
        notes.note("vagrant-folder", mark, message, hint);
    }
    let excluded: Vec<String> = ["rsync__exclude", "rsync_excludes"]
        .iter()
        .filter_map(|name| options.get(name))
        .flat_map(|names| {
            names
                .datum
                .items()
                .into_iter()
                .map(|name| name.show())
                .collect::<Vec<_>>()
        })
        .map(|name| name.trim_matches('/').to_owned())
        .collect();
    match there {
        Some(FileKind::Folder) => parts(&source, &target, &excluded, mark, cx, copies),
        _ => copies.push(copy(mark, &source, &target)),
    }
}

/// The folder as a whole; or what lies in it one by one, if some of that stays behind.
fn parts(
    source: &str,
    target: &str,
    excluded: &[String],
    mark: Mark,
    cx: &Context<'_>,
    copies: &mut Vec<Node>,
) {
    let names = cx.files.list(&cx.path(source)).unwrap_or_default();
    let stays = |name: &String| {
        SKIPPED.contains(&name.as_str())
            || SKIPPED_ENDINGS.iter().any(|ending| name.ends_with(ending))
            || excluded.contains(name)
    };
    if !names.iter().any(stays) {
        copies.push(copy(mark, source, target));
        return;
    }
    let front = match source.trim_end_matches('/') {
        "." => String::new(),
        source => format!("{source}/"),
    };
    for name in names.iter().filter(|name| !stays(name)) {
        copies.push(copy(
            mark,
            &format!("{front}{name}"),
            &format!("{target}/{name}"),
        ));
    }
}

fn copy(mark: Mark, source: &str, target: &str) -> Node {
    let mut copy = Node::map(mark);
    copy.put("source", Node::text(mark, source));
    copy.put("target", Node::text(mark, target));
    copy
}
