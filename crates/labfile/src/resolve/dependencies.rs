//! `depends_on:`: names of nodes or groups of the same layer.

use super::layer::{Group, Member};
use super::{Resolver, Site};
use crate::fields::Fields;
use crate::keys::DEPENDENCY;
use crate::marks::Part;
use crate::report::{Mark, Problem, did_you_mean, list};
use crate::yaml::{Tree, Value};
use nestlab_model::{Dependency, DependencyCondition, NodeName};

impl Resolver<'_> {
    pub(super) fn dependencies(
        &mut self,
        tree: &Tree,
        group: &Group<'_>,
        member: &Member,
        groups: &[Group<'_>],
        site: &Site,
    ) -> Vec<Dependency> {
        let mut found: Vec<(String, DependencyCondition, Mark)> = Vec::new();
        match &tree.value {
            Value::List(items) => {
                for item in items {
                    let name = self.reader(&site.scope).text(item, "depends_on");
                    found.extend(name.map(|name| (name, DependencyCondition::Ready, item.mark)));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let condition = self.condition(&entry.value, entry.key_mark, site);
                    found.push((entry.key.clone(), condition, entry.key_mark));
                }
            }
            _ => {
                let problem =
                    Problem::error("wrong-type", tree.mark, "`depends_on` is a single value");
                let label = "expected a list of nodes, or a map of nodes to conditions";
                self.report
                    .add(problem.label(label).hint("write `depends_on: [NODE]`"));
            }
        }
        let mut dependencies: Vec<Dependency> = Vec::new();
        for (name, condition, mark) in found {
            for node in self.depended(&name, mark, group, member, groups) {
                if dependencies.iter().all(|known| known.node != node) {
                    let part = Part::Dependency(dependencies.len());
                    self.marks.set(&site.path, part, mark);
                    dependencies.push(Dependency { node, condition });
                }
            }
        }
        dependencies
    }

    fn condition(&mut self, tree: &Tree, mark: Mark, site: &Site) -> DependencyCondition {
        use DependencyCondition::{Ready, Started};
        let fields = Fields::read(tree, &DEPENDENCY, mark, &mut self.report);
        let Some(tree) = fields.and_then(|fields| fields.get("condition")) else {
            return Ready;
        };
        // Compose's words are what fingers know.
        let choices = [
            ("started", Started),
            ("ready", Ready),
            ("service_started", Started),
            ("service_healthy", Ready),
        ];
        self.reader(&site.scope)
            .choice(tree, "condition", &choices)
            .unwrap_or(Ready)
    }

    /// The nodes that a name stands for.
    fn depended(
        &mut self,
        name: &str,
        mark: Mark,
        group: &Group<'_>,
        member: &Member,
        groups: &[Group<'_>],
    ) -> Vec<NodeName> {
        let members = || groups.iter().flat_map(|group| &group.members);
        if let Some(other) = members().find(|other| other.name.as_str() == name) {
            if other.name != member.name {
                return vec![other.name.clone()];
            }
            // `depends_on: [consul-1]` in a group means the others.
            if group.members.len() > 1 {
                return Vec::new();
            }
        }
        if name == group.base || name == member.name.as_str() {
            let message = format!("`{name}` depends on itself");
            self.report
                .add(Problem::error("self-dependency", mark, message));
            return Vec::new();
        }
        if let Some(group) = groups.iter().find(|group| group.base == name) {
            return group
                .members
                .iter()
                .map(|member| member.name.clone())
                .collect();
        }
        let bases = groups.iter().map(|group| group.base.as_str());
        let known: Vec<&str> = bases
            .chain(members().map(|member| member.name.as_str()))
            .collect();
        let hint = did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("nodes of this layer: {}", list(known)));
        let problem = Problem::error("unknown-node", mark, format!("Unknown node `{name}`"));
        self.report
            .add(problem.label("not a node of this layer").hint(hint));
        Vec::new()
    }
}
