//! `Enumerable`: what follows from `each`. Arrays, hashes and ranges share it.

mod folds;
mod groups;

pub(super) use groups::{sorted, unique};

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Key, Map, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let enumerable = ruby.classes.enumerable.clone();
    enumerable.natives(METHODS);
    enumerable.natives(folds::METHODS);
    enumerable.natives(groups::METHODS);
}

/// What looks at each element.
const METHODS: &[Entry] = &[
    ("to_a", 0, 0, to_a),
    ("entries", 0, 0, to_a),
    ("map", 0, 0, map),
    ("collect", 0, 0, map),
    ("flat_map", 0, 0, flat_map),
    ("collect_concat", 0, 0, flat_map),
    ("select", 0, 0, select),
    ("filter", 0, 0, select),
    ("find_all", 0, 0, select),
    ("reject", 0, 0, |ruby, me, call| {
        let kept = keep(ruby, me, &call, false)?;
        kept.map_or_else(
            || super::enumerator::make(ruby, me, "reject", Vec::new()),
            Ok,
        )
    }),
    ("filter_map", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        let mut kept = Vec::new();
        for item in ruby.iterate(me)? {
            let value = ruby.ask(&block, &item)?;
            if value.is_truthy() {
                kept.push(value);
            }
        }
        ruby.array(kept)
    }),
    ("grep", 1, 1, |ruby, me, call| grep(ruby, me, &call, true)),
    ("grep_v", 1, 1, |ruby, me, call| {
        grep(ruby, me, &call, false)
    }),
    ("find", 0, 1, find),
    ("detect", 0, 1, find),
    ("find_index", 0, 1, find_index),
    ("include?", 1, 1, include),
    ("member?", 1, 1, include),
    ("all?", 0, 1, |ruby, me, call| {
        Ok(Value::Bool(holding(ruby, me, &call, false)? == 0))
    }),
    ("any?", 0, 1, |ruby, me, call| {
        Ok(Value::Bool(first_holding(ruby, me, &call)?))
    }),
    ("none?", 0, 1, |ruby, me, call| {
        Ok(Value::Bool(!first_holding(ruby, me, &call)?))
    }),
    ("one?", 0, 1, |ruby, me, call| {
        Ok(Value::Bool(holding(ruby, me, &call, true)? == 1))
    }),
    ("each_with_index", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "each_with_index", Vec::new());
        };
        for (index, item) in ruby.iterate(me)?.into_iter().enumerate() {
            ruby.call_block(&block, vec![item, Value::Int(index as i64)])?;
        }
        Ok(me.clone())
    }),
    ("each_with_object", 1, 1, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for item in ruby.iterate(me)? {
            ruby.call_block(&block, vec![item, call.at(0)])?;
        }
        Ok(call.at(0))
    }),
    ("each_entry", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for item in ruby.iterate(me)? {
            ruby.ask(&block, &item)?;
        }
        Ok(me.clone())
    }),
    ("reverse_each", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "reverse_each", Vec::new());
        };
        for item in ruby.iterate(me)?.into_iter().rev() {
            ruby.ask(&block, &item)?;
        }
        Ok(me.clone())
    }),
    ("cycle", 0, 1, |ruby, me, call| {
        let Some(block) = call.block else {
            return Err(ruby.unsupported("`cycle` without a block", None));
        };
        let items = ruby.iterate(me)?;
        let rounds = match call.args.first() {
            Some(Value::Nil) | None => i64::MAX,
            Some(rounds) => ruby.int(rounds)?,
        };
        for _ in 0..rounds {
            ruby.step(1)?;
            if items.is_empty() {
                break;
            }
            for item in &items {
                ruby.ask(&block, item)?;
            }
        }
        Ok(Value::Nil)
    }),
    ("first", 0, 1, |ruby, me, call| {
        let items = ruby.iterate(me)?;
        match call.args.first() {
            None => Ok(items.into_iter().next().unwrap_or_default()),
            Some(count) => {
                let count = ruby.count(count)?;
                ruby.array(items.into_iter().take(count).collect())
            }
        }
    }),
    ("take", 1, 1, |ruby, me, call| {
        let count = ruby.count(&call.args[0])?;
        let items = ruby.iterate(me)?;
        ruby.array(items.into_iter().take(count).collect())
    }),
    ("drop", 1, 1, |ruby, me, call| {
        let count = ruby.count(&call.args[0])?;
        let items = ruby.iterate(me)?;
        ruby.array(items.into_iter().skip(count).collect())
    }),
    ("take_while", 0, 0, |ruby, me, call| {
        let (taken, _) = split_while(ruby, me, &call)?;
        ruby.array(taken)
    }),
    ("drop_while", 0, 0, |ruby, me, call| {
        let (_, rest) = split_while(ruby, me, &call)?;
        ruby.array(rest)
    }),
    ("to_h", 0, 0, to_h),
    ("to_set", 0, 0, |ruby, me, _| {
        let class = ruby.root_constant("Set")?.unwrap_or_default();
        let items = ruby.iterate(me)?;
        let items = ruby.array(items)?;
        ruby.send(&class, "new", vec![items])
    }),
    ("lazy", 0, 0, |_, me, _| Ok(me.clone())),
    ("force", 0, 0, to_a),
];

