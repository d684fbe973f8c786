//! `Array`: what makes new arrays of one, or asks about it.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::string_find::{range_of, resolve};
use crate::value::{Key, Map, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let array = ruby.classes.array.clone();
    array.natives(METHODS);
    array.natives(PARTS);
    array.natives(SETS);
    array.meta().natives(&[
        ("new", 0, 2, |ruby, _, call| {
            if let Some(Value::Array(array)) = call.args.first() {
                let items = array.items.borrow().clone();
                return ruby.array(items);
            }
            let count = match call.args.first() {
                Some(count) => ruby.count(count)?,
                None => 0,
            };
            ruby.room_for(count)?;
            let mut items = Vec::new();
            for index in 0..count {
                items.push(match &call.block {
                    Some(block) => ruby.ask(block, &Value::Int(index as i64))?,
                    None => call.at(1),
                });
            }
            ruby.array(items)
        }),
        ("[]", 0, ANY, |ruby, _, call| ruby.array(call.args)),
    ]);
}

/// The elements of the array that a method belongs to.
pub(super) fn items(me: &Value) -> Vec<Value> {
    me.as_items().unwrap_or_default()
}

fn length(me: &Value) -> usize {
    match me {
        Value::Array(array) => array.items.borrow().len(),
        _ => 0,
    }
}

const METHODS: &[Entry] = &[
    ("each", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "each", Vec::new());
        };
        // What is added on the way is visited, too.
        let mut index = 0;
        while let Some(item) = nth(me, index) {
            ruby.ask(&block, &item)?;
            index += 1;
        }
        Ok(me.clone())
    }),
    ("each_index", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for index in 0..length(me) {
            ruby.ask(&block, &Value::Int(index as i64))?;
        }
        Ok(me.clone())
    }),
    ("length", 0, 0, |_, me, _| Ok(Value::Int(length(me) as i64))),
    ("size", 0, 0, |_, me, _| Ok(Value::Int(length(me) as i64))),
    ("empty?", 0, 0, |_, me, _| Ok(Value::Bool(length(me) == 0))),
    ("to_a", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_ary", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_s", 0, 0, inspect),
    ("inspect", 0, 0, inspect),
    ("join", 0, 1, |ruby, me, call| {
        let by = match call.at(0) {
            Value::Nil => String::new(),
            by => ruby.str(&by)?,
        };
        let mut out = String::new();
        join(ruby, &items(me), &by, &mut out, 0)?;
        ruby.string(out)
    }),
    ("+", 1, 1, |ruby, me, call| {
        let mut joined = items(me);
        joined.extend(ruby.list(&call.args[0])?);
        ruby.array(joined)
    }),
    ("*", 1, 1, |ruby, me, call| {
        if let Value::Str(_) = call.args[0] {
            return ruby.send(me, "join", call.args);
        }
        let count = ruby.count(&call.args[0])?;
        ruby.room_for(length(me).saturating_mul(count))?;
        let items = items(me);
        ruby.array(
            items
                .iter()
                .cycle()
                .take(items.len() * count)
                .cloned()
                .collect(),
        )
    }),
    ("index", 0, 1, |ruby, me, call| {
        ruby.send_with(me, "find_index", call.args, call.block)
    }),
    ("rindex", 0, 1, |ruby, me, call| {
        for (index, item) in items(me).into_iter().enumerate().rev() {
            let found = match call.args.first() {
                Some(wanted) => ruby.equal(&item, wanted)?,
                None => {
                    let block = ruby.block(&call)?;
                    ruby.asks(&block, &item)?
                }
            };
            if found {
                return Ok(Value::Int(index as i64));
            }
        }
        Ok(Value::Nil)
    }),
    ("reverse", 0, 0, |ruby, me, _| {
        ruby.array(items(me).into_iter().rev().collect())
    }),
    ("rotate", 0, 1, |ruby, me, call| {
        let by = match call.args.first() {
            Some(by) => ruby.int(by)?,
            None => 1,
        };
        let mut items = items(me);
        if !items.is_empty() {
            let by = by.rem_euclid(items.len() as i64) as usize;
            items.rotate_left(by);
        }
        ruby.array(items)
    }),
    ("compact", 0, 0, |ruby, me, _| {
        ruby.array(
            items(me)
                .into_iter()
                .filter(|item| !item.is_nil())
                .collect(),
        )
    }),
    ("flatten", 0, 1, |ruby, me, call| {
        let depth = match call.at(0) {
            Value::Nil => 500,
            depth => ruby.int(&depth)?.clamp(-1, 500),
        };
        let depth = if depth < 0 { 500 } else { depth };
        let mut out = Vec::new();
        flatten(ruby, &items(me), depth, &mut out)?;
        ruby.array(out)
    }),
    ("sample", 0, 0, |ruby, me, _| {
        let random = ruby.next_random() as usize;
        let items = items(me);
        Ok(items
            .get(random % items.len().max(1))
            .cloned()
            .unwrap_or_default())
    }),
    ("shuffle", 0, 1, |ruby, me, _| {
        let mut items = items(me);
        for index in (1..items.len()).rev() {
            let other = ruby.next_random() as usize % (index + 1);
            items.swap(index, other);
        }
        ruby.array(items)
    }),
    ("transpose", 0, 0, |ruby, me, _| {
        let rows: Vec<Vec<Value>> = items(me).iter().map(items).collect();
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(ruby.raise("IndexError", "element size differs"));
        }
        let mut columns = Vec::new();
        for column in 0..width {
            let column = rows.iter().map(|row| row[column].clone()).collect();
            columns.push(ruby.array(column)?);
        }
        ruby.array(columns)
    }),
    ("product", 0, ANY, |ruby, me, call| {
        let mut rows: Vec<Vec<Value>> = items(me).into_iter().map(|item| vec![item]).collect();
        for other in &call.args {
            let other = ruby.list(other)?;
            ruby.room_for(rows.len().saturating_mul(other.len()).saturating_mul(2))?;
            let extend = |row: &Vec<Value>| -> Vec<Vec<Value>> {
                let with = |item: &Value| row.iter().chain([item]).cloned().collect();
                other.iter().map(with).collect()
            };
            rows = rows.iter().flat_map(extend).collect();
        }
        let mut out = Vec::new();
        for row in rows {
            out.push(ruby.array(row)?);
        }
        ruby.array(out)
    }),
    ("combination", 1, 1, |ruby, me, call| {
        let (items, count) = (items(me), ruby.count(&call.args[0])?);
        let mut out = Vec::new();
        combine(ruby, &items, count, Vec::new(), &mut out)?;
        let out = ruby.array(out)?;
        match call.block {
            Some(block) => ruby.send_with(&out, "each", Vec::new(), Some(block)),
            None => Ok(out),
        }
    }),
    ("assoc", 1, 1, |ruby, me, call| {
        for item in items(me) {
            let first = item.as_items().and_then(|pair| pair.into_iter().next());
            if let Some(first) = first
                && ruby.equal(&first, &call.args[0])?
            {
                return Ok(item);
            }
        }
        Ok(Value::Nil)
    }),
    ("pack", 1, 1, |ruby, _, _| {
        Err(ruby.unsupported("`pack`", None))
    }),
    ("hash", 0, 0, |_, me, _| {
        use std::hash::{Hash as _, Hasher as _};
        let mut hasher = std::hash::DefaultHasher::new();
        Key::new(me.clone()).hash(&mut hasher);
        Ok(Value::Int((hasher.finish() >> 2) as i64))
    }),
];

