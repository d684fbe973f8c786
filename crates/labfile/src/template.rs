//! `{{ name }}` in values: names only, no expressions. `\{{` is a literal `{{`.

use crate::report::{did_you_mean, list};
use std::collections::BTreeMap;

/// Names that the loader itself gives a meaning; no variable may be called so.
pub(crate) const BUILTIN: &[(&str, &str)] = &[
    ("name", "the node's name, such as `consul-2`"),
    ("index", "the node's number in its group, from 1"),
    ("index0", "the same from 0"),
    ("ip", "the node's first address, without prefix length"),
    (
        "ips",
        "the first addresses of all nodes of the group, separated by spaces",
    ),
];

/// What a template can name at some place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    values: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    Value(String),
    /// A variable whose own value is wrong: said where it stands.
    Invalid,
}

/// Why a template cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    /// Where in the text, in characters.
    pub offset: usize,
    /// How many characters.
    pub length: usize,
    pub message: String,
    pub hint: Option<String>,
    /// The reason has been reported elsewhere.
    pub silent: bool,
}

impl Scope {
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values
            .insert(name.to_owned(), Entry::Value(value.into()));
    }

    pub fn set_invalid(&mut self, name: &str) {
        self.values.insert(name.to_owned(), Entry::Invalid);
    }

    /// Forgets a name, such as `ip` of the parent.
    pub fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The text with every template filled in.
    pub fn expand(&self, text: &str) -> Result<String, TemplateError> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            if let Some(before) = rest[..start].strip_suffix('\\') {
                expanded.push_str(before);
                expanded.push_str("{{");
                rest = &rest[start + 2..];
                continue;
            }
            expanded.push_str(&rest[..start]);
            let offset = text[..text.len() - rest.len() + start].chars().count();
            let inner = &rest[start + 2..];
            let Some(end) = inner.find("}}") else {
                return Err(TemplateError {
                    offset,
                    length: 2,
                    message: "`{{` without `}}`".into(),
                    hint: Some("write `\\{{` for a literal `{{`".into()),
                    silent: false,
                });
            };
            let length = inner[..end].chars().count() + 4;
            let value = self.lookup(inner[..end].trim());
            expanded.push_str(&value.map_err(|error| TemplateError {
                offset,
                length,
                ..error
            })?);
            rest = &inner[end + 2..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn lookup(&self, name: &str) -> Result<String, TemplateError> {
        match self.values.get(name) {
            Some(Entry::Value(value)) => Ok(value.clone()),
            Some(Entry::Invalid) => Err(self.unknown(name, true)),
            None => Err(self.unknown(name, false)),
        }
    }

    fn unknown(&self, name: &str, silent: bool) -> TemplateError {
        let known = || self.values.keys().map(String::as_str);
        let word = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || "_-".contains(c));
        let (message, hint) = if !word {
            let message = format!("`{{{{ {name} }}}}` is not the name of a variable");
            (
                message,
                "only names can stand in a template; write `\\{{` for a literal `{{`".into(),
            )
        } else if BUILTIN.iter().any(|(builtin, _)| *builtin == name) {
            let message = format!("`{{{{ {name} }}}}` has no value here");
            (message, format!("known here: {}", list(known())))
        } else {
            let hint = did_you_mean(name, known())
                .unwrap_or_else(|| format!("known here: {}; add it to `variables`", list(known())));
            (format!("Unknown variable `{name}`"), hint)
        };
        TemplateError {
            offset: 0,
            length: 0,
            message,
            hint: Some(hint),
            silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand() {
        let mut scope = Scope::default();
        scope.set("index", "2");
        scope.set("servers", "3");
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = scope.expand(text).map_err(|error| error.message);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("10.0.0.1{{ index }}", Ok("10.0.0.12"));
        check("{{index}}/{{ servers }}é", Ok("2/3é"));
        check("\\{{ .Names }}", Ok("{{ .Names }}"));
        check("{{ serves }}", Err("Unknown variable `serves`"));
        check("{{ ip }}", Err("`{{ ip }}` has no value here"));
        check(
            "{{ .Names }}",
            Err("`{{ .Names }}` is not the name of a variable"),
        );
        check("{{ index", Err("`{{` without `}}`"));
        assert_eq!(scope.expand("é {{ x }}").unwrap_err().offset, 2);
    }
}
