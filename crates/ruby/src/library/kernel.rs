//! Functions: what is called without a receiver. Those that would act outside
//! of the evaluation are refused by name.

use crate::class::{ANY, Entry};
use crate::env::Env;
use crate::error::{Eval, Flow, Raised};
use crate::host::{Call, Stream};
use crate::interpreter::Interpreter;
use crate::value::{Name, Proc, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let kernel = ruby.classes.kernel.clone();
    kernel.functions(FUNCTIONS);
    kernel.meta().natives(FUNCTIONS);
    for name in REFUSED {
        kernel.functions(&[(name, 0, ANY, refuse)]);
        kernel.meta().natives(&[(name, 0, ANY, refuse)]);
    }
    for name in ["$stdout", "$stderr", "$stdin"] {
        let value = super::prelude::stream(ruby, name);
        ruby.globals.insert(Name::from(name), value);
    }
    for (name, value) in [("$,", Value::Nil), ("$/", Value::text("\n"))] {
        ruby.globals.insert(Name::from(name), value);
    }
    let debug = Value::Bool(false);
    ruby.globals.insert(Name::from("$DEBUG"), debug.clone());
    ruby.globals.insert(Name::from("$VERBOSE"), debug);
    constants(ruby);
}

/// What would act outside of the evaluation, or wait for someone to type.
const REFUSED: &[&str] = &[
    "system",
    "exec",
    "spawn",
    "fork",
    "eval",
    "gets",
    "readline",
    "readlines",
    "open",
    "trap",
    "syscall",
    "`",
    "at_exit",
    "autoload",
    "set_trace_func",
    "select",
    "test",
    "callcc",
];

const FUNCTIONS: &[Entry] = &[
    ("puts", 0, ANY, |ruby, _, call| {
        puts(ruby, Stream::Out, &call.args)
    }),
    ("print", 0, ANY, |ruby, _, call| {
        print(ruby, Stream::Out, &call.args)
    }),
    ("p", 0, ANY, p),
    ("pp", 0, ANY, p),
    ("printf", 0, ANY, |ruby, _, call| {
        let text = super::format::format(ruby, &call.args)?;
        ruby.say(Stream::Out, &text);
        Ok(Value::Nil)
    }),
    ("putc", 1, 1, |ruby, _, call| {
        print(ruby, Stream::Out, &call.args)
    }),
    ("warn", 0, ANY, |ruby, _, mut call| {
        call.take_options();
        puts(ruby, Stream::Err, &call.args)
    }),
    ("format", 1, ANY, format),
    ("sprintf", 1, ANY, format),
    ("raise", 0, ANY, raise),
    ("fail", 0, ANY, raise),
    ("abort", 0, 1, |ruby, _, call| {
        let message = match call.args.first() {
            Some(message) => ruby.str(message)?,
            None => "The file ended by `abort`".to_owned(),
        };
        Err(ruby.fail("abort", message, None, Some(call.span)))
    }),
    ("exit", 0, 1, exit),
    ("exit!", 0, 1, exit),
    ("catch", 0, 1, catch),
    ("throw", 1, 2, |_, _, call| {
        let (tag, value) = (call.at(0), call.at(1));
        Err(Flow::Throw { tag, value }.into())
    }),
    ("loop", 0, 0, loops),
    ("lambda", 0, 0, |ruby, _, call| {
        let block = ruby.block(&call)?;
        let code = block.code.clone();
        Ok(Value::Proc(Rc::new(Proc { code, lambda: true })))
    }),
    ("proc", 0, 0, |ruby, _, call| {
        Ok(Value::Proc(ruby.block(&call)?))
    }),
    ("block_given?", 0, 0, |ruby, _, _| {
        let caller = ruby.caller();
        Ok(Value::Bool(
            caller.is_some_and(|env| env.frame.block.borrow().is_some()),
        ))
    }),
    ("binding", 0, 0, |ruby, _, _| super::prelude::binding(ruby)),
    ("local_variables", 0, 0, |ruby, _, _| {
        let names = ruby
            .caller()
            .map(|env| env.scope.names())
            .unwrap_or_default();
        ruby.array(names.into_iter().map(Value::Symbol).collect())
    }),
    ("global_variables", 0, 0, |ruby, _, _| {
        let mut names: Vec<Name> = ruby.globals.keys().cloned().collect();
        names.sort_unstable();
        ruby.array(names.into_iter().map(Value::Symbol).collect())
    }),
    ("__method__", 0, 0, |ruby, _, _| {
        let method = ruby.caller().and_then(|env| env.frame.method.clone());
        Ok(method.map_or(Value::Nil, |method| Value::Symbol(method.name.clone())))
    }),
    ("caller", 0, 2, |ruby, _, _| ruby.array(Vec::new())),
    ("sleep", 0, 1, |_, _, _| Ok(Value::Int(0))),
    ("srand", 0, 1, |ruby, _, call| {
        let seed = match call.args.first() {
            Some(seed) => ruby.int(seed)?,
            None => 0,
        };
        ruby.random = seed as u64;
        Ok(Value::Int(0))
    }),
    ("rand", 0, 1, |ruby, _, call| random(ruby, &call.at(0))),
    ("Integer", 1, 3, |ruby, _, call| {
        super::integer::convert(ruby, call)
    }),
    ("Float", 1, 2, |ruby, _, call| {
        super::float::convert(ruby, call)
    }),
    ("String", 1, 1, |ruby, _, call| {
        let text = ruby.to_s(&call.args[0])?;
        ruby.string(text)
    }),
    ("Array", 1, 1, |ruby, _, call| ruby.splatted(call.at(0))),
    ("Hash", 1, 1, |ruby, _, call| match call.at(0) {
        Value::Nil => ruby.hash(Vec::new()),
        value => {
            let entries = ruby.entries(&value)?;
            ruby.hash(entries)
        }
    }),
    ("Pathname", 1, 1, |ruby, _, call| {
        let class = ruby.root_constant("Pathname")?.unwrap_or_default();
        ruby.send(&class, "new", call.args)
    }),
];

