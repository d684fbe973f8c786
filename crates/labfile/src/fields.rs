//! A map of the tree seen through the table of its keys: unknown and missing
//! keys are reported here, and nowhere else.

use crate::keys::{Object, SETTINGS};
use crate::report::{Mark, Problem, Report, article, did_you_mean, list};
use crate::yaml::{Entry, Tree, Value};

/// The keys of one map.
pub(crate) struct Fields<'t> {
    object: &'static Object,
    /// Where messages about the map as a whole point.
    pub mark: Mark,
    entries: &'t [Entry],
}

impl<'t> Fields<'t> {
    /// Reads `tree` as `object`. `mark` is the key that leads to it, which
    /// says more than the map's own first line. Nothing counts as an empty map.
    pub fn read(
        tree: &'t Tree,
        object: &'static Object,
        mark: Mark,
        report: &mut Report,
    ) -> Option<Self> {
        let entries = match &tree.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                let message = format!("Expected {}, found {}", article(object.name), tree.kind());
                let label = format!("expected a map with {}", list(object.names()));
                report.add(Problem::error("wrong-type", tree.mark, message).label(label));
                return None;
            }
        };
        let fields = Self {
            object,
            mark,
            entries,
        };
        fields.unknown(report);
        fields.missing(report);
        Some(fields)
    }

    fn unknown(&self, report: &mut Report) {
        let extra = |entry: &Entry| self.object.name == "lab" && entry.key.starts_with("x-");
        for entry in self.entries {
            if self.object.key(&entry.key).is_some() || extra(entry) {
                continue;
            }
            let message = format!(
                "Unknown key `{}` in {}",
                entry.key,
                article(self.object.name)
            );
            let hint = did_you_mean(&entry.key, self.object.names())
                .unwrap_or_else(|| format!("known keys: {}", all(self.object)));
            let problem = Problem::error("unknown-key", entry.key_mark, message);
            let label = match self.object.name == SETTINGS.name {
                true => "not a setting",
                false => "not a key of the lab file here",
            };
            report.add(problem.label(label).hint(hint));
        }
    }

    /// "An image", as a sentence begins with it.
    fn subject(&self) -> String {
        article(self.object.name).replacen('a', "A", 1)
    }

    fn missing(&self, report: &mut Report) {
        for key in self.object.keys.iter().filter(|key| key.required) {
            if self.get(key.name).is_some() {
                continue;
            }
            let message = format!("{} needs `{}`", self.subject(), key.name);
            let problem = Problem::error("missing-key", self.mark, message);
            let label = format!("expected `{}: …` here", key.name);
            report.add(problem.label(label).hint(key.doc.trim_end_matches('.')));
        }
    }

    fn entry(&self, name: &str) -> Option<&'t Entry> {
        debug_assert!(
            self.object.key(name).is_some(),
            "{name} stands in the table"
        );
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// The value of a key, unless it is missing or nothing.
    pub fn get(&self, name: &str) -> Option<&'t Tree> {
        let tree = &self.entry(name)?.value;
        (!matches!(tree.value, Value::Null)).then_some(tree)
    }

    /// Where a key stands; the map itself if it does not.
    pub fn key_mark(&self, name: &str) -> Mark {
        self.entry(name).map_or(self.mark, |entry| entry.key_mark)
    }

    /// The one of `names` that is there; reports none and more than one.
    pub fn one_of(&self, names: &[&'static str], report: &mut Report) -> Option<&'static str> {
        let found: Vec<_> = names
            .iter()
            .copied()
            .filter(|n| self.get(n).is_some())
            .collect();
        match found.as_slice() {
            [one] => Some(one),
            [] => {
                let message = format!("{} needs one of {}", self.subject(), list(names.to_vec()));
                let problem = Problem::error("missing-key", self.mark, message);
                report.add(problem.label("none of them is here"));
                None
            }
            [first, second, ..] => {
                let message = format!("`{second}` and `{first}` exclude each other");
                let problem = Problem::error("exclusive-keys", self.key_mark(second), message);
                report.add(problem.label(format!("expected one of {}", list(names.to_vec()))));
                None
            }
        }
    }

    /// Reports `name` if it is there although `other` is not.
    pub fn only_with(&self, name: &str, other: &str, report: &mut Report) {
        if self.get(name).is_some() && self.get(other).is_none() {
            let message = format!("`{name}` means nothing without `{other}`");
            report.add(Problem::error(
                "exclusive-keys",
                self.key_mark(name),
                message,
            ));
        }
    }
}

fn all(object: &Object) -> String {
    object
        .names()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
