//! `Array`: changing one in its place.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::array::items;
use crate::library::string_find::{range_of, resolve};
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let array = ruby.classes.array.clone();
    array.natives(METHODS);
    array.natives(BANGS);
}

const METHODS: &[Entry] = &[
    ("<<", 1, 1, push),
    ("push", 0, ANY, push),
    ("append", 0, ANY, push),
    ("pop", 0, 1, |ruby, me, call| {
        let own = ruby.own_array(me)?;
        match call.args.first() {
            None => Ok(own.items.borrow_mut().pop().unwrap_or_default()),
            Some(count) => {
                let count = ruby.count(count)?;
                let length = own.items.borrow().len();
                let tail = own.items.borrow_mut().split_off(length - count.min(length));
                ruby.array(tail)
            }
        }
    }),
    ("shift", 0, 1, |ruby, me, call| {
        let own = ruby.own_array(me)?;
        match call.args.first() {
            None if own.items.borrow().is_empty() => Ok(Value::Nil),
            None => Ok(own.items.borrow_mut().remove(0)),
            Some(count) => {
                let count = ruby.count(count)?;
                let length = own.items.borrow().len();
                let head = own.items.borrow_mut().drain(..count.min(length)).collect();
                ruby.array(head)
            }
        }
    }),
    ("unshift", 0, ANY, unshift),
    ("prepend", 0, ANY, unshift),
    ("insert", 1, ANY, |ruby, me, mut call| {
        let index = call.args.remove(0);
        let index = ruby.int(&index)?;
        let mut all = items(me);
        let index = if index < 0 {
            index + all.len() as i64 + 1
        } else {
            index
        };
        let Ok(at) = usize::try_from(index) else {
            return Err(ruby.raise("IndexError", format!("index {index} too small for array")));
        };
        ruby.room_for(at)?;
        if at > all.len() {
            all.resize(at, Value::Nil);
        }
        all.splice(at..at, call.args);
        put(ruby, me, all)
    }),
    ("concat", 0, ANY, |ruby, me, call| {
        let mut all = items(me);
        for other in &call.args {
            all.extend(ruby.list(other)?);
        }
        put(ruby, me, all)
    }),
    ("replace", 1, 1, |ruby, me, call| {
        let new = ruby.list(&call.args[0])?;
        put(ruby, me, new)
    }),
    ("clear", 0, 0, |ruby, me, _| put(ruby, me, Vec::new())),
    ("fill", 1, 1, |ruby, me, call| {
        let filled = items(me).iter().map(|_| call.at(0)).collect();
        put(ruby, me, filled)
    }),
    ("[]=", 2, 3, set),
    ("delete", 1, 1, |ruby, me, call| {
        let (mut kept, mut found) = (Vec::new(), None);
        for item in items(me) {
            match ruby.equal(&item, &call.args[0])? {
                true => found = Some(item),
                false => kept.push(item),
            }
        }
        put(ruby, me, kept)?;
        match (found, &call.block) {
            (Some(found), _) => Ok(found),
            (None, Some(block)) => ruby.ask(block, &call.args[0]),
            (None, None) => Ok(Value::Nil),
        }
    }),
    ("delete_at", 1, 1, |ruby, me, call| {
        let index = ruby.int(&call.args[0])?;
        let own = ruby.own_array(me)?;
        let mut items = own.items.borrow_mut();
        let length = items.len();
        match resolve(index, length).filter(|at| *at < length) {
            Some(at) => Ok(items.remove(at)),
            None => Ok(Value::Nil),
        }
    }),
    ("slice!", 1, 2, |ruby, me, call| {
        let length = items(me).len();
        let (start, count) = match (&call.args[0], call.args.get(1)) {
            (Value::Range(range), _) => match range_of(ruby, range, length)? {
                Some(found) => found,
                None => return Ok(Value::Nil),
            },
            (_, None) => return ruby.send(me, "delete_at", call.args),
            (index, Some(count)) => {
                let index = ruby.int(index)?;
                (
                    resolve(index, length).unwrap_or(length).min(length),
                    ruby.count(count)?,
                )
            }
        };
        let mut all = items(me);
        let removed = all
            .drain(start..start.saturating_add(count).min(length))
            .collect();
        put(ruby, me, all)?;
        ruby.array(removed)
    }),
    ("delete_if", 0, 0, |ruby, me, call| {
        filtered(ruby, me, &call, false)?;
        Ok(me.clone())
    }),
    ("keep_if", 0, 0, |ruby, me, call| {
        filtered(ruby, me, &call, true)?;
        Ok(me.clone())
    }),
    ("reject!", 0, 0, |ruby, me, call| {
        unless_same(ruby, me, &call, false)
    }),
    ("select!", 0, 0, |ruby, me, call| {
        unless_same(ruby, me, &call, true)
    }),
    ("filter!", 0, 0, |ruby, me, call| {
        unless_same(ruby, me, &call, true)
    }),
];

