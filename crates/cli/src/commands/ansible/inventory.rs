//! An inventory of a lab, in the form that Ansible's `yaml` plugin reads: JSON is YAML.

use crate::commands::ssh_config::host as host_name;
use nestlab_model::NodePath;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A node as a host of the inventory.
pub struct Host {
    pub path: NodePath,
    /// Groups beside that of its name.
    pub groups: BTreeSet<String>,
    /// Its variables.
    pub variables: Map<String, Value>,
}

/// The whole of it.
pub fn document(hosts: &[Host]) -> Value {
    let all = hosts
        .iter()
        .map(|host| (host_name(&host.path), Value::Object(host.variables.clone())));
    let mut groups: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for host in hosts {
        let of_name = stem(&host.path);
        for group in host.groups.iter().cloned().chain(of_name) {
            let group = groups.entry(group).or_default();
            group.insert(host_name(&host.path), json!({}));
        }
    }
    let groups = groups
        .into_iter()
        .map(|(group, hosts)| (group, json!({ "hosts": hosts })));
    json!({ "all": {
        "hosts": all.collect::<Map<_, _>>(),
        "children": groups.collect::<Map<_, _>>(),
    } })
}

/// `consul-1` belongs to the group `consul`; in names of groups there is no hyphen. A host
/// and a group may not share a name, so a node without a number has none.
fn stem(path: &NodePath) -> Option<String> {
    let name = path.segments().last()?.as_str();
    let (stem, number) = name.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let group = stem.replace('-', "_");
    (is_number && group.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stand_in_the_groups_of_their_names() {
        let host = |path: &str, groups: &[&str]| Host {
            path: path.parse().unwrap(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            variables: Map::new(),
        };
        let hosts = [
            host("l1", &[]),
            host("l1/consul-1", &["servers"]),
            host("l1/consul-2", &["servers"]),
            host("web-a", &[]),
            host("my-db-1", &[]),
        ];
        let children = document(&hosts)["all"]["children"].to_string();
        insta::assert_snapshot!(children, @r#"{"consul":{"hosts":{"l1.consul-1":{},"l1.consul-2":{}}},"my_db":{"hosts":{"my-db-1":{}}},"servers":{"hosts":{"l1.consul-1":{},"l1.consul-2":{}}}}"#);
    }
}