fn to_a(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let items = ruby.iterate(me)?;
    ruby.array(items)
}

fn map(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let Some(block) = call.block else {
        return super::enumerator::make(ruby, me, "map", Vec::new());
    };
    let items = ruby.iterate(me)?;
    let mut mapped = Vec::with_capacity(items.len());
    for item in items {
        mapped.push(ruby.ask(&block, &item)?);
    }
    ruby.array(mapped)
}

fn flat_map(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let block = ruby.block(&call)?;
    let mut mapped = Vec::new();
    for item in ruby.iterate(me)? {
        match ruby.ask(&block, &item)? {
            Value::Array(array) => {
                mapped.extend(array.items.borrow().iter().cloned());
                ruby.room_for(mapped.len())?;
            }
            other => mapped.push(other),
        }
    }
    ruby.array(mapped)
}

fn select(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let kept = keep(ruby, me, &call, true)?;
    kept.map_or_else(
        || super::enumerator::make(ruby, me, "select", Vec::new()),
        Ok,
    )
}

/// The elements for which the block says so; `None` without a block.
fn keep(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval<Option<Value>> {
    let Some(block) = &call.block else {
        return Ok(None);
    };
    let mut kept = Vec::new();
    for item in ruby.iterate(me)? {
        if ruby.asks(block, &item)? == wanted {
            kept.push(item);
        }
    }
    ruby.array(kept).map(Some)
}

/// The elements that a pattern fits, or does not.
fn grep(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval {
    let mut found = Vec::new();
    for item in ruby.iterate(me)? {
        let fits = ruby.send(&call.args[0], "===", vec![item.clone()])?;
        if fits.is_truthy() != wanted {
            continue;
        }
        found.push(match &call.block {
            Some(block) => ruby.ask(block, &item)?,
            None => item,
        });
    }
    ruby.array(found)
}

fn find(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let Some(block) = call.block else {
        return super::enumerator::make(ruby, me, "find", Vec::new());
    };
    for item in ruby.iterate(me)? {
        if ruby.asks(&block, &item)? {
            return Ok(item);
        }
    }
    Ok(Value::Nil)
}

fn find_index(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    for (index, item) in ruby.iterate(me)?.into_iter().enumerate() {
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
}

fn include(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    for item in ruby.iterate(me)? {
        if ruby.equal(&item, &call.args[0])? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Whether the pattern, the block or truth itself says yes to an element.
fn holds(ruby: &mut Interpreter<'_>, call: &Call, item: &Value) -> Eval<bool> {
    match (call.args.first(), &call.block) {
        (Some(pattern), _) => Ok(ruby.send(pattern, "===", vec![item.clone()])?.is_truthy()),
        (None, Some(block)) => ruby.asks(block, item),
        (None, None) => Ok(item.is_truthy()),
    }
}

/// How many elements hold, or do not.
fn holding(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval<usize> {
    let mut count = 0;
    for item in ruby.iterate(me)? {
        count += usize::from(holds(ruby, call, &item)? == wanted);
        if !wanted && count > 0 {
            break;
        }
    }
    Ok(count)
}

fn first_holding(ruby: &mut Interpreter<'_>, me: &Value, call: &Call) -> Eval<bool> {
    for item in ruby.iterate(me)? {
        if holds(ruby, call, &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn split_while(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
) -> Eval<(Vec<Value>, Vec<Value>)> {
    let block = ruby.block(call)?;
    let mut items = ruby.iterate(me)?;
    let mut count = 0;
    while count < items.len() && ruby.asks(&block, &items[count].clone())? {
        count += 1;
    }
    let rest = items.split_off(count);
    Ok((items, rest))
}

fn to_h(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let mut map = Map::new();
    for item in ruby.iterate(me)? {
        let pair = match &call.block {
            Some(block) => ruby.ask(block, &item)?,
            None => item,
        };
        match pair.as_items().as_deref() {
            Some([key, value]) => {
                map.insert(Key::of_own(key.clone()), value.clone());
            }
            _ => {
                let class = ruby.class_of(&pair).title();
                let message = format!("wrong element type {class} (expected array)");
                return Err(ruby.raise("TypeError", message));
            }
        }
    }
    Ok(Value::Hash(ruby.new_hash(map)?))
}