fn refuse(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    Err(ruby.refuse(&call.name))
}

impl Interpreter<'_> {
    /// The surroundings of the call under way.
    pub(crate) fn caller(&self) -> Option<Env> {
        self.callers.last().cloned()
    }

    /// A number that looks random, the same in every run.
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `rand`, `rand(6)`, `rand(1..6)`
pub(super) fn random(ruby: &mut Interpreter<'_>, limit: &Value) -> Eval {
    let random = ruby.next_random();
    let below = |count: i64| (random % count.max(1) as u64) as i64;
    Ok(match limit {
        Value::Nil | Value::Int(0) => Value::Float((random >> 11) as f64 / (1_u64 << 53) as f64),
        Value::Float(limit) => Value::Float(limit * ((random >> 11) as f64 / (1_u64 << 53) as f64)),
        Value::Range(range) => {
            let (first, last) = (ruby.int(&range.first)?, ruby.int(&range.last)?);
            let count = last
                .saturating_sub(first)
                .saturating_add(i64::from(!range.exclusive));
            Value::Int(first.saturating_add(below(count)))
        }
        limit => Value::Int(below(ruby.int(limit)?)),
    })
}

pub(super) fn puts(ruby: &mut Interpreter<'_>, stream: Stream, args: &[Value]) -> Eval {
    let mut text = String::new();
    if args.is_empty() {
        text.push('\n');
    }
    for arg in args {
        lines(ruby, arg, &mut text, 0)?;
    }
    ruby.say(stream, &text);
    Ok(Value::Nil)
}

