//! `Hash`: changing one in its place.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::hash::{entries, get};
use crate::value::{Key, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.hash.clone().natives(METHODS);
}

const METHODS: &[Entry] = &[
    ("[]=", 2, 2, store),
    ("store", 2, 2, store),
    ("merge!", 0, ANY, merge),
    ("update", 0, ANY, merge),
    ("replace", 1, 1, |ruby, me, call| {
        let new = ruby.entries(&call.args[0])?;
        put(ruby, me, new)
    }),
    ("clear", 0, 0, |ruby, me, _| put(ruby, me, Vec::new())),
    ("delete", 1, 1, |ruby, me, call| {
        let own = ruby.own_hash(me)?;
        let removed = own.map.borrow_mut().shift_remove(&Key::new(call.at(0)));
        match (removed, &call.block) {
            (Some(value), _) => Ok(value),
            (None, Some(block)) => ruby.ask(block, &call.args[0]),
            (None, None) => Ok(Value::Nil),
        }
    }),
    ("shift", 0, 0, |ruby, me, _| {
        let own = ruby.own_hash(me)?;
        let first = own.map.borrow_mut().shift_remove_index(0);
        match first {
            Some((key, value)) => ruby.array(vec![key.value, value]),
            None => Ok(Value::Nil),
        }
    }),
    ("default=", 1, 1, |ruby, me, call| {
        let own = ruby.own_hash(me)?;
        *own.default.borrow_mut() = call.at(0);
        Ok(call.at(0))
    }),
    ("default_proc=", 1, 1, |ruby, me, call| {
        let own = ruby.own_hash(me)?;
        *own.default.borrow_mut() = call.at(0);
        Ok(call.at(0))
    }),
    ("delete_if", 0, 0, always),
    ("keep_if", 0, 0, always),
    ("reject!", 0, 0, if_changed),
    ("select!", 0, 0, if_changed),
    ("filter!", 0, 0, if_changed),
    ("compact!", 0, 0, if_changed),
    ("transform_values!", 0, 0, always),
    ("transform_keys!", 0, 1, always),
    ("rehash", 0, 0, |ruby, me, _| {
        let all = entries(me);
        put(ruby, me, all)
    }),
];

fn put(ruby: &mut Interpreter<'_>, me: &Value, new: Vec<(Value, Value)>) -> Eval {
    let own = ruby.own_hash(me)?;
    let map = new
        .into_iter()
        .map(|(key, value)| (Key::of_own(key), value))
        .collect();
    own.map.replace(map);
    Ok(me.clone())
}

fn store(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let own = ruby.own_hash(me)?;
    ruby.allocate(64)?;
    own.insert(call.at(0), call.at(1));
    Ok(call.at(1))
}

fn merge(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    merge_into(ruby, me, &call)?;
    Ok(me.clone())
}

/// Adds the entries of other hashes; a block decides between two values of one key.
pub(super) fn merge_into(ruby: &mut Interpreter<'_>, me: &Value, call: &Call) -> Eval<()> {
    for other in &call.args {
        for (key, value) in ruby.entries(other)? {
            let value = match (&call.block, get(me, &key)) {
                (Some(block), Some(old)) => {
                    ruby.call_block(block, vec![key.clone(), old, value])?
                }
                _ => value,
            };
            ruby.allocate(64)?;
            ruby.own_hash(me)?.insert(key, value);
        }
    }
    Ok(())
}

/// The method of another name that makes a new hash of what this one keeps.
fn maker(name: &str) -> &str {
    match name {
        "delete_if" | "reject!" => "reject",
        "keep_if" | "select!" | "filter!" => "select",
        name => name.trim_end_matches('!'),
    }
}

fn always(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    call.name = maker(&call.name).into();
    let new = ruby.dispatch(me, call, false)?;
    put(ruby, me, entries(&new))
}

fn if_changed(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let before = entries(me).len();
    always(ruby, me, call)?;
    Ok(if entries(me).len() == before {
        Value::Nil
    } else {
        me.clone()
    })
}
