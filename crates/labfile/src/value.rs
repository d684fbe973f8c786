//! Single values: the template is filled in, then the key's type decides.

use crate::report::{Mark, Problem, Report, did_you_mean, list};
use crate::template::Scope;
use crate::yaml::{Entry, Tree, Value};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Reads values at one place of the lab. Every method reports what is wrong
/// and then gives `None`.
pub(crate) struct Reader<'a> {
    pub scope: &'a Scope,
    pub report: &'a mut Report,
}

impl Reader<'_> {
    /// Any single value as text. `key` is for the message.
    pub fn text(&mut self, tree: &Tree, key: &str) -> Option<String> {
        let Value::Scalar(text) = &tree.value else {
            let message = format!("`{key}` is {}", tree.kind());
            let problem = Problem::error("wrong-type", tree.mark, message);
            self.report.add(problem.label("expected a single value"));
            return None;
        };
        match self.scope.expand(text) {
            Ok(expanded) => Some(expanded),
            Err(error) if error.silent => None,
            Err(error) => {
                let mark = narrow(tree.mark, text, error.offset, error.length);
                let problem = Problem::error("template", mark, error.message);
                self.report.add(problem.maybe_hint(error.hint));
                None
            }
        }
    }

    /// A value that `parse` understands. `expected` says what it should be:
    /// "a size such as `512MiB`".
    pub fn parse<T, E: Display>(
        &mut self,
        tree: &Tree,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(tree, key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(tree, key, &text, expected, Some(error.to_string()));
                None
            }
        }
    }

    fn invalid(
        &mut self,
        tree: &Tree,
        key: &str,
        text: &str,
        expected: &str,
        hint: Option<String>,
    ) {
        let message = format!("`{key}` cannot be `{}`", short(text));
        let problem = Problem::error("invalid-value", tree.mark, message);
        let hint = hint.filter(|hint| !hint.is_empty());
        self.report.add(
            problem
                .label(format!("expected {expected}"))
                .maybe_hint(hint),
        );
    }

    /// A value with a `FromStr` of its own, whose error is the hint.
    pub fn parsed<T: FromStr>(&mut self, tree: &Tree, key: &str, expected: &str) -> Option<T>
    where
        T::Err: Display,
    {
        self.parse(tree, key, expected, str::parse)
    }

    pub fn boolean(&mut self, tree: &Tree, key: &str) -> Option<bool> {
        self.parse(tree, key, "`true` or `false`", |text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            "yes" | "on" => Err("write `true`"),
            "no" | "off" => Err("write `false`"),
            _ => Err(""),
        })
    }

    pub fn integer(&mut self, tree: &Tree, key: &str, min: u64, max: u64) -> Option<u64> {
        let expected = format!("a whole number from {min} to {max}");
        self.parse(tree, key, &expected, |text| {
            text.trim()
                .parse()
                .ok()
                .filter(|n| (min..=max).contains(n))
                .ok_or("")
        })
    }

    /// One of some words; of several with one meaning the first is shown.
    pub fn choice<T: Copy + PartialEq>(
        &mut self,
        tree: &Tree,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let first = |(position, (_, value)): &(usize, &(&str, T))| {
            choices[..*position].iter().all(|(_, other)| other != value)
        };
        let shown = choices
            .iter()
            .enumerate()
            .filter(first)
            .map(|(_, (word, _))| *word);
        let expected = format!("one of {}", list(shown));
        self.parse(tree, key, &expected, |text| {
            let found = choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value);
            found.ok_or_else(|| did_you_mean(text, words()).unwrap_or_default())
        })
    }

    pub fn duration(&mut self, tree: &Tree, key: &str) -> Option<Duration> {
        self.parse(
            tree,
            key,
            "a time such as `500ms`, `10s` or `2m`",
            parse_duration,
        )
    }

    pub fn mode(&mut self, tree: &Tree, key: &str) -> Option<u32> {
        self.parse(tree, key, "octal permissions such as `0644`", |text| {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let octal = digits.bytes().all(|byte| byte.is_ascii_digit());
            u32::from_str_radix(digits, 8)
                .ok()
                .filter(|m| octal && *m <= 0o7777)
                .ok_or("")
        })
    }

    /// An absolute path in a node: it is written there by its agent.
    pub fn target(&mut self, tree: &Tree, key: &str) -> Option<String> {
        self.parse(
            tree,
            key,
            "an absolute path such as `/etc/app.conf`",
            |text| {
                if !text.starts_with('/') {
                    Err("begin it with `/`")
                } else if text.split('/').any(|part| part == "..") {
                    Err("`..` cannot stand in it")
                } else if text.contains('\0') || text.len() > 4096 {
                    Err("it is no path")
                } else {
                    Ok(text.to_owned())
                }
            },
        )
    }

    pub fn url(&mut self, tree: &Tree, key: &str, schemes: &[&str]) -> Option<String> {
        let expected = format!("an address that begins with {}", list(schemes.to_vec()));
        self.parse(tree, key, &expected, |text| {
            let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
            let host = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
            let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
            host.filter(|_| clean).map(|_| text.to_owned()).ok_or("")
        })
    }

    /// The items of a list.
    pub fn list<'t>(&mut self, tree: &'t Tree, key: &str) -> Option<&'t [Tree]> {
        match &tree.value {
            Value::List(items) => Some(items),
            Value::Null => Some(&[]),
            _ => {
                let message = format!("`{key}` is {}", tree.kind());
                let problem = Problem::error("wrong-type", tree.mark, message);
                self.report.add(
                    problem
                        .label("expected a list")
                        .hint("begin each item with `- `"),
                );
                None
            }
        }
    }

    /// The entries of a map with keys of the user's own.
    pub fn map<'t>(&mut self, tree: &'t Tree, key: &str) -> Option<&'t [Entry]> {
        match &tree.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => {
                let message = format!("`{key}` is {}", tree.kind());
                let problem = Problem::error("wrong-type", tree.mark, message);
                self.report.add(problem.label("expected a map, `NAME: …`"));
                None
            }
        }
    }

    /// A list of texts, without those that are wrong.
    pub fn texts(&mut self, tree: &Tree, key: &str) -> Vec<String> {
        let items = self.list(tree, key).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.text(item, key))
            .collect()
    }

    /// Environment variables.
    pub fn env(&mut self, tree: &Tree, key: &str) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for entry in self.map(tree, key).unwrap_or_default() {
            if !is_env_name(&entry.key) {
                let message = format!("`{}` cannot name an environment variable", entry.key);
                let problem = Problem::error("invalid-name", entry.key_mark, message);
                self.report
                    .add(problem.label("expected A-Z, a-z, 0-9 and `_`"));
            } else if matches!(entry.value.value, Value::Null) {
                env.insert(entry.key.clone(), String::new());
            } else if let Some(text) = self.text(&entry.value, &entry.key) {
                env.insert(entry.key.clone(), text);
            }
        }
        env
    }

    /// A key that names something.
    pub fn name<T: FromStr>(&mut self, text: &str, mark: Mark, what: &str) -> Option<T>
    where
        T::Err: Display,
    {
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("`{}` cannot name a {what}", short(text));
                let problem = Problem::error("invalid-name", mark, message);
                self.report.add(
                    problem
                        .label("expected a-z, 0-9 and `-`")
                        .hint(format!("{error}")),
                );
                None
            }
        }
    }
}

/// The part of a scalar that is at fault, where text and file agree letter by
/// letter; the whole scalar where escapes or several lines come between.
fn narrow(mark: Mark, text: &str, offset: usize, length: usize) -> Mark {
    let shown = mark.end.column.saturating_sub(mark.start.column);
    let quotes = shown.wrapping_sub(text.chars().count());
    if mark.start.line == mark.end.line && matches!(quotes, 0 | 2) {
        mark.part(quotes / 2 + offset, length)
    } else {
        mark
    }
}

/// Enough of a value to recognise it, on one line.
fn short(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn is_env_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "a time starts with a number")?;
    let millis: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("use `ms`, `s`, `m` or `h`"),
    };
    match number.checked_mul(millis) {
        Some(0) => Err("it cannot be zero"),
        Some(total) if total <= 7 * 24 * 3_600_000 => Ok(Duration::from_millis(total)),
        _ => Err("at most a week"),
    }
}
