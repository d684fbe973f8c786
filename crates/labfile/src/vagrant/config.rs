//! The scopes of a configuration and how Vagrant lays one over the other: what a block says
//! goes into a scope of its own, whatever was said outside, and only then they are merged.

use super::datum::{Datum, Log, Options};
use super::machine::{Network, Step, Trigger};
use crate::report::Mark;

/// What one block said. `B` is a block that waits to be run.
#[derive(Debug, Clone)]
pub(super) struct Scope<B> {
    /// Assignments to `config.vm`, and calls that are none of the below.
    pub vm: Log,
    /// By what makes two of them the same.
    pub networks: Vec<(String, Network)>,
    pub folders: Vec<(String, Options)>,
    pub steps: Vec<(StepId, Step)>,
    /// Providers in the order in which they were named, with their blocks.
    pub providers: Vec<(String, Vec<B>)>,
    pub machines: Vec<Defined<B>>,
    pub before: Vec<Trigger>,
    pub after: Vec<Trigger>,
    /// Everything beside `config.vm`.
    pub sections: Vec<(String, Log)>,
}

/// What tells provisioners apart: the name, or else that each is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepId {
    Name(String),
    Number(usize),
}

/// A `config.vm.define`.
#[derive(Debug, Clone)]
pub(super) struct Defined<B> {
    pub name: String,
    pub mark: Mark,
    pub options: Options,
    pub blocks: Vec<B>,
}

impl<B: Clone> Scope<B> {
    pub fn new(mark: Mark) -> Self {
        Self {
            vm: Log::new(mark),
            networks: Vec::new(),
            folders: Vec::new(),
            steps: Vec::new(),
            providers: Vec::new(),
            machines: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// A section's log, made when first spoken of.
    pub fn section(&mut self, name: &str, mark: Mark) -> &mut Log {
        let at = self.sections.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.sections.push((name.to_owned(), Log::new(mark)));
            self.sections.len() - 1
        });
        &mut self.sections[at].1
    }

    /// `config.vm.network`: one with the same id is changed, not added.
    pub fn network(&mut self, kind: &str, mut options: Options) {
        if !options.is("protocol") {
            options.set("protocol", Datum::text("tcp"), options.mark);
        }
        if !options.is("id") {
            let part = |name| options.text(name).unwrap_or_default();
            let id = match kind {
                "forwarded_port" => {
                    format!("{}{}{}", part("host_ip"), part("protocol"), part("host"))
                }
                // Vagrant makes one up; a NUL keeps it from being anyone's.
                _ => format!("\0{}", self.networks.len()),
            };
            options.set("id", Datum::Text(id), options.mark);
        }
        let id = format!("{kind}-{}", options.text("id").unwrap_or_default());
        let mark = options.mark;
        let kind = kind.to_owned();
        match self.networks.iter_mut().find(|(known, _)| *known == id) {
            Some((_, network)) => {
                network.options.merge(&options);
                network.options.mark = mark;
            }
            None => self.networks.push((id, Network { kind, options })),
        }
    }

    /// `config.vm.synced_folder`.
    pub fn folder(&mut self, host: Datum, guest: Option<&Datum>, mut options: Options) {
        let mark = options.mark;
        if options.take("nfs").is_some_and(|nfs| nfs.datum.is_true()) {
            options.set("type", Datum::text("nfs"), mark);
        }
        let name = options.take("name").map(|name| name.datum);
        let id = name.as_ref().or(guest).map(Datum::show).unwrap_or_default();
        if let Some(guest) = guest {
            let path = guest.show();
            let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
            options.set("guestpath", Datum::Text(path), mark);
        }
        options.set("hostpath", host, mark);
        if options.given("disabled").is_none() {
            options.set("disabled", Datum::Bool(false), mark);
        }
        let path = options.text("guestpath");
        let known = self
            .folders
            .iter()
            .find(|(known, _)| Some(known) == path.as_ref());
        if let Some((_, known)) = known {
            let mut all = known.clone();
            all.merge(&options);
            all.mark = mark;
            options = all;
        }
        match self.folders.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = options,
            None => self.folders.push((id, options)),
        }
    }

    /// Names a provider, and adds a block to it if there is one.
    pub fn provider(&mut self, name: &str, block: Option<B>) {
        let at = self.providers.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.providers.push((name.to_owned(), Vec::new()));
            self.providers.len() - 1
        });
        self.providers[at].1.extend(block);
    }

    /// `config.vm.define`.
    pub fn define(&mut self, name: &str, mark: Mark, options: &Options, block: Option<B>) {
        let at = self.machines.iter().position(|known| known.name == name);
        let at = at.unwrap_or_else(|| {
            self.machines.push(Defined {
                name: name.to_owned(),
                mark,
                options: Options::new(mark),
                blocks: Vec::new(),
            });
            self.machines.len() - 1
        });
        self.machines[at].options.merge(options);
        self.machines[at].blocks.extend(block);
    }

    /// Lays another scope over this one.
    pub fn merge(&mut self, other: &Self) {
        self.vm.events.extend(other.vm.events.iter().cloned());
        for (id, network) in &other.networks {
            match self
                .networks
                .iter_mut()
                .find(|(known, _)| known == id && !id.contains('\0'))
            {
                Some((_, known)) => *known = network.clone(),
                None => self.networks.push((id.clone(), network.clone())),
            }
        }
        for (id, options) in &other.folders {
            match self.folders.iter_mut().find(|(known, _)| known == id) {
                Some((_, known)) => {
                    known.merge(options);
                    known.mark = options.mark;
                }
                None => self.folders.push((id.clone(), options.clone())),
            }
        }
        self.merge_steps(&other.steps);
        for (name, blocks) in &other.providers {
            self.provider(name, None);
            blocks
                .iter()
                .for_each(|block| self.provider(name, Some(block.clone())));
        }
        for machine in &other.machines {
            self.define(&machine.name, machine.mark, &machine.options, None);
            for block in &machine.blocks {
                self.define(
                    &machine.name,
                    machine.mark,
                    &Options::new(machine.mark),
                    Some(block.clone()),
                );
            }
        }
        self.before.extend(other.before.iter().cloned());
        self.after.extend(other.after.iter().cloned());
        for (name, log) in &other.sections {
            let events = log.events.iter().cloned();
            self.section(name, log.mark).events.extend(events);
        }
    }

    /// Outer ones before inner ones. A name that comes again further in replaces what it says
    /// anew: in its own place there, or in the old one if it asks for that.
    fn merge_steps(&mut self, others: &[(StepId, Step)]) {
        let mut others: Vec<_> = others.to_vec();
        let mut merged = Vec::new();
        for (id, step) in self.steps.drain(..) {
            let at = others.iter().position(|(other, _)| *other == id);
            let Some(at) = at else {
                merged.push((id, step));
                continue;
            };
            let other = &mut others[at].1;
            let mut log = step.log.clone();
            log.events.append(&mut other.log.events);
            log.mark = other.log.mark;
            other.log = log;
            other.run = other.run.take().or(step.run);
            if other.preserve_order {
                merged.push(others.remove(at));
            }
        }
        merged.append(&mut others);
        self.steps = merged;
    }
}
