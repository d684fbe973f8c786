//! `Enumerator`: what an iterating method returns without a block. It keeps
//! whom and what to ask, so that `with_index` can ask it with a block of its own.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::{Block, Code, Name, Proc, Value};
use std::cell::Cell;
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.enumerator.clone().natives(METHODS);
}

/// An enumerator of what `receiver.name(*args)` yields.
pub(super) fn make(
    ruby: &mut Interpreter<'_>,
    receiver: &Value,
    name: &str,
    args: Vec<Value>,
) -> Eval {
    let class = ruby.classes.enumerator.clone();
    let made = ruby.instance(class);
    let args = ruby.array(args)?;
    for (variable, value) in [
        ("@receiver", receiver.clone()),
        ("@name", Value::symbol(name)),
        ("@args", args),
        ("@at", Value::Int(0)),
    ] {
        ruby.set_instance_variable(&made, &Name::from(variable), value)?;
    }
    Ok(made)
}

const METHODS: &[Entry] = &[
    ("each", 0, ANY, |ruby, me, call| match call.block {
        Some(block) => ask(ruby, me, block),
        None => Ok(me.clone()),
    }),
    ("with_index", 0, 1, |ruby, me, call| {
        let first = match call.at(0) {
            Value::Nil => 0,
            first => ruby.int(&first)?,
        };
        let Some(block) = call.block else {
            return make(ruby, me, "with_index", call.args);
        };
        ask(
            ruby,
            me,
            proc(Code::Index(block, Rc::new(Cell::new(first)))),
        )
    }),
    ("each_with_index", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return make(ruby, me, "each_with_index", Vec::new());
        };
        ask(ruby, me, proc(Code::Index(block, Rc::default())))
    }),
    ("with_object", 1, 1, |ruby, me, call| {
        let block = ruby.block(&call)?;
        ask(ruby, me, proc(Code::With(block, call.at(0))))?;
        Ok(call.at(0))
    }),
    ("size", 0, 0, |ruby, me, _| {
        let items = ruby.iterate(me)?;
        Ok(Value::Int(items.len() as i64))
    }),
    ("next", 0, 0, |ruby, me, _| {
        let item = peek(ruby, me)?;
        let at = ruby.instance_variable(me, "@at");
        let at = ruby.int(&at)?;
        ruby.set_instance_variable(me, &Name::from("@at"), Value::Int(at + 1))?;
        Ok(item)
    }),
    ("peek", 0, 0, |ruby, me, _| peek(ruby, me)),
    ("rewind", 0, 0, |ruby, me, _| {
        ruby.set_instance_variable(me, &Name::from("@at"), Value::Int(0))?;
        Ok(me.clone())
    }),
    ("inspect", 0, 0, |ruby, me, _| {
        let receiver = ruby.instance_variable(me, "@receiver");
        let name = ruby
            .instance_variable(me, "@name")
            .as_name()
            .unwrap_or_default();
        let receiver = ruby.inspect(&receiver)?;
        ruby.string(format!("#<Enumerator: {receiver}:{name}>"))
    }),
];

fn proc(code: Code) -> Block {
    Rc::new(Proc {
        code,
        lambda: false,
    })
}

fn ask(ruby: &mut Interpreter<'_>, me: &Value, block: Block) -> Eval {
    let receiver = ruby.instance_variable(me, "@receiver");
    let name = ruby
        .instance_variable(me, "@name")
        .as_name()
        .unwrap_or_default();
    let args = ruby
        .instance_variable(me, "@args")
        .as_items()
        .unwrap_or_default();
    ruby.send_with(&receiver, &name, args, Some(block))
}

fn peek(ruby: &mut Interpreter<'_>, me: &Value) -> Eval {
    let items = ruby.iterate(me)?;
    let at = ruby.instance_variable(me, "@at");
    let at = ruby.int(&at)?;
    match usize::try_from(at)
        .ok()
        .and_then(|at| items.get(at).cloned())
    {
        Some(item) => Ok(item),
        None => Err(ruby.raise("StopIteration", "iteration reached an end")),
    }
}
