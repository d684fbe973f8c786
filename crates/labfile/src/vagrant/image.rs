//! From a machine's box to an image: one of the catalogue's, one that the user calls by that
//! name, a file, or an address.

use super::boxes::{self, Guess};
use super::datum::Placed;
use super::document::Node;
use super::machine::Machine;
use super::network::{name_of, unique};
use super::notes::Notes;
use super::tree::Context;
use crate::limits::MAX_LABFILE;
use crate::report::{Mark, list};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Images of `images:` that boxes lead to.
#[derive(Default)]
pub(super) struct Images {
    /// What it is made from, its name, and the lab file's entry.
    made: Vec<(String, String, Node)>,
    names: BTreeSet<String>,
}

/// A box that is a file or lies at an address, and what it must hash to.
struct Source {
    place: String,
    mark: Mark,
    sha256: Option<String>,
}

/// Of a box's metadata what is looked at.
#[derive(Deserialize)]
struct Metadata {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
struct Provider {
    name: String,
    url: String,
    checksum: Option<String>,
    checksum_type: Option<String>,
}

impl Images {
    /// The value of a node's `image:`. `None` if there is none, which is said.
    pub fn of(
        &mut self,
        machine: &Machine,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) -> Option<Node> {
        let Some(given) = machine
            .vm
            .get("box")
            .filter(|name| !name.datum.show().is_empty())
        else {
            return self.without_name(machine, cx, notes);
        };
        let name = given.datum.show();
        if let Some(target) = cx.settings.box_aliases.get(&name) {
            return Some(self.alias(target, given.mark, &name));
        }
        if let Some(source) = source(machine, cx, notes) {
            return Some(self.make(&source, &name));
        }
        if is_place(&name) {
            let source = Source {
                sha256: checksum(machine, notes),
                place: name.clone(),
                mark: given.mark,
            };
            return Some(self.make(&source, &name));
        }
        self.stock(&name, given, cx, notes)
    }

    /// A machine may have an address and no name.
    fn without_name(
        &mut self,
        machine: &Machine,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) -> Option<Node> {
        if let Some(source) = source(machine, cx, notes) {
            let stem = source.place.rsplit('/').next().unwrap_or("box").to_owned();
            return Some(self.make(&source, stem.trim_end_matches(".box")));
        }
        let message = format!("Machine `{}` has no box", machine.name);
        let hint = "add `config.vm.box = \"bento/ubuntu-24.04\"`";
        notes.error("vagrant-box", machine.mark, message, hint);
        None
    }

    /// What the user says that a name stands for.
    pub fn alias(&mut self, target: &str, mark: Mark, name: &str) -> Node {
        if !is_place(target) {
            return Node::text(mark, target);
        }
        let source = Source {
            place: target.to_owned(),
            mark,
            sha256: None,
        };
        self.make(&source, name)
    }

    fn stock(
        &self,
        name: &str,
        given: &Placed,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) -> Option<Node> {
        let mark = given.mark;
        let known = || list(cx.known.keys().map(|name| name.as_str()));
        let hint = || {
            format!(
                "say what it stands for with `--box-alias {name}=IMAGE`; images: {}",
                known()
            )
        };
        let (family, release) = match boxes::guess(name) {
            Guess::Stock(family, release) => (family, release),
            Guess::Foreign(system) => {
                let message = format!("Box `{name}` is {system}, and no image of it is known");
                notes.error("vagrant-box", mark, message, hint());
                return None;
            }
            Guess::Unknown => {
                let message = format!("Box `{name}` is not known");
                notes.error("vagrant-box", mark, message, hint());
                return None;
            }
        };
        let Some(image) = boxes::nearest(family, release.as_deref(), cx.known.keys()) else {
            let message = format!(
                "Box `{name}` is {}, and no image of it is known",
                family.title()
            );
            notes.error("vagrant-box", mark, message, hint());
            return None;
        };
        let exact = release
            .as_deref()
            .is_none_or(|wanted| boxes::is_release(image, family, wanted));
        let alias = format!("`--box-alias {name}=IMAGE` says otherwise");
        if !exact {
            let release = release.unwrap_or_default();
            let message = format!(
                "Box `{name}` is {} {release}; the nearest image is `{image}`",
                family.title()
            );
            notes.warn("vagrant-box", mark, message, alias);
        } else if boxes::is_stock(name) {
            let message = format!("Box `{name}` is taken as image `{image}`");
            notes.note("vagrant-box", mark, message, alias);
        } else {
            let message =
                format!("Box `{name}` is taken as the plain image `{image}`, without what it adds");
            notes.warn("vagrant-box", mark, message, alias);
        }
        Some(Node::text(mark, image.as_str()).comment(format!("box {name}")))
    }

    /// An entry of `images:`, the same for all machines that lead to it.
    fn make(&mut self, source: &Source, name: &str) -> Node {
        let Source {
            place,
            mark,
            sha256,
        } = source;
        let place = place.strip_prefix("file://").unwrap_or(place);
        if let Some((_, name, _)) = self.made.iter().find(|(known, ..)| known == place) {
            return Node::text(*mark, name);
        }
        let stem = name.rsplit('/').next().unwrap_or(name);
        // `centos/7` says too little behind the slash.
        let stem = if stem.starts_with(|c: char| c.is_ascii_digit()) {
            name
        } else {
            stem
        };
        let stem = stem.trim_end_matches(".box");
        let name = unique(&name_of(stem, "box"), &mut self.names);
        let mut entry = Node::map(*mark);
        let key = if is_address(place) { "url" } else { "path" };
        entry.put(key, Node::text(*mark, place));
        if let Some(sha256) = sha256 {
            entry.put("sha256", Node::text(*mark, sha256));
        }
        self.made.push((place.to_owned(), name.clone(), entry));
        Node::text(*mark, name)
    }

