//! Triggers. What runs in a machine after it came up is a step like any other; what runs on
//! this machine, or at other times, is not done.

use super::datum::{Log, Options};
use super::machine::{Machine, Trigger};
use super::notes::Notes;
use super::provision::{Frame, Steps};
use super::tree::Context;

/// Commands after which a machine is up.
const UP: [&str; 4] = ["up", "provision", "reload", "all"];

pub(super) fn step(
    trigger: &Trigger,
    machine: &Machine,
    steps: &mut Steps,
    cx: &Context<'_>,
    notes: &mut Notes<'_>,
) {
    let options = trigger.log.options();
    if !concerns(&options, machine) {
        return;
    }
    for (name, _) in options.iter() {
        if !["run", "run_remote", "name", "only_on"].contains(&name) {
            notes.ignore("`config.trigger`", name, options.mark(name));
        }
    }
    left_out(trigger, &options, notes);
    let Some(remote) = options.get("run_remote") else {
        return;
    };
    if trigger.at != "after" || !UP.contains(&trigger.command.as_str()) {
        let message = format!(
            "A trigger {} `{}` cannot run anything in a node",
            trigger.at, trigger.command
        );
        let hint = "after `up` it can; otherwise run it with `nestlab exec`";
        notes.warn("vagrant-trigger", trigger.log.mark, message, hint);
        return;
    }
    // What is said for several commands is one step.
    if trigger.command != first(&trigger.log, machine) {
        return;
    }
    let mut inner = Options::new(remote.mark);
    for (key, value) in remote.datum.entries() {
        inner.set(key.show(), value.clone(), remote.mark);
    }
    let frame = Frame {
        title: options.text("name"),
        run: Some("always".into()),
        mark: trigger.log.mark,
    };
    steps.shell(&inner, &frame, machine, cx, notes);
}

/// The first command of those that one trigger is said for.
fn first<'m>(log: &Log, machine: &'m Machine) -> &'m str {
    let same = |other: &&Trigger| {
        other.log.mark == log.mark && other.at == "after" && UP.contains(&other.command.as_str())
    };
    let found = machine.triggers.iter().find(same);
    found.map_or("", |trigger| &trigger.command)
}

/// `only_on` names machines, or has patterns for them.
fn concerns(options: &Options, machine: &Machine) -> bool {
    let Some(only) = options.get("only_on") else {
        return true;
    };
    only.datum.items().iter().any(|one| {
        let text = one.show();
        match text
            .strip_prefix('/')
            .and_then(|text| text.rsplit_once('/'))
        {
            Some((pattern, _)) => matches(pattern, &machine.name),
            None => text == machine.name,
        }
    })
}

/// The patterns that people write: plain letters with `.`, `.*`, `^` and `$`.
fn matches(pattern: &str, name: &str) -> bool {
    let (start, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (end, pattern) = match pattern.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let parts: Vec<&str> = pattern.split(".*").collect();
    let mut rest = name;
    for (number, part) in parts.iter().enumerate() {
        let anchored = number == 0 && start;
        let at = if anchored {
            rest.starts_with(part).then_some(0)
        } else {
            rest.find(part)
        };
        let Some(at) = at else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    !end || rest.is_empty()
        || parts
            .last()
            .is_some_and(|last| last.is_empty() || name.ends_with(last))
}

fn left_out(trigger: &Trigger, options: &Options, notes: &mut Notes<'_>) {
    let ruby = trigger.log.calls("ruby").next().map(|(_, mark)| mark);
    let here = options.get("run").map(|run| run.mark);
    let old = trigger.log.calls("run").next().map(|(_, mark)| mark);
    if let Some(mark) = ruby.or(here).or(old) {
        let message = "A trigger runs nothing on this machine";
        let hint = format!(
            "run it yourself {} `nestlab {}`",
            trigger.at, trigger.command
        );
        notes.warn("vagrant-trigger", mark, message, hint);
    }
}