/// Each does what the one without `!` does, in place.
const BANGS: &[Entry] = &[
    ("map!", 0, 0, always),
    ("collect!", 0, 0, always),
    ("reverse!", 0, 0, always),
    ("rotate!", 0, 1, always),
    ("shuffle!", 0, 1, always),
    ("sort!", 0, 0, always),
    ("sort_by!", 0, 0, always),
    ("uniq!", 0, 0, if_changed),
    ("compact!", 0, 0, if_changed),
    ("flatten!", 0, 1, if_changed),
];

fn put(ruby: &mut Interpreter<'_>, me: &Value, new: Vec<Value>) -> Eval {
    ruby.room_for(new.len())?;
    let own = ruby.own_array(me)?;
    own.items.replace(new);
    Ok(me.clone())
}

fn push(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let own = ruby.own_array(me)?;
    let length = own.items.borrow().len() + call.args.len();
    if length > ruby.limits.string / 8 {
        ruby.room_for(length)?;
    }
    ruby.allocate(call.args.len() * 32)?;
    own.items.borrow_mut().extend(call.args);
    Ok(me.clone())
}

fn unshift(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let mut all = call.args;
    all.extend(items(me));
    put(ruby, me, all)
}

/// `a[1] = x`, `a[1, 2] = x`, `a[1..2] = x`
fn set(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let value = call.args.pop().unwrap_or_default();
    let length = match me {
        Value::Array(array) => array.items.borrow().len(),
        _ => 0,
    };
    let (start, count) = match (&call.args[0], call.args.get(1)) {
        (Value::Range(range), _) => match range_of(ruby, range, length)? {
            Some(found) => found,
            None => return Err(ruby.raise("RangeError", "range out of range")),
        },
        (index, None) => {
            let index = ruby.int(index)?;
            let Some(at) = resolve(index, length) else {
                let message = format!("index {index} too small for array");
                return Err(ruby.raise("IndexError", message));
            };
            if at >= length {
                ruby.room_for(at - length)?;
                ruby.allocate(32)?;
            }
            if at > ruby.limits.string / 8 {
                ruby.room_for(at)?;
            }
            let own = ruby.own_array(me)?;
            let mut items = own.items.borrow_mut();
            if at >= items.len() {
                items.resize(at + 1, Value::Nil);
            }
            items[at] = value.clone();
            return Ok(value);
        }
        (index, Some(count)) => {
            let index = ruby.int(index)?;
            (resolve(index, length).unwrap_or(0), ruby.count(count)?)
        }
    };
    ruby.room_for(start)?;
    let mut all = items(me);
    if start > length {
        all.resize(start, Value::Nil);
    }
    let end = start.saturating_add(count).min(all.len());
    let new = match &value {
        Value::Array(array) => array.items.borrow().clone(),
        value => vec![value.clone()],
    };
    all.splice(start..end, new);
    put(ruby, me, all)?;
    Ok(value)
}

/// Keeps those for which the block says `wanted`; whether that were all.
fn filtered(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval<bool> {
    let block = ruby.block(call)?;
    let all = items(me);
    let before = all.len();
    let mut kept = Vec::new();
    for item in all {
        if ruby.asks(&block, &item)? == wanted {
            kept.push(item);
        }
    }
    let same = kept.len() == before;
    put(ruby, me, kept)?;
    Ok(same)
}

fn unless_same(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, wanted: bool) -> Eval {
    match filtered(ruby, me, call, wanted)? {
        true => Ok(Value::Nil),
        false => Ok(me.clone()),
    }
}

fn always(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    call.name = call.name.trim_end_matches('!').into();
    if call.block.is_none() && matches!(&*call.name, "map" | "collect" | "sort_by") {
        return Err(ruby.raise("LocalJumpError", "no block given (yield)"));
    }
    let new = ruby.dispatch(me, call, false)?;
    put(ruby, me, items(&new))
}

fn if_changed(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let before = items(me);
    always(ruby, me, call)?;
    let after = items(me);
    let same = before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| a.is_same(b));
    Ok(if same { Value::Nil } else { me.clone() })
}
