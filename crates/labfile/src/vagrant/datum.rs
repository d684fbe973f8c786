//! What Ruby handed over: plain values, each at its place, and options by name. Nothing of
//! the evaluator goes beyond here.

use crate::report::Mark;
use serde_json::json;

/// A value without its identity.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Symbol(String),
    List(Vec<Datum>),
    Map(Vec<(Datum, Datum)>),
    /// Something without a form of its own, by how Ruby shows it.
    Other(String),
}

impl Datum {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// `nil` and `false` count as nothing, as they do in Ruby.
    pub fn is_true(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// What `to_s` gives.
    pub fn show(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) if value.fract() == 0.0 => format!("{value:.1}"),
            Self::Float(value) => value.to_string(),
            Self::Text(text) | Self::Symbol(text) | Self::Other(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::show).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(entries) => {
                let pair =
                    |(key, value): &(Self, Self)| format!("{}: {}", key.show(), value.show());
                format!(
                    "{{{}}}",
                    entries.iter().map(pair).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// A whole number, also one written as text.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            #[expect(clippy::cast_possible_truncation, reason = "its size was looked at")]
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Some(*value as i64),
            Self::Text(text) | Self::Symbol(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; one value is a list of itself, nothing an empty one.
    pub fn items(&self) -> Vec<&Self> {
        match self {
            Self::Nil => Vec::new(),
            Self::List(items) => items.iter().collect(),
            one => vec![one],
        }
    }

    pub fn entries(&self) -> &[(Self, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key of a map, be it a symbol or a text.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let is =
            |found: &Self| matches!(found, Self::Text(text) | Self::Symbol(text) if text == key);
        let mut entries = self.entries().iter();
        entries.find(|(found, _)| is(found)).map(|(_, value)| value)
    }

    /// As JSON, where a symbol is a text and a map is sorted by key.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Nil => json!(null),
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Text(text) | Self::Symbol(text) | Self::Other(text) => json!(text),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.show(), value.json()))
                .collect(),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub datum: Datum,
    pub mark: Mark,
}

/// Options by name, in the order in which they were given first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    /// Where messages about all of it point.
    pub mark: Mark,
    entries: Vec<(String, Placed)>,
}

impl Options {
    pub fn new(mark: Mark) -> Self {
        Self {
            mark,
            entries: Vec::new(),
        }
    }

    pub fn set(&mut self, name: impl Into<String>, datum: Datum, mark: Mark) {
        let (name, value) = (name.into(), Placed { datum, mark });
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.entries.push((name, value)),
        }
    }

    /// Takes an option out.
    pub fn take(&mut self, name: &str) -> Option<Placed> {
        let at = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(at).1)
    }

    /// The later one wins.
    pub fn merge(&mut self, other: &Self) {
        for (name, value) in &other.entries {
            self.set(name.clone(), value.datum.clone(), value.mark);
        }
    }

    /// An option, unless it is `nil`.
    pub fn get(&self, name: &str) -> Option<&Placed> {
        self.given(name).filter(|value| value.datum != Datum::Nil)
    }

    /// An option, even if it is `nil`.
    pub fn given(&self, name: &str) -> Option<&Placed> {
        let mut entries = self.entries.iter();
        entries
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.datum.show())
    }

    /// Whether a switch is on.
    pub fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.datum.is_true())
    }

    pub fn mark(&self, name: &str) -> Mark {
        self.given(name).map_or(self.mark, |value| value.mark)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Placed)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    pub fn json(&self) -> serde_json::Value {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.datum.json()))
            .collect()
    }
}

/// Something said to a configuration object: an assignment, or a call with arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub name: String,
    pub what: What,
    pub mark: Mark,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// `x.name = value`.
    Set(Datum),
    /// `x.name[key] = value`.
    Index(Datum, Datum),
    /// `x.name(a, b)`; names of arguments make a map at the end.
    Call(Vec<Datum>),
}

/// Everything said to one configuration object, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub mark: Mark,
    pub events: Vec<Event>,
}

impl Log {
    pub fn new(mark: Mark) -> Self {
        Self {
            mark,
            events: Vec::new(),
        }
    }

    /// The last assignments.
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.mark);
        for event in &self.events {
            if let What::Set(value) = &event.what {
                options.set(event.name.clone(), value.clone(), event.mark);
            }
        }
        options
    }

    /// All calls of one name.
    pub fn calls<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a [Datum], Mark)> {
        self.events
            .iter()
            .filter_map(move |event| match &event.what {
                What::Call(args) if event.name == name => Some((&**args, event.mark)),
                _ => None,
            })
    }
}