    /// The lab file's `images:`.
    pub fn node(self, mark: Mark) -> Node {
        let mut all = Node::map(mark);
        for (_, name, entry) in self.made {
            all.put(name, entry);
        }
        all
    }
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Whether it says where something lies instead of what it is called.
fn is_place(text: &str) -> bool {
    let path = text.starts_with(['/', '.', '~']) || text.starts_with("file://");
    let ending = [".box", ".qcow2", ".img", ".raw", ".tar", ".json"];
    path || is_address(text) || ending.iter().any(|ending| text.ends_with(ending))
}

/// What `box_url` leads to.
fn source(machine: &Machine, cx: &Context<'_>, notes: &mut Notes<'_>) -> Option<Source> {
    let urls = machine.vm.get("box_url")?;
    let url = urls.datum.items().first()?.show();
    let url = url.strip_prefix("file://").unwrap_or(&url).to_owned();
    if !url.ends_with(".json") {
        return Some(Source {
            place: url,
            mark: urls.mark,
            sha256: checksum(machine, notes),
        });
    }
    if is_address(&url) {
        let message = "Metadata of boxes is read from files only";
        let hint = "fetch it and name the file, or name the `.box` itself";
        notes.error("vagrant-box", urls.mark, message, hint);
        return None;
    }
    metadata(&url, machine, urls.mark, cx, notes)
}

/// The newest fitting version in a file of metadata.
fn metadata(
    url: &str,
    machine: &Machine,
    mark: Mark,
    cx: &Context<'_>,
    notes: &mut Notes<'_>,
) -> Option<Source> {
    let path = crate::resolve::resolve_path(cx.folder, url);
    let read = cx
        .files
        .read(&path, MAX_LABFILE)
        .map_err(|error| error.to_string());
    let parsed = read.and_then(|bytes| {
        serde_json::from_slice::<Metadata>(&bytes).map_err(|error| error.to_string())
    });
    let metadata = match parsed {
        Ok(metadata) => metadata,
        Err(reason) => {
            let message = format!(
                "Cannot read the box's metadata {}: {reason}",
                path.display()
            );
            notes.error(
                "vagrant-box",
                mark,
                message,
                "expected Vagrant's `metadata.json`",
            );
            return None;
        }
    };
    let wanted = machine
        .vm
        .get("box_version")
        .map(|version| version.datum.show());
    let fits = |version: &&Version| {
        wanted
            .as_deref()
            .is_none_or(|wanted| satisfies(&version.version, wanted))
    };
    let ours = |provider: &&Provider| {
        [&*machine.provider, "libvirt", "qemu", "kvm"].contains(&provider.name.as_str())
    };
    let mut versions: Vec<_> = metadata.versions.iter().filter(fits).collect();
    versions.sort_by_key(|version| numbers(&version.version));
    let found = versions
        .iter()
        .rev()
        .find_map(|version| version.providers.iter().find(ours));
    let Some(provider) = found else {
        let message = format!("The metadata {} has no version that fits", path.display());
        let hint = "it takes one for `libvirt`, of the wanted version";
        notes.error("vagrant-box", mark, message, hint);
        return None;
    };
    let sha256 = provider
        .checksum
        .clone()
        .filter(|_| provider.checksum_type.as_deref() == Some("sha256"));
    Some(Source {
        place: provider.url.clone(),
        mark,
        sha256,
    })
}

/// `box_download_checksum`, if it is one that we know.
fn checksum(machine: &Machine, notes: &mut Notes<'_>) -> Option<String> {
    let sum = machine.vm.get("box_download_checksum")?;
    let kind = machine
        .vm
        .text("box_download_checksum_type")
        .unwrap_or_default();
    if kind == "sha256" {
        return Some(sum.datum.show());
    }
    let message = format!("A checksum of type `{kind}` is not looked at");
    notes.warn("vagrant-box", sum.mark, message, "`sha256` is");
    None
}

fn numbers(version: &str) -> Vec<u64> {
    let digits = |part: &str| part.parse().unwrap_or(0);
    version.split(['.', '-']).map(digits).collect()
}

/// Whether a version is as RubyGems' words want it: `1.2`, `>= 1.0, < 2`, `~> 1.4`.
pub(super) fn satisfies(version: &str, wanted: &str) -> bool {
    let version = numbers(version);
    wanted.split(',').all(|part| {
        let part = part.trim();
        let at = part
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(part.len());
        let (operator, bound) = (part[..at].trim(), numbers(&part[at..]));
        match operator {
            ">=" => version >= bound,
            ">" => version > bound,
            "<=" => version <= bound,
            "<" => version < bound,
            "!=" => version != bound,
            "~>" => {
                let mut next = bound.clone();
                next.pop();
                if let Some(last) = next.last_mut() {
                    *last += 1;
                }
                version >= bound && (next.is_empty() || version < next)
            }
            _ => version == bound,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::satisfies;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(satisfies("4.3.12", "4.3.12"));
        assert!(satisfies("4.10.0", ">= 4.3, < 5"));
        assert!(satisfies("1.9", "~> 1.4"));
        assert!(!satisfies("2.0", "~> 1.4"));
        assert!(!satisfies("1.5.0", "~> 1.4.2"));
        assert!(!satisfies("1.2", "> 1.2"));
    }
}
