//! One layer: its groups of nodes, its networks, the nodes themselves. And the
//! layer inside a node, which may stand in another lab file.

use super::endpoints::{Wanted, wants_default};
use super::networks::Draft;
use super::paths::{clean, resolve};
use super::variables::Given;
use super::{Resolver, Site, Unit};
use crate::fields::Fields;
use crate::keys::{INSIDE, LAB, NODE};
use crate::limits::{MAX_COUNT, MAX_FROM, MAX_LEVELS, MAX_NODES};
use crate::marks::Part;
use crate::report::{Mark, Problem};
use crate::template::Scope;
use crate::yaml::{Entry, Tree};
use nestlab_model::{Endpoint, Layer, NodeName};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// A key of `nodes:`: one node, or several with `count:`.
pub(super) struct Group<'t> {
    pub base: String,
    pub fields: Fields<'t>,
    pub members: Vec<Member>,
}

/// One node of a group.
pub(super) struct Member {
    pub name: NodeName,
    /// The key that defines it.
    pub mark: Mark,
    pub scope: Scope,
    /// Whether its group has a `count:`.
    pub counted: bool,
}

impl Resolver<'_> {
    pub(super) fn layer(
        &mut self,
        unit: &Unit,
        networks: Option<&Tree>,
        nodes: Option<&Tree>,
        site: &Site,
    ) -> Layer {
        let mut groups = self.groups(nodes, site);
        let implicit = groups
            .iter()
            .find(|group| wants_default(group.fields.get("networks")))
            .map(|group| group.fields.mark);
        let mut drafts = self.drafts(networks, site, implicit);
        let (mut endpoints, gateways) = self.addresses(&groups, &mut drafts, site);
        for (group, endpoints) in groups.iter_mut().zip(&endpoints) {
            share_addresses(group, endpoints);
        }
        let taken = site.taken.iter().copied();
        let taken: Vec<_> = taken
            .chain(drafts.iter().filter_map(|draft| draft.subnet))
            .collect();
        let mut layer = Layer::default();
        for (draft, gateway) in drafts.iter().zip(gateways) {
            layer.networks.push(draft.finish(gateway));
        }
        for (number, group) in groups.iter().enumerate() {
            for (member, endpoints) in group.members.iter().zip(endpoints[number].drain(..)) {
                let site = Site {
                    path: site.path.child(&member.name),
                    scope: member.scope.clone(),
                    taken: taken.clone(),
                };
                layer
                    .nodes
                    .push(self.node(unit, group, member, &groups, endpoints, &site));
            }
        }
        layer
    }

    fn groups<'t>(&mut self, nodes: Option<&'t Tree>, site: &Site) -> Vec<Group<'t>> {
        let entries = match nodes {
            Some(tree) => self
                .reader(&site.scope)
                .map(tree, "nodes")
                .unwrap_or_default(),
            None => &[],
        };
        let mut names = HashMap::new();
        let mut groups = Vec::new();
        for entry in entries {
            groups.extend(self.group(entry, site, &mut names));
        }
        groups
    }

    fn group<'t>(
        &mut self,
        entry: &'t Entry,
        site: &Site,
        names: &mut HashMap<NodeName, Mark>,
    ) -> Option<Group<'t>> {
        let mark = entry.key_mark;
        let base: Option<NodeName> = self.reader(&site.scope).name(&entry.key, mark, "node");
        let fields = Fields::read(&entry.value, &NODE, mark, &mut self.report)?;
        let base = base?.to_string();
        let count = match fields.get("count") {
            Some(tree) => {
                // A group of unknown size still has a first node to check.
                let count = self
                    .reader(&site.scope)
                    .integer(tree, "count", 0, MAX_COUNT);
                Some(count.unwrap_or(1))
            }
            None => None,
        };
        self.quorum(&fields, count, &base, site);
        let mut group = Group {
            base,
            fields,
            members: Vec::new(),
        };
        for index in 1..=count.unwrap_or(1) {
            let text = match count {
                Some(_) => format!("{}-{index}", group.base),
                None => group.base.clone(),
            };
            let name: NodeName = self.reader(&site.scope).name(&text, mark, "node")?;
            if let Some(first) = names.insert(name.clone(), mark) {
                let message = format!("Node `{name}` stands here twice");
                let label = format!("also comes from line {}", first.start.line);
                self.report
                    .add(Problem::error("duplicate-node", mark, message).label(label));
                continue;
            }
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                let problem = Problem::error("too-many-nodes", mark, "The lab has too many nodes");
                self.report
                    .add(problem.label(format!("more than {MAX_NODES}")));
                break;
            }
            let mut scope = site.scope.clone();
            scope.unset("ip");
            scope.unset("ips");
            scope.set("name", name.as_str());
            scope.set("index", index.to_string());
            scope.set("index0", (index - 1).to_string());
            group.members.push(Member {
                name,
                mark,
                scope,
                counted: count.is_some(),
            });
        }
        Some(group)
    }

    fn quorum(&mut self, fields: &Fields<'_>, count: Option<u64>, base: &str, site: &Site) {
        let Some(tree) = fields.get("quorum") else {
            return;
        };
        let votes = self
            .reader(&site.scope)
            .boolean(tree, "quorum")
            .unwrap_or(false);
        let count = count.unwrap_or(1);
        if votes && count > 0 && count.is_multiple_of(2) {
            let mark = fields.get("count").map_or(tree.mark, |tree| tree.mark);
            let message = format!("Group `{base}` votes with an even number of nodes, {count}");
            let lost = (count - 1) / 2;
            let hint = format!(
                "{} would survive the loss of as many nodes: {lost}",
                count - 1
            );
            let problem = Problem::warning("even-quorum", mark, message);
            self.report
                .add(problem.label("expected an odd number").hint(hint));
        }
    }

    /// The endpoints of every member of every group, and the networks' gateways:
    /// addresses in the file first, then gateways, then the rest.
    fn addresses(
        &mut self,
        groups: &[Group<'_>],
        drafts: &mut [Draft],
        site: &Site,
    ) -> (Vec<Vec<Vec<Endpoint>>>, Vec<Option<Ipv4Addr>>) {
        let mut wanted: Vec<Vec<Vec<Wanted>>> = Vec::new();
        for group in groups {
            let tree = group.fields.get("networks");
            let each = |member| self.wanted(tree, member, drafts);
            wanted.push(group.members.iter().map(each).collect());
        }
        let gateways: Vec<_> = drafts.iter().map(|draft| self.gateway(draft)).collect();
        let mut endpoints = Vec::new();
        for (group, wanted) in groups.iter().zip(&wanted) {
            let mut of_group = Vec::new();
            for (member, wanted) in group.members.iter().zip(wanted) {
                let path = site.path.child(&member.name);
                of_group.push(self.endpoints(wanted, member, &path, drafts, &gateways));
            }
            endpoints.push(of_group);
        }
        (endpoints, gateways)
    }

    /// The layer inside a node.
    pub(super) fn inside(&mut self, unit: &Unit, tree: &Tree, mark: Mark, site: &Site) -> Layer {
        let Some(fields) = Fields::read(tree, &INSIDE, mark, &mut self.report) else {
            return Layer::default();
        };
        self.marks.set(&site.path, Part::Inside, mark);
        if site.path.level() >= MAX_LEVELS {
            let problem = Problem::error("too-deep", mark, "The lab has too many levels");
            self.report
                .add(problem.label(format!("more than {MAX_LEVELS}")));
            return Layer::default();
        }
        fields.only_with("with", "from", &mut self.report);
        let Some(from) = fields.get("from") else {
            return self.layer(unit, fields.get("networks"), fields.get("nodes"), site);
        };
        for key in ["networks", "nodes"] {
            if fields.get(key).is_some() {
                let message = format!("`{key}` and `from` exclude each other");
                let problem = Problem::error("exclusive-keys", fields.key_mark(key), message);
                self.report.add(problem);
            }
        }
        let given = match fields.get("with") {
            Some(tree) => self.with(tree, site),
            None => BTreeMap::new(),
        };
        let given = Given {
            values: given,
            mark: fields.key_mark("with"),
        };
        self.from(unit, from, &given, site).unwrap_or_default()
    }

    fn with(&mut self, tree: &Tree, site: &Site) -> BTreeMap<String, String> {
        let mut given = BTreeMap::new();
        let mut read = self.reader(&site.scope);
        for entry in read.map(tree, "with").unwrap_or_default() {
            if let Some(text) = read.text(&entry.value, &entry.key) {
                given.insert(entry.key.clone(), text);
            }
        }
        given
    }

    /// The layer of another lab file, with its own variables and images.
    fn from(&mut self, unit: &Unit, tree: &Tree, given: &Given, site: &Site) -> Option<Layer> {
        let text = self.reader(&site.scope).text(tree, "from")?;
        let path = resolve(&unit.folder, &text);
        let key = clean(&path);
        if self.chain.contains(&key) || self.chain.len() >= MAX_FROM {
            let names = self
                .chain
                .iter()
                .chain([&key])
                .map(|p| p.display().to_string());
            let chain = names.collect::<Vec<_>>().join(" → ");
            let problem =
                Problem::error("from-cycle", tree.mark, "`from` leads back to its own file");
            self.report.add(problem.label(chain));
            return None;
        }
        let parsed = match self.read(&path) {
            Ok(parsed) => parsed?,
            Err(reason) => {
                let message = format!("Cannot read the lab file {}", path.display());
                let problem = Problem::error("unreadable-file", tree.mark, message);
                self.report.add(problem.label(reason));
                return None;
            }
        };
        let top = Mark::top(parsed.number);
        let fields = Fields::read(&parsed.tree, &LAB, top, &mut self.report)?;
        let scope = self.variables(&fields, given);
        let unit = self.unit(&path, &fields, &scope);
        let site = Site {
            path: site.path.clone(),
            scope,
            taken: site.taken.clone(),
        };
        self.chain.push(key);
        let layer = self.layer(&unit, fields.get("networks"), fields.get("nodes"), &site);
        self.chain.pop();
        Some(layer)
    }
}

/// Lets templates name the addresses of a group.
fn share_addresses(group: &mut Group<'_>, endpoints: &[Vec<Endpoint>]) {
    let first = |endpoints: &Vec<Endpoint>| endpoints.first().map(|e| e.address.addr().to_string());
    let addresses: Vec<Option<String>> = endpoints.iter().map(first).collect();
    let attached = match group.fields.get("networks").map(|tree| &tree.value) {
        None => true,
        Some(crate::yaml::Value::List(items)) => !items.is_empty(),
        Some(crate::yaml::Value::Map(entries)) => !entries.is_empty(),
        Some(_) => false,
    };
    if !attached {
        return;
    }
    let all: Option<Vec<&str>> = addresses.iter().map(Option::as_deref).collect();
    let all = all.map(|all| all.join(" "));
    for (member, address) in group.members.iter_mut().zip(&addresses) {
        match address {
            Some(address) => member.scope.set("ip", address),
            None => member.scope.set_invalid("ip"),
        }
        match &all {
            Some(all) => member.scope.set("ips", all),
            None => member.scope.set_invalid("ips"),
        }
    }
}
