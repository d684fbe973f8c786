//! `variables:`, and what replaces them from outside.

use super::Resolver;
use crate::fields::Fields;
use crate::report::{Mark, Problem, did_you_mean, list};
use crate::template::{BUILTIN, Scope};
use crate::yaml::{Entry, Value};
use std::collections::BTreeMap;

/// Values from outside: `--set` or `with:`.
pub(super) struct Given {
    pub values: BTreeMap<String, String>,
    /// Where they come from.
    pub mark: Mark,
}

impl Resolver<'_> {
    /// The variables of a lab file, replaced by those of `given`.
    pub(super) fn variables(&mut self, fields: &Fields<'_>, given: &Given) -> Scope {
        let mut scope = Scope::default();
        let entries = match fields.get("variables") {
            Some(tree) => self
                .reader(&Scope::default())
                .map(tree, "variables")
                .unwrap_or_default(),
            None => &[],
        };
        for entry in entries {
            self.variable(entry, &given.values, &mut scope);
        }
        let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let unknown: Vec<&str> = given
            .values
            .keys()
            .map(String::as_str)
            .filter(|name| !names.contains(name))
            .collect();
        if let Some(first) = unknown.first() {
            let message = format!(
                "The lab file has no variable {}",
                list(unknown.iter().copied())
            );
            let hint = did_you_mean(first, names.iter().copied())
                .unwrap_or_else(|| format!("its variables: {}", list(names)));
            self.report
                .add(Problem::error("unknown-variable", given.mark, message).hint(hint));
        }
        scope
    }

    fn variable(&mut self, entry: &Entry, given: &BTreeMap<String, String>, scope: &mut Scope) {
        let name = &entry.key;
        if BUILTIN.iter().any(|(builtin, _)| builtin == name) {
            let message = format!("`{name}` cannot be a variable");
            let problem = Problem::error("invalid-name", entry.key_mark, message);
            self.report
                .add(problem.label("has a meaning of its own in every node"));
            return;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(word) {
            let message = format!("`{name}` cannot name a variable");
            let problem = Problem::error("invalid-name", entry.key_mark, message);
            self.report
                .add(problem.label("expected letters, digits, `_` and `-`"));
            return;
        }
        let own = match &entry.value.value {
            Value::Null => Some(String::new()),
            _ => self.reader(scope).text(&entry.value, name),
        };
        match given.get(name).cloned().or(own) {
            Some(value) => scope.set(name, value),
            None => scope.set_invalid(name),
        }
    }
}
