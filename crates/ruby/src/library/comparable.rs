//! `Comparable`: what follows from `<=>`.

use crate::class::Entry;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::Value;
use std::cmp::Ordering;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.comparable.natives(METHODS);
}

const METHODS: &[Entry] = &[
    ("<", 1, 1, |ruby, me, call| {
        is(ruby, me, &call.args[0], Ordering::is_lt)
    }),
    ("<=", 1, 1, |ruby, me, call| {
        is(ruby, me, &call.args[0], Ordering::is_le)
    }),
    (">", 1, 1, |ruby, me, call| {
        is(ruby, me, &call.args[0], Ordering::is_gt)
    }),
    (">=", 1, 1, |ruby, me, call| {
        is(ruby, me, &call.args[0], Ordering::is_ge)
    }),
    ("==", 1, 1, |ruby, me, call| {
        let order = ruby.compare(me, &call.args[0])?;
        Ok(Value::Bool(order == Some(Ordering::Equal)))
    }),
    ("between?", 2, 2, |ruby, me, call| {
        let low = ruby.order(me, &call.args[0])?.is_ge();
        let high = ruby.order(me, &call.args[1])?.is_le();
        Ok(Value::Bool(low && high))
    }),
    ("clamp", 1, 2, |ruby, me, call| {
        let (low, high) = match call.at(0) {
            Value::Range(range) => (range.first.clone(), range.last.clone()),
            low => (low, call.at(1)),
        };
        if !low.is_nil() && ruby.order(me, &low)?.is_lt() {
            return Ok(low);
        }
        if !high.is_nil() && ruby.order(me, &high)?.is_gt() {
            return Ok(high);
        }
        Ok(me.clone())
    }),
];

fn is(ruby: &mut Interpreter<'_>, me: &Value, other: &Value, holds: fn(Ordering) -> bool) -> Eval {
    Ok(Value::Bool(holds(ruby.order(me, other)?)))
}