fn lines(ruby: &mut Interpreter<'_>, value: &Value, text: &mut String, depth: usize) -> Eval<()> {
    match value {
        Value::Array(array) if depth < 50 => {
            let items = array.items.borrow().clone();
            for item in items {
                ruby.step(1)?;
                lines(ruby, &item, text, depth + 1)?;
            }
        }
        value => {
            text.push_str(&ruby.to_s(value)?);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    ruby.room(text.len().saturating_sub(ruby.limits.string))
}

pub(super) fn print(ruby: &mut Interpreter<'_>, stream: Stream, args: &[Value]) -> Eval {
    for arg in args {
        let text = ruby.to_s(arg)?;
        ruby.say(stream, &text);
    }
    Ok(Value::Nil)
}

fn p(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    for arg in &call.args {
        let text = ruby.inspect(arg)?;
        ruby.say(Stream::Out, &format!("{text}\n"));
    }
    match call.args.len() {
        0 => Ok(Value::Nil),
        1 => Ok(call.at(0)),
        _ => ruby.array(call.args),
    }
}

fn format(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let text = super::format::format(ruby, &call.args)?;
    ruby.string(text)
}

/// `raise`, `raise "text"`, `raise Class`, `raise Class, "text"`, `raise object`
fn raise(ruby: &mut Interpreter<'_>, _: &Value, mut call: Call) -> Eval {
    if call.args.is_empty() {
        if let Some(raised) = ruby.rescuing.last().cloned() {
            return Err(Flow::Raise(raised).into());
        }
        return Err(ruby.raise("RuntimeError", "unhandled exception"));
    }
    // `cause:`
    if call.args.len() > 1 {
        call.take_options();
    }
    let value = match &call.args[0] {
        Value::Str(text) => {
            let text = text.text.borrow().clone();
            return Err(ruby.raise("RuntimeError", text));
        }
        class @ Value::Class(_) => {
            let args = call.args.get(1).cloned().into_iter().collect();
            ruby.send(class, "new", args)?
        }
        object => {
            if let Some(message) = call.args.get(1) {
                let message = ruby.to_s(message)?;
                crate::interpreter::set_message(object, message);
            }
            object.clone()
        }
    };
    let exception = ruby.classes.exception.clone();
    if !ruby.is_instance(&value, &exception) {
        return match value {
            Value::Foreign(_) => {
                let message = ruby.to_s(&value)?;
                Err(ruby.raise("RuntimeError", message))
            }
            _ => Err(ruby.raise("TypeError", "exception class/object expected")),
        };
    }
    // An exception that is raised again keeps its place.
    let known = ruby
        .rescuing
        .iter()
        .rev()
        .find(|raised| raised.value.is_same(&value));
    let raised = match known {
        Some(raised) => raised.clone(),
        None => Raised {
            value,
            span: ruby.here(),
            hint: None,
        },
    };
    Err(Flow::Raise(raised).into())
}

fn exit(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let status = match call.args.first() {
        None | Some(Value::Bool(true)) => 0,
        Some(Value::Bool(false)) => 1,
        Some(status) => ruby.int(status)?,
    };
    Err(Flow::Exit { status }.into())
}

fn catch(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let block = ruby.block(&call)?;
    let tag = match call.args.first() {
        Some(tag) => tag.clone(),
        None => {
            let object = ruby.classes.object.clone();
            ruby.instance(object)
        }
    };
    match ruby
        .call_block(&block, vec![tag.clone()])
        .map_err(|error| *error.0)
    {
        Err(Flow::Throw { tag: thrown, value }) if same_tag(&thrown, &tag) => Ok(value),
        other => other.map_err(Into::into),
    }
}

fn same_tag(a: &Value, b: &Value) -> bool {
    a.is_same(b) || a.as_text().is_some_and(|a| b.as_text() == Some(a))
}

/// `loop`, which `StopIteration` ends.
fn loops(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let block = ruby.block(&call)?;
    loop {
        ruby.step(1)?;
        let Err(error) = ruby.call_block(&block, Vec::new()) else {
            continue;
        };
        let Flow::Raise(raised) = &*error.0 else {
            return Err(error);
        };
        let stop = ruby.classes.constant("StopIteration");
        if stop.is_some_and(|stop| ruby.is_instance(&raised.value, &stop)) {
            return Ok(Value::Nil);
        }
        return Err(error);
    }
}

fn constants(ruby: &mut Interpreter<'_>) {
    let platform = ruby.host.platform();
    super::set(ruby, "RUBY_VERSION", Value::text("3.3.0"));
    super::set(ruby, "RUBY_ENGINE", Value::text("ruby"));
    super::set(ruby, "RUBY_PATCHLEVEL", Value::Int(0));
    super::set(ruby, "RUBY_PLATFORM", Value::text(platform.ruby));
    let arguments = platform.arguments.into_iter().map(Value::text).collect();
    if let Ok(arguments) = ruby.array(arguments) {
        super::set(ruby, "ARGV", arguments.clone());
        ruby.globals.insert(Name::from("$*"), arguments);
    }
    for (name, global) in [
        ("STDOUT", "$stdout"),
        ("STDERR", "$stderr"),
        ("STDIN", "$stdin"),
    ] {
        let value = ruby.globals.get(global).cloned().unwrap_or_default();
        super::set(ruby, name, value);
    }
}
