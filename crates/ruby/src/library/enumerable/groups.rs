//! `Enumerable`: what arranges the elements anew.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::enumerator;
use crate::value::{Block, Key, Map, Value};

pub(super) const METHODS: &[Entry] = &[
    ("sort", 0, 0, |ruby, me, call| {
        let items = sorted(ruby, me, &call)?;
        ruby.array(items)
    }),
    ("sort_by", 0, 0, |ruby, me, call| {
        let items = ruby.iterate(me)?;
        let block = ruby.block(&call)?;
        let items = sorted_by(ruby, items, &block)?;
        ruby.array(items)
    }),
    ("group_by", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        let mut groups: indexmap::IndexMap<Key, Vec<Value>> = indexmap::IndexMap::new();
        for item in ruby.iterate(me)? {
            let key = ruby.ask(&block, &item)?;
            groups.entry(Key::of_own(key)).or_default().push(item);
        }
        let mut map = Map::new();
        for (key, items) in groups {
            map.insert(key, ruby.array(items)?);
        }
        Ok(Value::Hash(ruby.new_hash(map)?))
    }),
    ("partition", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for item in ruby.iterate(me)? {
            match ruby.asks(&block, &item)? {
                true => yes.push(item),
                false => no.push(item),
            }
        }
        let (yes, no) = (ruby.array(yes)?, ruby.array(no)?);
        ruby.array(vec![yes, no])
    }),
    ("chunk_while", 0, 0, |ruby, me, call| {
        chunks(ruby, me, &call, true)
    }),
    ("slice_when", 0, 0, |ruby, me, call| {
        chunks(ruby, me, &call, false)
    }),
    ("each_slice", 1, 1, |ruby, me, call| {
        let size = ruby.count(&call.args[0])?.max(1);
        let items = ruby.iterate(me)?;
        let parts: Vec<Vec<Value>> = items.chunks(size).map(<[Value]>::to_vec).collect();
        each_part(ruby, me, "each_slice", call, parts)
    }),
    ("each_cons", 1, 1, |ruby, me, call| {
        let size = ruby.count(&call.args[0])?.max(1);
        let items = ruby.iterate(me)?;
        ruby.room_for(items.len().saturating_mul(size))?;
        let parts: Vec<Vec<Value>> = items.windows(size).map(<[Value]>::to_vec).collect();
        each_part(ruby, me, "each_cons", call, parts)
    }),
    ("zip", 0, ANY, |ruby, me, call| {
        let items = ruby.iterate(me)?;
        let mut others = Vec::new();
        for other in &call.args {
            others.push(ruby.iterate(other)?);
        }
        let mut zipped = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let mut row = vec![item];
            row.extend(
                others
                    .iter()
                    .map(|other| other.get(index).cloned().unwrap_or_default()),
            );
            zipped.push(ruby.array(row)?);
        }
        match call.block {
            Some(block) => {
                for row in zipped {
                    ruby.ask(&block, &row)?;
                }
                Ok(Value::Nil)
            }
            None => ruby.array(zipped),
        }
    }),
    ("uniq", 0, 0, |ruby, me, call| {
        let items = ruby.iterate(me)?;
        let items = unique(ruby, items, call.block.as_ref())?;
        ruby.array(items)
    }),
];

pub(in crate::library) fn sorted(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
) -> Eval<Vec<Value>> {
    let items = ruby.iterate(me)?;
    match &call.block {
        None => ruby.sort(items, &mut |ruby, a, b| ruby.order(a, b)),
        Some(block) => ruby.sort(items, &mut |ruby, a, b| {
            let order = ruby.call_block(block, vec![a.clone(), b.clone()])?;
            match order {
                Value::Nil => ruby.order(a, &Value::Nil),
                order => Ok(ruby.int(&order)?.cmp(&0)),
            }
        }),
    }
}

pub(in crate::library) fn sorted_by(
    ruby: &mut Interpreter<'_>,
    items: Vec<Value>,
    block: &Block,
) -> Eval<Vec<Value>> {
    let mut ranked = Vec::with_capacity(items.len());
    for item in items {
        let rank = ruby.ask(block, &item)?;
        ranked.push(ruby.array(vec![rank, item])?);
    }
    let ranked = ruby.sort(ranked, &mut |ruby, a, b| {
        let rank = |pair: &Value| pair.as_items().and_then(|pair| pair.into_iter().next());
        let (a, b) = (rank(a).unwrap_or_default(), rank(b).unwrap_or_default());
        ruby.order(&a, &b)
    })?;
    let items = ranked.iter().filter_map(|pair| pair.as_items()?.pop());
    Ok(items.collect())
}

pub(in crate::library) fn unique(
    ruby: &mut Interpreter<'_>,
    items: Vec<Value>,
    block: Option<&Block>,
) -> Eval<Vec<Value>> {
    let mut seen = Map::new();
    for item in items {
        let key = match block {
            Some(block) => ruby.ask(block, &item)?,
            None => item.clone(),
        };
        seen.entry(Key::new(key)).or_insert(item);
    }
    Ok(seen.into_values().collect())
}

/// Neighbours stay together while the block says `together`.
fn chunks(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, together: bool) -> Eval {
    let block = ruby.block(call)?;
    let mut parts: Vec<Vec<Value>> = Vec::new();
    for item in ruby.iterate(me)? {
        let last = parts.last().and_then(|part| part.last()).cloned();
        let joins = match last {
            Some(last) => {
                ruby.call_block(&block, vec![last, item.clone()])?
                    .is_truthy()
                    == together
            }
            None => false,
        };
        match parts.last_mut() {
            Some(part) if joins => part.push(item),
            _ => parts.push(vec![item]),
        }
    }
    let mut arrays = Vec::new();
    for part in parts {
        arrays.push(ruby.array(part)?);
    }
    ruby.array(arrays)
}

fn each_part(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    name: &str,
    call: Call,
    parts: Vec<Vec<Value>>,
) -> Eval {
    let Some(block) = call.block else {
        return enumerator::make(ruby, me, name, call.args);
    };
    for part in parts {
        let part = ruby.array(part)?;
        ruby.ask(&block, &part)?;
    }
    Ok(me.clone())
}