const PARTS: &[Entry] = &[
    ("[]", 1, 2, slice),
    ("slice", 1, 2, slice),
    ("at", 1, 1, slice),
    ("dig", 1, ANY, |ruby, me, call| dig(ruby, me, &call.args)),
    ("fetch", 1, 2, |ruby, me, call| {
        let index = ruby.int(&call.args[0])?;
        let found = resolve(index, length(me)).and_then(|index| nth(me, index));
        match (found, &call.block) {
            (Some(found), _) => Ok(found),
            (None, Some(block)) => ruby.ask(block, &call.args[0]),
            (None, None) if call.args.len() > 1 => Ok(call.at(1)),
            (None, None) => {
                let length = length(me);
                let message = format!(
                    "index {index} outside of array bounds: {}...{length}",
                    -(length as i64)
                );
                Err(ruby.raise("IndexError", message))
            }
        }
    }),
    ("values_at", 0, ANY, |ruby, me, call| {
        let mut values = Vec::new();
        for index in &call.args {
            let index = ruby.int(index)?;
            let value = resolve(index, length(me)).and_then(|index| nth(me, index));
            values.push(value.unwrap_or_default());
        }
        ruby.array(values)
    }),
    ("first", 0, 1, |ruby, me, call| match call.args.first() {
        None => Ok(nth(me, 0).unwrap_or_default()),
        Some(count) => {
            let count = match ruby.int(count)? {
                count if count < 0 => {
                    return Err(ruby.raise("ArgumentError", "negative array size"));
                }
                count => usize::try_from(count).unwrap_or(usize::MAX),
            };
            ruby.array(items(me).into_iter().take(count).collect())
        }
    }),
    ("last", 0, 1, |ruby, me, call| match call.args.first() {
        None => Ok(nth(me, length(me).wrapping_sub(1)).unwrap_or_default()),
        Some(count) => {
            let mut items = items(me);
            let count = ruby.count(count)?.min(items.len());
            ruby.array(items.split_off(items.len() - count))
        }
    }),
];

