//! `Proc` and `Method`.

use crate::class::{ANY, Entry, Native};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Block, Code, Proc, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let proc = ruby.classes.proc.clone();
    proc.natives(METHODS);
    proc.raw(CALLS);
    proc.meta().natives(&[("new", 0, ANY, |ruby, _, call| {
        Ok(Value::Proc(ruby.block(&call)?))
    })]);
    let method = ruby.classes.method.clone();
    method.natives(METHODS);
    method.raw(CALLS);
    method.natives(BOUND);
}

const CALLS: &[(&str, Native)] = &[
    ("call", invoke),
    ("()", invoke),
    ("yield", invoke),
    ("===", invoke),
    ("[]", invoke),
];

const METHODS: &[Entry] = &[
    ("to_proc", 0, 0, |ruby, me, _| {
        Ok(Value::Proc(own(ruby, me)?))
    }),
    ("lambda?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(own(ruby, me)?.lambda))
    }),
    ("arity", 0, 0, |ruby, me, _| {
        Ok(Value::Int(own(ruby, me)?.arity()))
    }),
    ("curry", 0, 1, |ruby, me, call| {
        let block = own(ruby, me)?;
        let count = match call.args.first() {
            Some(count) => ruby.count(count)?,
            None => block.arity().unsigned_abs() as usize,
        };
        let code = Code::Curry(block, count, Vec::new());
        Ok(Value::Proc(Rc::new(Proc { code, lambda: true })))
    }),
    (">>", 1, 1, |_, me, call| {
        Ok(compose(me.clone(), call.at(0)))
    }),
    ("<<", 1, 1, |_, me, call| {
        Ok(compose(call.at(0), me.clone()))
    }),
    ("parameters", 0, 0, |ruby, _, _| {
        Err(ruby.unsupported("`parameters`", None))
    }),
    ("binding", 0, 0, |ruby, _, _| {
        Err(ruby.unsupported("the binding of a block", None))
    }),
];

const BOUND: &[Entry] = &[
    ("name", 0, 0, |_, me, _| match me {
        Value::Method(bound) => Ok(Value::Symbol(bound.name.clone())),
        _ => Ok(Value::Nil),
    }),
    ("receiver", 0, 0, |_, me, _| match me {
        Value::Method(bound) => Ok(bound.receiver.clone()),
        _ => Ok(Value::Nil),
    }),
    ("owner", 0, 0, |_, me, _| match me {
        Value::Method(bound) => Ok(bound
            .method
            .as_ref()
            .map_or(Value::Nil, |method| Value::Class(method.owner.clone()))),
        _ => Ok(Value::Nil),
    }),
    ("unbind", 0, 0, |_, me, _| Ok(me.clone())),
];

fn own(ruby: &mut Interpreter<'_>, me: &Value) -> Eval<Block> {
    match ruby.block_from(me)? {
        Some(block) => Ok(block),
        None => Err(ruby.no_conversion(me, "Proc")),
    }
}

fn compose(first: Value, second: Value) -> Value {
    let code = Code::Compose(first, second);
    Value::Proc(Rc::new(Proc { code, lambda: true }))
}

fn invoke(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let block = own(ruby, me)?;
    ruby.call_proc(&block, call.args, call.keywords, call.block, None)
}
