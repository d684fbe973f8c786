//! Playbooks of Ansible, which a node names among its provisioners.

use super::paths::Want;
use super::{Resolver, Site, Unit};
use crate::fields::Fields;
use crate::keys::ANSIBLE;
use crate::report::Problem;
use nestlab_model::{Playbook, RunPolicy};
use std::collections::BTreeMap;

/// Groups that every inventory has (Ansible's user guide, "How to build your inventory").
const RESERVED: [&str; 2] = ["all", "ungrouped"];

impl Resolver<'_> {
    /// What `ansible:` says; when it runs is said beside it.
    pub(super) fn playbook(
        &mut self,
        unit: &Unit,
        step: &Fields<'_>,
        site: &Site,
    ) -> Option<Playbook> {
        let scope = &site.scope;
        let mark = step.key_mark("ansible");
        let fields = Fields::read(step.get("ansible")?, &ANSIBLE, mark, &mut self.report)?;
        let file = fields
            .get("playbook")
            .and_then(|tree| self.existing(unit, tree, "playbook", scope, Want::File));
        let groups = self.inventory_groups(&fields, site);
        let args = match fields.get("args") {
            Some(tree) => self.reader(scope).texts(tree, "args"),
            None => Vec::new(),
        };
        let extra_vars = match fields.get("extra_vars") {
            Some(tree) => self.reader(scope).env(tree, "extra_vars"),
            None => BTreeMap::new(),
        };
        let file = file?;
        let name = file.file_name().unwrap_or(file.as_os_str());
        Some(Playbook {
            node: site.path.clone(),
            name: name.to_string_lossy().into_owned(),
            run: RunPolicy::Once,
            groups,
            extra_vars,
            args,
            env: BTreeMap::new(),
            file,
        })
    }

    fn inventory_groups(&mut self, fields: &Fields<'_>, site: &Site) -> Vec<String> {
        let Some(tree) = fields.get("groups") else {
            return Vec::new();
        };
        let groups = self.reader(&site.scope).texts(tree, "groups");
        let wrong = groups.iter().find(|group| !is_group(group));
        if let Some(wrong) = wrong {
            let message = format!("`{wrong}` cannot be a group of an inventory");
            let label = "letters, digits and `_`, and no word of Ansible's own";
            self.report
                .add(Problem::error("invalid-value", tree.mark, message).label(label));
        }
        groups
    }
}

fn is_group(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !RESERVED.contains(&text)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(plain)
}
