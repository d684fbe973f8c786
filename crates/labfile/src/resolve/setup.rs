//! What is done to a node once it runs: files, provisioners, the probe.

use super::paths::Want;
use super::{Resolver, Site, Unit};
use crate::fields::Fields;
use crate::keys::{CLOUD_INIT, FILE, PROBE, PROVISION};
use crate::report::{Mark, Problem};
use crate::template::Scope;
use crate::yaml::Tree;
use nestlab_model::{
    FileCopy, Playbook, Probe, ProbeCheck, ProvisionAction, Provisioner, RunPolicy,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How user-data begins (cloud-init's document "User-data formats").
const USER_DATA: [&str; 6] = [
    "#cloud-",
    "#!",
    "#include",
    "#part-handler",
    "Content-Type:",
    "## template: jinja",
];

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

impl Resolver<'_> {
    pub(super) fn files(&mut self, unit: &Unit, tree: &Tree, scope: &Scope) -> Vec<FileCopy> {
        let items = self.reader(scope).list(tree, "files").unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.file(unit, item, item.mark, scope))
            .collect()
    }

    fn file(&mut self, unit: &Unit, tree: &Tree, mark: Mark, scope: &Scope) -> Option<FileCopy> {
        let fields = Fields::read(tree, &FILE, mark, &mut self.report)?;
        let one = fields.one_of(&["source", "content"], &mut self.report);
        let source = match one {
            Some(_) => self.file_source(unit, &fields, scope, Want::FileOrFolder),
            None => None,
        };
        let target = fields
            .get("target")
            .and_then(|t| self.reader(scope).target(t, "target"));
        let mode = fields
            .get("mode")
            .and_then(|t| self.reader(scope).mode(t, "mode"));
        Some(FileCopy {
            source: source?,
            target: target?,
            mode,
        })
    }

    pub(super) fn provision(&mut self, unit: &Unit, tree: &Tree, site: &Site) -> Vec<Provisioner> {
        let items = self
            .reader(&site.scope)
            .list(tree, "provision")
            .unwrap_or_default();
        let mut steps: Vec<Provisioner> = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let Some(mut step) = self.step(unit, item, position, site) else {
                continue;
            };
            // A record of what has run is kept by name.
            if steps.iter().any(|other| other.name == step.name) {
                step.name = format!("{}-{}", step.name, position + 1);
            }
            steps.push(step);
        }
        steps
    }

    /// `None` of what is wrong, and of a playbook: that is no step of the node's own.
    fn step(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        position: usize,
        site: &Site,
    ) -> Option<Provisioner> {
        let scope = &site.scope;
        let fields = Fields::read(tree, &PROVISION, tree.mark, &mut self.report)?;
        let kinds = ["script", "inline", "file", "ansible"];
        let kind = fields.one_of(&kinds, &mut self.report);
        let action = match kind {
            Some("ansible") | None => None,
            Some(kind) => self.action(unit, &fields, kind, position, scope),
        };
        fields.only_with("args", "script", &mut self.report);
        let name = match fields.get("name") {
            Some(tree) => Some(self.reader(scope).text(tree, "name")?),
            None => None,
        };
        let run = self.run_policy(&fields, scope);
        let env = match fields.get("env") {
            Some(tree) => self.reader(scope).env(tree, "env"),
            None => BTreeMap::new(),
        };
        if kind == Some("ansible") {
            let playbook = self.playbook(unit, &fields, site)?;
            let name = name.unwrap_or(playbook.name);
            self.playbooks.push(Playbook {
                name,
                run: run?,
                env,
                ..playbook
            });
            return None;
        }
        let (action, default) = action?;
        Some(Provisioner {
            name: name.unwrap_or(default),
            run: run?,
            action,
            env,
        })
    }

    fn run_policy(&mut self, fields: &Fields<'_>, scope: &Scope) -> Option<RunPolicy> {
        let runs = [
            ("once", RunPolicy::Once),
            ("always", RunPolicy::Always),
            ("never", RunPolicy::Never),
        ];
        match fields.get("run") {
            Some(tree) => self.reader(scope).choice(tree, "run", &runs),
            None => Some(RunPolicy::Once),
        }
    }

    /// What a step does, and what it is called by default.
    fn action(
        &mut self,
        unit: &Unit,
        fields: &Fields<'_>,
        kind: &str,
        position: usize,
        scope: &Scope,
    ) -> Option<(ProvisionAction, String)> {
        match kind {
            "script" => {
                let script = self.script(unit, fields.get("script")?, scope);
                let args = match fields.get("args") {
                    Some(tree) => self.reader(scope).texts(tree, "args"),
                    None => Vec::new(),
                };
                let (script, name) = script?;
                Some((ProvisionAction::Shell { script, args }, name))
            }
            "inline" => {
                let script = self.reader(scope).text(fields.get("inline")?, "inline")?;
                let action = ProvisionAction::Shell {
                    script,
                    args: Vec::new(),
                };
                Some((action, format!("inline-{}", position + 1)))
            }
            _ => {
                let mark = fields.key_mark("file");
                let copy = self.file(unit, fields.get("file")?, mark, scope)?;
                let name = copy.target.rsplit('/').find(|part| !part.is_empty());
                let name = name.unwrap_or("file").to_owned();
                Some((ProvisionAction::File(copy), name))
            }
        }
    }

    /// What cloud-init is told.
    pub(super) fn user_data(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        mark: Mark,
        scope: &Scope,
    ) -> Option<String> {
        let fields = Fields::read(tree, &CLOUD_INIT, mark, &mut self.report)?;
        let key = fields.one_of(&["source", "content"], &mut self.report)?;
        let tree = fields.get(key)?;
        let text = match key {
            "source" => self.text_file(unit, tree, key, scope)?.1,
            _ => self.reader(scope).text(tree, key)?,
        };
        if !USER_DATA.iter().any(|begin| text.starts_with(begin)) {
            let problem = Problem::error("invalid-value", tree.mark, "This is no user-data");
            let hint = "begin it with `#cloud-config`, or with `#!/bin/sh` for a script";
            let label = "cloud-init would not know its form";
            self.report.add(problem.label(label).hint(hint));
            return None;
        }
        Some(text)
    }

    pub(super) fn probe(&mut self, tree: &Tree, mark: Mark, scope: &Scope) -> Option<Probe> {
        let fields = Fields::read(tree, &PROBE, mark, &mut self.report)?;
        fields.only_with("matches", "http", &mut self.report);
        let check = self.probe_check(&fields, scope);
        let mut duration = |key, default| match fields.get(key) {
            Some(tree) => self.reader(scope).duration(tree, key),
            None => Some(default),
        };
        let interval = duration("interval", DEFAULT_INTERVAL);
        let timeout = duration("timeout", DEFAULT_TIMEOUT);
        if let (Some(interval), Some(timeout)) = (interval, timeout)
            && interval > timeout
        {
            let mark = fields
                .get("interval")
                .or(fields.get("timeout"))
                .map_or(mark, |t| t.mark);
            let message = "The interval is longer than the timeout";
            self.report
                .add(Problem::error("invalid-value", mark, message));
        }
        let hint = fields
            .get("hint")
            .and_then(|tree| self.reader(scope).text(tree, "hint"));
        Some(Probe {
            check: check?,
            interval: interval?,
            timeout: timeout?,
            hint,
        })
    }

    fn probe_check(&mut self, fields: &Fields<'_>, scope: &Scope) -> Option<ProbeCheck> {
        let kind = fields.one_of(&["exec", "tcp", "http"], &mut self.report)?;
        let tree = fields.get(kind)?;
        match kind {
            "exec" => {
                let command = self.reader(scope).text(tree, "exec")?;
                Some(ProbeCheck::Exec { command })
            }
            "tcp" => {
                let expected = "`HOST:PORT` such as `localhost:22`";
                let address = self
                    .reader(scope)
                    .parse(tree, "tcp", expected, tcp_address)?;
                Some(ProbeCheck::Tcp { address })
            }
            _ => {
                let url = self.reader(scope).url(tree, "http", &["http://"]);
                let matches = match fields.get("matches") {
                    Some(tree) => Some(self.reader(scope).text(tree, "matches")?),
                    None => None,
                };
                Some(ProbeCheck::Http { url: url?, matches })
            }
        }
    }
}

/// A bare port is one of the node itself.
fn tcp_address(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or("the port is 1 to 65535")?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("the host is missing");
    }
    Ok(format!("{host}:{port}"))
}
