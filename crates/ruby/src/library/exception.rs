//! `Exception`.

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::{Interpreter, MESSAGE, set_message};
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let exception = ruby.classes.exception.clone();
    exception.natives(METHODS);
    exception.functions(&[("initialize", 0, 255, |ruby, me, call| {
        if let Some(message) = call.args.first() {
            let message = ruby.to_s(message)?;
            set_message(me, message);
        }
        Ok(Value::Nil)
    })]);
    exception
        .meta()
        .natives(&[("exception", 0, 1, |ruby, me, call| {
            ruby.send(me, "new", call.args)
        })]);
}

const METHODS: &[Entry] = &[
    ("message", 0, 0, |ruby, me, _| {
        let text = ruby.to_s(me)?;
        ruby.string(text)
    }),
    ("to_s", 0, 0, text),
    ("full_message", 0, 1, |ruby, me, _| {
        let class = ruby.class_of(me).title();
        let text = ruby.to_s(me)?;
        ruby.string(format!("{text} ({class})"))
    }),
    ("detailed_message", 0, 1, text),
    ("inspect", 0, 0, |ruby, me, _| {
        let class = ruby.class_of(me).title();
        let text = ruby.to_s(me)?;
        let shown = if text.is_empty() {
            class
        } else {
            format!("#<{class}: {text}>")
        };
        ruby.string(shown)
    }),
    ("backtrace", 0, 0, |ruby, _, _| ruby.array(Vec::new())),
    ("backtrace_locations", 0, 0, |ruby, _, _| {
        ruby.array(Vec::new())
    }),
    ("set_backtrace", 1, 1, |_, _, call| Ok(call.at(0))),
    ("cause", 0, 0, |_, _, _| Ok(Value::Nil)),
    ("exception", 0, 1, |_, me, _| Ok(me.clone())),
    ("name", 0, 0, |_, _, _| Ok(Value::Nil)),
];

fn text(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    match ruby.instance_variable(me, MESSAGE) {
        Value::Nil => {
            let class = ruby.class_of(me).title();
            ruby.string(class)
        }
        message => Ok(message),
    }
}
