//! `Enumerable`: what makes one value of all elements.

use super::sorted;
use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Key, Map, Value};
use std::cmp::Ordering;

pub(super) const METHODS: &[Entry] = &[
    ("inject", 0, 2, inject),
    ("reduce", 0, 2, inject),
    ("sum", 0, 1, sum),
    ("count", 0, 1, |ruby, me, call| {
        if call.args.is_empty() && call.block.is_none() {
            let count = ruby.iterate(me)?.len();
            return Ok(Value::Int(count as i64));
        }
        let mut count = 0;
        for item in ruby.iterate(me)? {
            let counts = match call.args.first() {
                Some(wanted) => ruby.equal(&item, wanted)?,
                None => {
                    let block = ruby.block(&call)?;
                    ruby.asks(&block, &item)?
                }
            };
            count += i64::from(counts);
        }
        Ok(Value::Int(count))
    }),
    ("min", 0, 1, |ruby, me, call| {
        extreme(ruby, me, &call, Ordering::Less)
    }),
    ("max", 0, 1, |ruby, me, call| {
        extreme(ruby, me, &call, Ordering::Greater)
    }),
    ("minmax", 0, 0, |ruby, me, call| {
        let low = extreme(ruby, me, &call, Ordering::Less)?;
        let high = extreme(ruby, me, &call, Ordering::Greater)?;
        ruby.array(vec![low, high])
    }),
    ("min_by", 0, 1, |ruby, me, call| {
        extreme_by(ruby, me, &call, Ordering::Less)
    }),
    ("max_by", 0, 1, |ruby, me, call| {
        extreme_by(ruby, me, &call, Ordering::Greater)
    }),
    ("tally", 0, 0, |ruby, me, _| {
        let mut counts = Map::new();
        for item in ruby.iterate(me)? {
            let count = counts.entry(Key::of_own(item)).or_insert(Value::Int(0));
            if let Value::Int(count) = count {
                *count += 1;
            }
        }
        Ok(Value::Hash(ruby.new_hash(counts)?))
    }),
];

/// `inject { |sum, x| … }`, `inject(0) { … }`, `inject(:+)`, `inject(0, :+)`
fn inject(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let operator = match (&call.block, call.args.last()) {
        (None, Some(name)) => Some(ruby.name_of(&name.clone())?),
        _ => None,
    };
    if operator.is_some() {
        call.args.pop();
    }
    let mut items = ruby.iterate(me)?.into_iter();
    let mut sum = match call.args.into_iter().next() {
        Some(first) => first,
        None => match items.next() {
            Some(first) => first,
            None => return Ok(Value::Nil),
        },
    };
    for item in items {
        sum = match (&call.block, &operator) {
            (Some(block), _) => ruby.call_block(block, vec![sum, item])?,
            (None, Some(operator)) => ruby.send(&sum, operator, vec![item])?,
            (None, None) => return Err(ruby.raise("LocalJumpError", "no block given")),
        };
    }
    Ok(sum)
}

fn sum(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let mut sum = call.args.first().cloned().unwrap_or(Value::Int(0));
    for item in ruby.iterate(me)? {
        let item = match &call.block {
            Some(block) => ruby.ask(block, &item)?,
            None => item,
        };
        sum = ruby.send(&sum, "+", vec![item])?;
    }
    Ok(sum)
}

fn extreme(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: Ordering) -> Eval {
    let mut items = sorted(ruby, me, call)?;
    if wanted == Ordering::Greater {
        items.reverse();
    }
    match call.args.first() {
        None => Ok(items.into_iter().next().unwrap_or_default()),
        Some(count) => {
            let count = ruby.count(count)?;
            ruby.array(items.into_iter().take(count).collect())
        }
    }
}

fn extreme_by(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: Ordering) -> Eval {
    let block = ruby.block(call)?;
    let mut best: Option<(Value, Value)> = None;
    for item in ruby.iterate(me)? {
        let rank = ruby.ask(&block, &item)?;
        let better = match &best {
            Some((known, _)) => ruby.order(&rank, known)? == wanted,
            None => true,
        };
        if better {
            best = Some((rank, item));
        }
    }
    Ok(best.map(|(_, item)| item).unwrap_or_default())
}
