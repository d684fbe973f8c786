//! Ruby's values as plain ones.

use crate::vagrant::datum::Datum;
use nestlab_ruby::{Error, Interpreter, Value};

/// Values within values, and how many in all: a structure may hold itself.
const DEPTH: usize = 32;
const COUNT: usize = 20_000;

/// The value without its identity.
pub(super) fn datum(ruby: &mut Interpreter<'_>, value: &Value) -> Datum {
    convert(ruby, value, DEPTH, &mut COUNT.clone())
}

fn convert(ruby: &mut Interpreter<'_>, value: &Value, depth: usize, left: &mut usize) -> Datum {
    if depth == 0 || *left == 0 {
        return Datum::Other("…".into());
    }
    *left -= 1;
    match value {
        Value::Nil => Datum::Nil,
        Value::Bool(value) => Datum::Bool(*value),
        Value::Int(value) => Datum::Int(*value),
        Value::Float(value) => Datum::Float(*value),
        Value::Symbol(name) => Datum::Symbol(name.to_string()),
        Value::Str(_) => Datum::Text(value.as_text().unwrap_or_default()),
        Value::Array(_) => {
            let items = value.as_items().unwrap_or_default();
            Datum::List(
                items
                    .iter()
                    .map(|item| convert(ruby, item, depth - 1, left))
                    .collect(),
            )
        }
        Value::Hash(_) => {
            let entries = value.as_entries().unwrap_or_default();
            let pair = |(key, value): &(Value, Value)| {
                (
                    convert(ruby, key, depth - 1, left),
                    convert(ruby, value, depth - 1, left),
                )
            };
            Datum::Map(entries.iter().map(pair).collect())
        }
        Value::Regex(_) | Value::Range(_) => Datum::Other(ruby.inspect(value).unwrap_or_default()),
        Value::Proc(_) | Value::Method(_) => Datum::Other("a block".into()),
        // An `IPAddr`, a `Pathname`: what it shows itself as.
        other => Datum::Text(ruby.to_s(other).unwrap_or_default()),
    }
}

/// And back, for who reads what he has set.
pub(super) fn value(ruby: &mut Interpreter<'_>, datum: &Datum) -> Result<Value, Error> {
    Ok(match datum {
        Datum::Nil => Value::Nil,
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => Value::Int(*value),
        Datum::Float(value) => Value::Float(*value),
        Datum::Symbol(name) => Value::symbol(name),
        Datum::Text(text) | Datum::Other(text) => ruby.string(text.clone())?,
        Datum::List(items) => {
            let mut all = Vec::new();
            for item in items {
                all.push(value(ruby, item)?);
            }
            ruby.array(all)?
        }
        Datum::Map(entries) => {
            let mut all = Vec::new();
            for (key, entry) in entries {
                all.push((value(ruby, key)?, value(ruby, entry)?));
            }
            ruby.hash(all)?
        }
    })
}
