//! `Hash`: what makes new hashes of one, or asks about it.

use crate::class::{ANY, Entry};
use crate::error::{Eval, did_you_mean, suggestion};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Key, Map, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let hash = ruby.classes.hash.clone();
    hash.natives(METHODS);
    hash.natives(NEW);
    hash.natives(FILTERS);
    hash.meta().natives(&[
        ("new", 0, 2, |ruby, _, mut call| {
            // `capacity:`
            if call.block.is_some() || call.args.len() > 1 {
                call.take_options();
            }
            let hash = ruby.new_hash(Map::new())?;
            let default = call
                .block
                .map_or_else(|| call.args.into_iter().next(), |b| Some(Value::Proc(b)));
            *hash.default.borrow_mut() = default.unwrap_or_default();
            Ok(Value::Hash(hash))
        }),
        ("[]", 0, ANY, |ruby, _, call| match call.args.first() {
            Some(value @ (Value::Hash(_) | Value::Array(_))) if call.args.len() == 1 => {
                ruby.send(value, "to_h", Vec::new())
            }
            _ => {
                let pairs = call.args.chunks(2);
                let entries =
                    pairs.map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()));
                ruby.hash(entries.collect())
            }
        }),
    ]);
}

/// The entries of the hash that a method belongs to.
pub(super) fn entries(me: &Value) -> Vec<(Value, Value)> {
    me.as_entries().unwrap_or_default()
}

fn length(me: &Value) -> i64 {
    match me {
        Value::Hash(hash) => hash.map.borrow().len() as i64,
        _ => 0,
    }
}

pub(super) fn get(me: &Value, key: &Value) -> Option<Value> {
    match me {
        Value::Hash(hash) => hash.get(key),
        _ => None,
    }
}

const METHODS: &[Entry] = &[
    ("[]", 1, 1, |ruby, me, call| lookup(ruby, me, &call.args[0])),
    ("fetch", 1, 2, |ruby, me, call| {
        let key = &call.args[0];
        match (get(me, key), &call.block) {
            (Some(value), _) => Ok(value),
            (None, Some(block)) => ruby.ask(block, key),
            (None, None) if call.args.len() > 1 => Ok(call.at(1)),
            (None, None) => Err(no_key(ruby, me, key)?),
        }
    }),
    ("dig", 1, ANY, |ruby, me, call| {
        super::array::dig(ruby, me, &call.args)
    }),
    ("key?", 1, 1, has_key),
    ("has_key?", 1, 1, has_key),
    ("include?", 1, 1, has_key),
    ("member?", 1, 1, has_key),
    ("value?", 1, 1, has_value),
    ("has_value?", 1, 1, has_value),
    ("key", 1, 1, |ruby, me, call| {
        for (key, value) in entries(me) {
            if ruby.equal(&value, &call.args[0])? {
                return Ok(key);
            }
        }
        Ok(Value::Nil)
    }),
    ("keys", 0, 0, |ruby, me, _| {
        ruby.array(entries(me).into_iter().map(|(key, _)| key).collect())
    }),
    ("values", 0, 0, |ruby, me, _| {
        ruby.array(entries(me).into_iter().map(|(_, value)| value).collect())
    }),
    ("values_at", 0, ANY, |ruby, me, call| {
        let mut values = Vec::new();
        for key in &call.args {
            values.push(lookup(ruby, me, key)?);
        }
        ruby.array(values)
    }),
    ("fetch_values", 0, ANY, |ruby, me, call| {
        let mut values = Vec::new();
        for key in &call.args {
            values.push(ruby.send(me, "fetch", vec![key.clone()])?);
        }
        ruby.array(values)
    }),
    ("length", 0, 0, |_, me, _| Ok(Value::Int(length(me)))),
    ("size", 0, 0, |_, me, _| Ok(Value::Int(length(me)))),
    ("empty?", 0, 0, |_, me, _| Ok(Value::Bool(length(me) == 0))),
    ("to_hash", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_s", 0, 0, inspect),
    ("inspect", 0, 0, inspect),
    ("each", 0, 0, each),
    ("each_pair", 0, 0, each),
    ("each_key", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for (key, _) in entries(me) {
            ruby.ask(&block, &key)?;
        }
        Ok(me.clone())
    }),
    ("each_value", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for (_, value) in entries(me) {
            ruby.ask(&block, &value)?;
        }
        Ok(me.clone())
    }),
    ("default", 0, 1, |_, me, _| match me {
        Value::Hash(hash) => match &*hash.default.borrow() {
            Value::Proc(_) => Ok(Value::Nil),
            value => Ok(value.clone()),
        },
        _ => Ok(Value::Nil),
    }),
    ("default_proc", 0, 0, |_, me, _| match me {
        Value::Hash(hash) => match &*hash.default.borrow() {
            block @ Value::Proc(_) => Ok(block.clone()),
            _ => Ok(Value::Nil),
        },
        _ => Ok(Value::Nil),
    }),
    ("to_proc", 0, 0, |ruby, me, _| ruby.bound(me, "[]")),
    ("compare_by_identity", 0, 0, |_, me, _| Ok(me.clone())),
    ("assoc", 1, 1, |ruby, me, call| {
        match get(me, &call.args[0]) {
            Some(value) => ruby.array(vec![call.at(0), value]),
            None => Ok(Value::Nil),
        }
    }),
    ("any?", 0, 1, |ruby, me, call| {
        let Some(block) = &call.block else {
            return Ok(Value::Bool(length(me) > 0));
        };
        for (key, value) in entries(me) {
            if ruby.call_block(block, vec![key, value])?.is_truthy() {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
];

const NEW: &[Entry] = &[
    ("to_h", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return Ok(me.clone());
        };
        let mut pairs = Vec::new();
        for (key, value) in entries(me) {
            pairs.push(ruby.call_block(&block, vec![key, value])?);
        }
        let pairs = ruby.array(pairs)?;
        ruby.send(&pairs, "to_h", Vec::new())
    }),
    ("merge", 0, ANY, |ruby, me, call| {
        let copied = super::object::copy(ruby, me)?;
        super::hash_change::merge_into(ruby, &copied, &call)?;
        Ok(copied)
    }),
    ("invert", 0, 0, |ruby, me, _| {
        ruby.hash(
            entries(me)
                .into_iter()
                .map(|(key, value)| (value, key))
                .collect(),
        )
    }),
    ("transform_values", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        let mut new = Vec::new();
        for (key, value) in entries(me) {
            new.push((key, ruby.ask(&block, &value)?));
        }
        ruby.hash(new)
    }),
    ("transform_keys", 0, 1, |ruby, me, call| {
        let mut new = Vec::new();
        for (key, value) in entries(me) {
            let renamed = call.args.first().and_then(|names| get(names, &key));
            let key = match (renamed, &call.block) {
                (Some(renamed), _) => renamed,
                (None, Some(block)) => ruby.ask(block, &key)?,
                (None, None) => key,
            };
            new.push((key, value));
        }
        ruby.hash(new)
    }),
    ("sort", 0, 0, |ruby, me, call| {
        let pairs = super::enumerable::sorted(ruby, me, &call)?;
        ruby.array(pairs)
    }),
    ("compact", 0, 0, |ruby, me, _| {
        ruby.hash(
            entries(me)
                .into_iter()
                .filter(|(_, value)| !value.is_nil())
                .collect(),
        )
    }),
    ("slice", 0, ANY, |ruby, me, call| {
        let found = call
            .args
            .iter()
            .filter_map(|key| Some((key.clone(), get(me, key)?)));
        ruby.hash(found.collect())
    }),
    ("except", 0, ANY, |ruby, me, call| {
        let out: Map = call
            .args
            .iter()
            .map(|key| (Key::new(key.clone()), Value::Nil))
            .collect();
        let kept = entries(me)
            .into_iter()
            .filter(|(key, _)| !out.contains_key(&Key::new(key.clone())));
        ruby.hash(kept.collect())
    }),
    ("map", 0, 0, map),
    ("collect", 0, 0, map),
    ("sum", 0, 1, |ruby, me, call| {
        let pairs = ruby.iterate(me)?;
        let pairs = ruby.array(pairs)?;
        ruby.send_with(&pairs, "sum", call.args, call.block)
    }),
];

