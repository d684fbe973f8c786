//! `JSON`, and `to_json` of everything.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let json = super::add(ruby, "JSON", true);
    json.meta().natives(METHODS);
    let above = ruby.classes.standard_error.clone();
    let error = crate::class::Class::new(Some("JSON::ParserError"), Some(above), false);
    let mut constants = json.constants.borrow_mut();
    constants.insert("ParserError".into(), Value::Class(error.clone()));
    constants.insert("JSONError".into(), Value::Class(error));
    drop(constants);
    ruby.classes
        .object
        .clone()
        .natives(&[("to_json", 0, 1, |ruby, me, _| {
            let mut out = String::new();
            write(ruby, me, None, 0, &mut out)?;
            ruby.string(out)
        })]);
}

const METHODS: &[Entry] = &[
    ("parse", 1, 2, parse),
    ("parse!", 1, 2, parse),
    ("load", 1, 3, parse),
    ("load_file", 1, 2, |ruby, me, mut call| {
        let path = ruby.full_path(&call.args[0])?;
        let text = ruby.read_text(&path)?;
        call.args[0] = ruby.string(text)?;
        parse(ruby, me, call)
    }),
    ("generate", 1, 2, generate),
    ("dump", 1, ANY, generate),
    ("pretty_generate", 1, 2, |ruby, _, call| {
        let mut out = String::new();
        write(ruby, &call.args[0], Some(0), 0, &mut out)?;
        ruby.string(out)
    }),
];

fn generate(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let mut out = String::new();
    write(ruby, &call.args[0], None, 0, &mut out)?;
    ruby.string(out)
}

fn parse(ruby: &mut Interpreter<'_>, _: &Value, mut call: Call) -> Eval {
    let symbols = call
        .take_options()
        .and_then(|options| options.get_name("symbolize_names"))
        .is_some_and(|names| names.is_truthy());
    let text = match call.at(0) {
        Value::Nil => return Ok(Value::Nil),
        io if ruby.responds(&io, "read") => {
            let text = ruby.send(&io, "read", Vec::new())?;
            ruby.str(&text)?
        }
        text => ruby.str(&text)?,
    };
    ruby.step(text.len() as u64 / 8)?;
    ruby.allocate(text.len() * 4)?;
    // The parser itself refuses what is nested more than 128 levels deep.
    match serde_json::from_str::<Ordered>(&text) {
        Ok(value) => value.into_value(ruby, symbols),
        Err(error) => {
            let class = "JSON::ParserError";
            Err(ruby.raise(class, format!("{error}")))
        }
    }
}

/// A document whose objects keep their order.
enum Ordered {
    Plain(Value),
    Text(String),
    List(Vec<Ordered>),
    Table(Vec<(String, Ordered)>),
    TooLarge,
}

impl Ordered {
    fn into_value(self, ruby: &mut Interpreter<'_>, symbols: bool) -> Eval {
        ruby.step(1)?;
        match self {
            Self::Plain(value) => Ok(value),
            Self::Text(text) => ruby.string(text),
            Self::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    values.push(item.into_value(ruby, symbols)?);
                }
                ruby.array(values)
            }
            Self::Table(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = if symbols {
                        Value::symbol(&key)
                    } else {
                        Value::text(key)
                    };
                    values.push((key, value.into_value(ruby, symbols)?));
                }
                ruby.hash(values)
            }
            Self::TooLarge => Err(ruby.too_large()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Ordered;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Nil))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        let value = i64::try_from(value).map(Value::Int);
        Ok(value.map_or(Ordered::TooLarge, Ordered::Plain))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Text(value.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Ordered, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Ordered::List(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut table: A) -> Result<Ordered, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = table.next_entry()? {
            entries.push(entry);
        }
        Ok(Ordered::Table(entries))
    }
}

/// Writes a value; with `indent` in many lines.
fn write(
    ruby: &mut Interpreter<'_>,
    value: &Value,
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
) -> Eval<()> {
    ruby.step(1)?;
    if depth > 100 {
        let class = "JSON::ParserError";
        return Err(ruby.raise(class, "nesting of 101 is too deep"));
    }
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(_) | Value::Int(_) => out.push_str(&ruby.to_s(value)?),
        Value::Float(number) if !number.is_finite() => {
            return Err(ruby.raise("ArgumentError", "a float that is not finite in JSON"));
        }
        Value::Float(number) => out.push_str(&super::float::show(*number)),
        Value::Array(array) => {
            let items = array.items.borrow().clone();
            let lines = items.len();
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, indent, index);
                write(ruby, item, indent.map(|indent| indent + 1), depth + 1, out)?;
            }
            end(out, indent, lines);
            out.push(']');
        }
        Value::Hash(hash) => {
            let entries = hash.entries();
            let lines = entries.len();
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                separate(out, indent, index);
                out.push_str(&quote(&ruby.to_s(key)?));
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write(ruby, item, indent.map(|indent| indent + 1), depth + 1, out)?;
            }
            end(out, indent, lines);
            out.push('}');
        }
        value if ruby.responds(value, "to_h") && matches!(value, Value::Object(_)) => {
            let hash = ruby.send(value, "to_h", Vec::new())?;
            match hash {
                Value::Hash(_) => write(ruby, &hash, indent, depth + 1, out)?,
                _ => out.push_str("null"),
            }
        }
        value => out.push_str(&quote(&ruby.to_s(value)?)),
    }
    if out.len() > ruby.limits.string {
        ruby.room(out.len())?;
    }
    Ok(())
}

fn separate(out: &mut String, indent: Option<usize>, index: usize) {
    if index > 0 {
        out.push(',');
    }
    if let Some(indent) = indent {
        out.push('\n');
        out.push_str(&"  ".repeat(indent + 1));
    }
}

fn end(out: &mut String, indent: Option<usize>, lines: usize) {
    if let (Some(indent), true) = (indent, lines > 0) {
        out.push('\n');
        out.push_str(&"  ".repeat(indent));
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
