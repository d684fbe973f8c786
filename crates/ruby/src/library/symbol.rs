//! `Symbol`.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.symbol.clone().natives(METHODS);
}

const METHODS: &[Entry] = &[
    ("to_s", 0, 0, name),
    ("name", 0, 0, name),
    ("id2name", 0, 0, name),
    ("to_sym", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_proc", 0, 0, |ruby, me, _| {
        let block = ruby.block_from(me)?;
        Ok(block.map_or(Value::Nil, Value::Proc))
    }),
    ("inspect", 0, 0, |ruby, me, _| {
        ruby.string(super::inspect::symbol(&me.as_name().unwrap_or_default()))
    }),
    ("length", 0, 0, as_text),
    ("size", 0, 0, as_text),
    ("empty?", 0, 0, as_text),
    ("[]", 1, 2, as_text),
    ("start_with?", 0, ANY, as_text),
    ("end_with?", 0, ANY, as_text),
    ("=~", 1, 1, as_text),
    ("match", 1, 1, as_text),
    ("match?", 1, 1, as_text),
    ("upcase", 0, 0, as_symbol),
    ("downcase", 0, 0, as_symbol),
    ("capitalize", 0, 0, as_symbol),
    ("swapcase", 0, 0, as_symbol),
    ("succ", 0, 0, as_symbol),
    ("next", 0, 0, as_symbol),
];

fn name(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    ruby.string(me.as_name().unwrap_or_default())
}

/// What the string of the same letters answers.
fn as_text(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let text = Value::text(me.as_name().unwrap_or_default());
    ruby.dispatch(&text, call, false)
}

fn as_symbol(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let text = as_text(ruby, me, call)?;
    Ok(Value::symbol(&text.as_text().unwrap_or_default()))
}