const SETS: &[Entry] = &[
    ("-", 1, 1, difference),
    ("difference", 1, 1, difference),
    ("&", 1, 1, intersection),
    ("intersection", 1, 1, intersection),
    ("intersect?", 1, 1, |ruby, me, call| {
        let common = intersection(ruby, me, call)?;
        Ok(Value::Bool(length(&common) > 0))
    }),
    ("|", 1, 1, union),
    ("union", 0, ANY, union),
];

fn nth(me: &Value, index: usize) -> Option<Value> {
    match me {
        Value::Array(array) => array.items.borrow().get(index).cloned(),
        _ => None,
    }
}

fn inspect(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let text = ruby.inspect(me)?;
    ruby.string(text)
}

fn join(
    ruby: &mut Interpreter<'_>,
    items: &[Value],
    by: &str,
    out: &mut String,
    depth: usize,
) -> Eval<()> {
    if depth > 100 {
        return Err(ruby.raise("ArgumentError", "recursive array join"));
    }
    for (index, item) in items.iter().enumerate() {
        ruby.step(1)?;
        if index > 0 {
            out.push_str(by);
        }
        match item {
            Value::Array(array) => {
                let items = array.items.borrow().clone();
                join(ruby, &items, by, out, depth + 1)?;
            }
            item => out.push_str(&ruby.to_s(item)?),
        }
        if out.len() > ruby.limits.string {
            ruby.room(out.len())?;
        }
    }
    Ok(())
}

pub(super) fn flatten(
    ruby: &mut Interpreter<'_>,
    items: &[Value],
    depth: i64,
    out: &mut Vec<Value>,
) -> Eval<()> {
    for item in items {
        ruby.step(1)?;
        match item {
            Value::Array(array) if depth > 0 => {
                let items = array.items.borrow().clone();
                flatten(ruby, &items, depth - 1, out)?;
            }
            item => out.push(item.clone()),
        }
    }
    if out.len() > ruby.limits.string / 8 {
        ruby.room_for(out.len())?;
    }
    Ok(())
}

fn combine(
    ruby: &mut Interpreter<'_>,
    items: &[Value],
    count: usize,
    chosen: Vec<Value>,
    out: &mut Vec<Value>,
) -> Eval<()> {
    ruby.step(1)?;
    if count == 0 {
        out.push(ruby.array(chosen)?);
        return Ok(());
    }
    if count > items.len() || count > 100 {
        return Ok(());
    }
    for (index, item) in items.iter().enumerate() {
        let mut chosen = chosen.clone();
        chosen.push(item.clone());
        combine(ruby, &items[index + 1..], count - 1, chosen, out)?;
    }
    Ok(())
}

fn slice(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let length = length(me);
    let (start, count) = match (&call.args[0], call.args.get(1)) {
        (Value::Range(range), _) => match range_of(ruby, range, length)? {
            Some(found) => found,
            None => return Ok(Value::Nil),
        },
        (index, None) => {
            let index = ruby.int(index)?;
            let found = resolve(index, length).and_then(|index| nth(me, index));
            return Ok(found.unwrap_or_default());
        }
        (index, Some(count)) => {
            let (index, count) = (ruby.int(index)?, ruby.int(count)?);
            match (resolve(index, length), usize::try_from(count)) {
                (Some(start), Ok(count)) if start <= length => (start, count),
                _ => return Ok(Value::Nil),
            }
        }
    };
    ruby.array(items(me).into_iter().skip(start).take(count).collect())
}

/// `dig` through arrays, hashes and whatever else digs.
pub(super) fn dig(ruby: &mut Interpreter<'_>, me: &Value, path: &[Value]) -> Eval {
    let mut value = me.clone();
    for key in path {
        if value.is_nil() {
            break;
        }
        value = ruby.send(&value, "[]", vec![key.clone()])?;
    }
    Ok(value)
}

fn keys(items: Vec<Value>) -> Map {
    items
        .into_iter()
        .map(|item| (Key::new(item), Value::Nil))
        .collect()
}

fn difference(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let others = keys(ruby.list(&call.args[0])?);
    let kept = items(me)
        .into_iter()
        .filter(|item| !others.contains_key(&Key::new(item.clone())));
    ruby.array(kept.collect())
}

fn intersection(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let others = keys(ruby.list(&call.args[0])?);
    let kept = items(me)
        .into_iter()
        .filter(|item| others.contains_key(&Key::new(item.clone())));
    let kept = super::enumerable::unique(ruby, kept.collect(), None)?;
    ruby.array(kept)
}

fn union(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let mut all = items(me);
    for other in &call.args {
        all.extend(ruby.list(other)?);
    }
    let all = super::enumerable::unique(ruby, all, None)?;
    ruby.array(all)
}
