//! Ansible's provisioners: what they say as the words of a lab file, and as arguments of
//! `ansible-playbook`. A playbook that Vagrant would apply inside the machine
//! (`ansible_local`) is applied from this machine like any other.

use super::datum::{Datum, Options};
use super::document::Node;
use super::notes::Notes;
use crate::report::Mark;

/// Options that stand as they are, with a value.
const WITH_VALUE: [(&str, &str); 5] = [
    ("become_user", "--become-user"),
    ("skip_tags", "--skip-tags"),
    ("start_at_task", "--start-at-task"),
    ("tags", "--tags"),
    ("vault_password_file", "--vault-password-file"),
];

/// Where the project's folder is in a machine: `ansible_local` may name it.
const PROJECT: &str = "/vagrant/";

/// What `ansible:` says in a step of a machine of this name.
pub(super) fn playbook(
    kind: &str,
    machine: &str,
    mark: Mark,
    options: &Options,
    notes: &mut Notes<'_>,
) -> Node {
    let mut node = Node::map(mark);
    let mut args = Vec::new();
    for (name, value) in options.iter() {
        let (datum, mark) = (&value.datum, value.mark);
        match (name, datum) {
            (_, Datum::Nil | Datum::Bool(false)) | ("compatibility_mode", _) => {}
            ("playbook", file) => {
                let file = file.show();
                let file = file.strip_prefix(PROJECT).unwrap_or(&file);
                node.put("playbook", Node::text(mark, file));
            }
            ("groups", Datum::Map(groups)) => put_groups(&mut node, groups, machine, mark),
            ("extra_vars", Datum::Map(variables)) => {
                let mut map = Node::map(mark);
                for (name, value) in variables {
                    map.put(name.show(), Node::text(mark, value.show()));
                }
                node.put("extra_vars", map);
            }
            ("extra_vars", text) => args.push((format!("--extra-vars={}", text.show()), mark)),
            ("become" | "sudo", _) => args.push(("--become".to_owned(), mark)),
            ("verbose", level) => args.push((verbosity(level), mark)),
            ("raw_arguments", words) => {
                args.extend(words.items().iter().map(|word| (word.show(), mark)));
            }
            (name, datum) => match WITH_VALUE.iter().find(|(known, _)| *known == name) {
                Some((_, option)) => {
                    let words: Vec<_> = datum.items().iter().map(|word| word.show()).collect();
                    args.push((format!("{option}={}", words.join(",")), mark));
                }
                None => notes.ignore(&format!("the provisioner `{kind}`"), name, mark),
            },
        }
    }
    if let Some((_, mark)) = args.first() {
        let words = args.iter().map(|(word, mark)| Node::text(*mark, word));
        node.put("args", Node::list(*mark, words.collect()));
    }
    node
}

/// The groups that a machine is in, by its own name or through other groups.
fn put_groups(node: &mut Node, groups: &[(Datum, Datum)], machine: &str, mark: Mark) {
    let mut found: Vec<String> = Vec::new();
    let holds = |members: &Datum, name: &str| members.items().iter().any(|m| m.show() == name);
    // As deep as there are groups.
    for _ in 0..=groups.len() {
        for (group, members) in groups {
            let group = group.show();
            let (name, inside) = match group.split_once(':') {
                Some((name, "children")) => (name, found.iter().any(|own| holds(members, own))),
                Some(_) => continue,
                None => (group.as_str(), holds(members, machine)),
            };
            if inside && !found.iter().any(|own| own == name) {
                found.push(name.to_owned());
            }
        }
    }
    if !found.is_empty() {
        let names = found.iter().map(|name| Node::text(mark, name)).collect();
        node.put("groups", Node::list(mark, names));
    }
}

/// `true`, `"v"`, `"-vvv"`.
fn verbosity(level: &Datum) -> String {
    let level = level.show();
    let count = level.bytes().filter(|byte| *byte == b'v').count();
    format!("-{}", "v".repeat(count.max(1)))
}