const FILTERS: &[Entry] = &[
    ("select", 0, 0, |ruby, me, call| kept(ruby, me, &call, true)),
    ("filter", 0, 0, |ruby, me, call| kept(ruby, me, &call, true)),
    ("reject", 0, 0, |ruby, me, call| {
        kept(ruby, me, &call, false)
    }),
    ("count", 0, 1, |ruby, me, call| match &call.block {
        Some(_) => {
            let found = kept(ruby, me, &call, true)?;
            Ok(Value::Int(length(&found)))
        }
        None => Ok(Value::Int(length(me))),
    }),
];

/// The value at a key, or the default.
fn lookup(ruby: &mut Interpreter<'_>, me: &Value, key: &Value) -> Eval {
    if let Some(value) = get(me, key) {
        return Ok(value);
    }
    let Value::Hash(hash) = me else {
        return Ok(Value::Nil);
    };
    let default = hash.default.borrow().clone();
    match default {
        Value::Proc(block) => ruby.call_block(&block, vec![me.clone(), key.clone()]),
        default => Ok(default),
    }
}

fn no_key(ruby: &mut Interpreter<'_>, me: &Value, key: &Value) -> Eval<crate::error::Error> {
    let known: Vec<String> = entries(me)
        .iter()
        .filter_map(|(key, _)| key.as_name())
        .collect();
    let wanted = key.as_name().unwrap_or_default();
    let hint = suggestion(did_you_mean(&wanted, known.iter().map(String::as_str)));
    let shown = ruby.inspect(key)?;
    Ok(ruby.raise_with("KeyError", format!("key not found: {shown}"), hint))
}

fn has_key(_: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    Ok(Value::Bool(get(me, &call.args[0]).is_some()))
}

fn has_value(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    for (_, value) in entries(me) {
        if ruby.equal(&value, &call.args[0])? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn inspect(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let text = ruby.inspect(me)?;
    ruby.string(text)
}

fn each(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let Some(block) = call.block else {
        return super::enumerator::make(ruby, me, "each", Vec::new());
    };
    for pair in ruby.iterate(me)? {
        ruby.ask(&block, &pair)?;
    }
    Ok(me.clone())
}

fn map(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let pairs = ruby.iterate(me)?;
    let Some(block) = call.block else {
        return super::enumerator::make(ruby, me, "each", Vec::new());
    };
    let mut mapped = Vec::new();
    for pair in pairs {
        mapped.push(ruby.ask(&block, &pair)?);
    }
    ruby.array(mapped)
}

fn kept(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval {
    let block = ruby.block(call)?;
    let mut kept = Vec::new();
    for (key, value) in entries(me) {
        let answer = ruby.call_block(&block, vec![key.clone(), value.clone()])?;
        if answer.is_truthy() == wanted {
            kept.push((key, value));
        }
    }
    ruby.hash(kept)
}
