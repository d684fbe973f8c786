//! The provider `virtualbox`, most of which is words for its own command line.

use super::{Hardware, cpus, memory, size};
use crate::report::Mark;
use crate::vagrant::datum::{Datum, Event, Log, What};
use crate::vagrant::notes::Notes;
use std::borrow::Cow;

const GROUP: &str = "provider `virtualbox`";

const IGNORED: [&str; 12] = [
    "auto_nat_dns_proxy",
    "check_guest_additions",
    "default_nic_type",
    "destroy_unused_network_interfaces",
    "disks",
    "functional_vboxsf",
    "gui",
    "linked_clone",
    "linked_clone_snapshot",
    "name",
    "network_adapter",
    "optimize_memory",
];

/// The commands in their order, each with the event that it belongs to. `memory=` and `cpus=`
/// are commands, too.
pub(in crate::vagrant) fn customizations(
    log: &Log,
) -> impl Iterator<Item = (String, Vec<Cow<'_, Datum>>, Mark)> {
    log.events.iter().filter_map(|event| {
        let (when, words) = match (event.name.as_str(), &event.what) {
            ("memory", What::Set(value)) => (
                "pre-boot".into(),
                modify("--memory", Datum::Text(value.show())),
            ),
            ("cpus", What::Set(value)) => {
                let count = value.integer().map_or(value.clone(), Datum::Int);
                ("pre-boot".into(), modify("--cpus", count))
            }
            ("customize", What::Call(args)) => command(args)?,
            _ => return None,
        };
        Some((when, words, event.mark))
    })
}

fn modify(option: &str, value: Datum) -> Vec<Cow<'static, Datum>> {
    let words = [
        Datum::text("modifyvm"),
        Datum::Symbol("id".into()),
        Datum::text(option),
        value,
    ];
    words.into_iter().map(Cow::Owned).collect()
}

fn command(args: &[Datum]) -> Option<(String, Vec<Cow<'_, Datum>>)> {
    let (when, rest) = match args {
        [Datum::Text(when), rest @ ..] => (when.clone(), rest),
        rest => ("pre-boot".to_owned(), rest),
    };
    let words = rest.first()?.items();
    Some((when, words.into_iter().map(Cow::Borrowed).collect()))
}

pub(super) fn read(hardware: &mut Hardware, log: &Log, notes: &mut Notes<'_>) {
    for (_, words, mark) in customizations(log) {
        let words: Vec<&Datum> = words.iter().map(AsRef::as_ref).collect();
        customize(hardware, &words, mark, notes);
    }
    for event in &log.events {
        match event.name.as_str() {
            "memory" | "cpus" | "customize" => {}
            name if IGNORED.contains(&name) => notes.ignore(GROUP, name, event.mark),
            name => {
                let meant = ["memory", "cpus", "customize"];
                let known = meant.into_iter().chain(IGNORED);
                notes.unknown("virtualbox", name, event.mark, known);
            }
        }
    }
}

fn customize(hardware: &mut Hardware, words: &[&Datum], mark: Mark, notes: &mut Notes<'_>) {
    let verb = words.first().map(|word| word.show()).unwrap_or_default();
    if matches!(verb.as_str(), "createhd" | "createmedium") {
        medium(hardware, words, mark, notes);
        return;
    }
    if verb != "modifyvm" {
        let shown = if verb.is_empty() { "customize" } else { &verb };
        notes.ignore("VirtualBox's commands", shown, mark);
        return;
    }
    let mut at = 1;
    while at < words.len() {
        let word = words[at].show();
        // `:id` stands for the machine.
        if !word.starts_with("--") {
            at += 1;
            continue;
        }
        let value = words.get(at + 1).copied().unwrap_or(&Datum::Nil);
        let event = Event {
            name: word.clone(),
            what: What::Set(value.clone()),
            mark,
        };
        match word.as_str() {
            "--memory" => hardware.memory = memory(value, &event, notes),
            "--cpus" => hardware.cpus = cpus(value, &event, notes),
            "--nested-hw-virt" | "--nestedhwvirt" => {
                hardware.nested = (value.show() == "on").then_some(mark);
            }
            _ => notes.ignore("VirtualBox's `modifyvm`", &word, mark),
        }
        at += 2;
    }
}

/// `["createhd", "--filename", FILE, "--size", MIB]`.
fn medium(hardware: &mut Hardware, words: &[&Datum], mark: Mark, notes: &mut Notes<'_>) {
    let at = words.iter().position(|word| word.show() == "--size");
    let Some(value) = at.and_then(|at| words.get(at + 1)) else {
        notes.ignore("VirtualBox's commands", "createmedium", mark);
        return;
    };
    let event = Event {
        name: "--size".into(),
        what: What::Set((*value).clone()),
        mark,
    };
    if let Some(size) = size(value, "MiB", &event, notes) {
        hardware.disks.push((None, size, mark));
    }
}
