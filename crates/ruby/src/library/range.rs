//! `Range`.

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Range, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let range = ruby.classes.range.clone();
    range.natives(METHODS);
    range.meta().natives(&[("new", 2, 3, |ruby, _, call| {
        ruby.new_range(call.at(0), call.at(1), call.at(2).is_truthy())
    })]);
}

fn own(ruby: &mut Interpreter<'_>, me: &Value) -> Eval<Rc<Range>> {
    match me {
        Value::Range(range) => Ok(range.clone()),
        other => Err(ruby.no_conversion(other, "Range")),
    }
}

const METHODS: &[Entry] = &[
    ("each", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "each", Vec::new());
        };
        let range = own(ruby, me)?;
        if let (Value::Int(first), Value::Nil) = (&range.first, &range.last) {
            for index in *first..i64::MAX {
                ruby.ask(&block, &Value::Int(index))?;
            }
        }
        for item in ruby.range_items(&range)? {
            ruby.ask(&block, &item)?;
        }
        Ok(me.clone())
    }),
    ("first", 0, 1, |ruby, me, call| {
        let range = own(ruby, me)?;
        match (call.args.first(), &range.first) {
            (None, first) => Ok(first.clone()),
            (Some(count), Value::Int(first)) if range.last.is_nil() => {
                let count = ruby.count(count)?;
                ruby.room_for(count)?;
                ruby.array((*first..).take(count).map(Value::Int).collect())
            }
            (Some(count), _) => {
                let count = ruby.count(count)?;
                let items = ruby.iterate(me)?;
                ruby.array(items.into_iter().take(count).collect())
            }
        }
    }),
    ("last", 0, 1, |ruby, me, call| match call.args.first() {
        None => Ok(own(ruby, me)?.last.clone()),
        Some(_) => {
            let items = ruby.iterate(me)?;
            let items = ruby.array(items)?;
            ruby.send(&items, "last", call.args)
        }
    }),
    ("begin", 0, 0, |ruby, me, _| {
        Ok(own(ruby, me)?.first.clone())
    }),
    ("end", 0, 0, |ruby, me, _| Ok(own(ruby, me)?.last.clone())),
    ("exclude_end?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(own(ruby, me)?.exclusive))
    }),
    ("size", 0, 0, size),
    ("length", 0, 0, size),
    ("include?", 1, 1, covers),
    ("member?", 1, 1, covers),
    ("cover?", 1, 1, covers),
    ("===", 1, 1, covers),
    ("step", 1, 1, step),
    ("%", 1, 1, step),
    ("to_s", 0, 0, |ruby, me, _| {
        let range = own(ruby, me)?;
        let dots = if range.exclusive { "..." } else { ".." };
        let text = format!(
            "{}{dots}{}",
            ruby.to_s(&range.first)?,
            ruby.to_s(&range.last)?
        );
        ruby.string(text)
    }),
    ("inspect", 0, 0, |ruby, me, _| {
        let range = own(ruby, me)?;
        let mut end = |value: &Value| match value {
            Value::Nil => Ok(String::new()),
            value => ruby.inspect(value),
        };
        let dots = if range.exclusive { "..." } else { ".." };
        let text = format!("{}{dots}{}", end(&range.first)?, end(&range.last)?);
        ruby.string(text)
    }),
];

fn size(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let range = own(ruby, me)?;
    match (&range.first, &range.last) {
        (Value::Int(first), Value::Int(last)) => {
            let last = if range.exclusive {
                last.saturating_sub(1)
            } else {
                *last
            };
            Ok(Value::Int(
                last.saturating_sub(*first).saturating_add(1).max(0),
            ))
        }
        (Value::Int(_), Value::Nil) => Ok(Value::Float(f64::INFINITY)),
        _ => Ok(Value::Int(ruby.iterate(me)?.len() as i64)),
    }
}

fn covers(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let range = own(ruby, me)?;
    let value = &call.args[0];
    if !range.first.is_nil() {
        match ruby.compare(&range.first, value)? {
            Some(order) if order.is_le() => {}
            _ => return Ok(Value::Bool(false)),
        }
    }
    if range.last.is_nil() {
        return Ok(Value::Bool(true));
    }
    let order = ruby.compare(value, &range.last)?;
    let within = |order: std::cmp::Ordering| order.is_lt() || (order.is_eq() && !range.exclusive);
    Ok(Value::Bool(order.is_some_and(within)))
}

fn step(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let range = own(ruby, me)?;
    let mut items = Vec::new();
    let block = call.block.clone();
    stepped(
        ruby,
        &range.first,
        &range.last,
        &call.args[0],
        range.exclusive,
        &mut |ruby, value| match &block {
            Some(block) => ruby.ask(block, &value).map(drop),
            None => {
                ruby.allocate(16)?;
                items.push(value);
                Ok(())
            }
        },
    )?;
    match call.block {
        Some(_) => Ok(me.clone()),
        None => ruby.array(items),
    }
}

/// Goes from one number to another; without an end it goes on.
pub(super) fn stepped(
    ruby: &mut Interpreter<'_>,
    first: &Value,
    last: &Value,
    step: &Value,
    exclusive: bool,
    visit: &mut dyn FnMut(&mut Interpreter<'_>, Value) -> Eval<()>,
) -> Eval<()> {
    if let (Value::Int(first), Value::Int(step), Value::Int(_) | Value::Nil) = (first, step, last) {
        let (mut at, step) = (*first, *step);
        if step == 0 {
            return Err(ruby.raise("ArgumentError", "step can't be 0"));
        }
        loop {
            let behind = match last {
                Value::Int(last) if step > 0 => at > *last || (exclusive && at == *last),
                Value::Int(last) => at < *last || (exclusive && at == *last),
                _ => false,
            };
            if behind {
                return Ok(());
            }
            ruby.step(1)?;
            visit(ruby, Value::Int(at))?;
            let Some(next) = at.checked_add(step) else {
                return Ok(());
            };
            at = next;
        }
    }
    let (first, step) = (ruby.float_of(first)?, ruby.float_of(step)?);
    let last = match last {
        Value::Nil => f64::INFINITY,
        last => ruby.float_of(last)?,
    };
    if step == 0.0 || step.is_nan() {
        return Err(ruby.raise("ArgumentError", "step can't be 0"));
    }
    let count = ((last - first) / step + 1e-9).floor();
    let mut index = 0.0;
    while index <= count {
        let at = first + index * step;
        if exclusive && at >= last {
            break;
        }
        ruby.step(1)?;
        visit(ruby, Value::Float(at))?;
        index += 1.0;
    }
    Ok(())
}
