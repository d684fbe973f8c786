//! What is easier said in Ruby: classes that are evaluated when a file first
//! names them. And the objects that stand for streams and bindings.

use crate::class::{ANY, Class, Entry};
use crate::env::Env;
use crate::error::Eval;
use crate::host::{Call, Stream};
use crate::interpreter::Interpreter;
use crate::value::{Code, Name, Proc, Value};
use std::rc::Rc;

/// Each constant with the text that defines it.
const TEXTS: &[(&[&str], &str, &str)] = &[
    (
        &["OpenStruct"],
        "ostruct.rb",
        include_str!("../prelude/ostruct.rb"),
    ),
    (&["Set"], "set.rb", include_str!("../prelude/set.rb")),
    (
        &["Pathname"],
        "pathname.rb",
        include_str!("../prelude/pathname.rb"),
    ),
    (
        &["IPAddr"],
        "ipaddr.rb",
        include_str!("../prelude/ipaddr.rb"),
    ),
    (&["Gem"], "gem.rb", include_str!("../prelude/gem.rb")),
    (&["ERB"], "erb.rb", include_str!("../prelude/erb.rb")),
    (
        &["GetoptLong", "OptionParser"],
        "options.rb",
        include_str!("../prelude/options.rb"),
    ),
    (
        &[
            "Shellwords",
            "Base64",
            "StringIO",
            "Singleton",
            "Forwardable",
            "Logger",
            "CGI",
            "Benchmark",
            "Timeout",
            "Date",
            "Bundler",
            "Digest",
        ],
        "small.rb",
        include_str!("../prelude/small.rb"),
    ),
];

/// Evaluates the text that defines a constant, if there is one.
pub(crate) fn autoload(ruby: &mut Interpreter<'_>, name: &str) -> Eval<Option<Value>> {
    let Some((_, file, text)) = TEXTS.iter().find(|(names, ..)| names.contains(&name)) else {
        return Ok(None);
    };
    // The text itself names what it defines.
    let path = std::path::PathBuf::from(file);
    if ruby.loaded.contains(&path) {
        return Ok(None);
    }
    ruby.loaded.push(path);
    let steps = ruby.used.steps;
    ruby.evaluate_builtin(file, text)?;
    ruby.used.steps = steps;
    Ok(ruby.classes.object.constants.borrow().get(name).cloned())
}

/// `$stdout`, `$stderr` or `$stdin`.
pub(super) fn stream(ruby: &mut Interpreter<'_>, name: &str) -> Value {
    let class = Class::new(Some("IO"), Some(ruby.classes.object.clone()), false);
    class.natives(match name {
        "$stdout" => OUT,
        "$stderr" => ERR,
        _ => IN,
    });
    class.natives(BOTH);
    ruby.instance(class)
}

const BOTH: &[Entry] = &[
    ("flush", 0, 0, |_, me, _| Ok(me.clone())),
    ("sync", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    ("sync=", 1, 1, |_, _, call| Ok(call.at(0))),
    ("tty?", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    ("isatty", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    ("fileno", 0, 0, |_, _, _| Ok(Value::Int(1))),
    ("winsize", 0, 0, |ruby, _, _| {
        ruby.array(vec![Value::Int(24), Value::Int(80)])
    }),
];

const OUT: &[Entry] = &[
    ("puts", 0, ANY, |ruby, _, call| {
        super::kernel::puts(ruby, Stream::Out, &call.args)
    }),
    ("print", 0, ANY, |ruby, _, call| {
        super::kernel::print(ruby, Stream::Out, &call.args)
    }),
    ("write", 0, ANY, |ruby, _, call| {
        super::kernel::print(ruby, Stream::Out, &call.args)
    }),
    ("<<", 1, 1, |ruby, me, call| {
        super::kernel::print(ruby, Stream::Out, &call.args)?;
        Ok(me.clone())
    }),
    ("printf", 1, ANY, |ruby, _, call| {
        let text = super::format::format(ruby, &call.args)?;
        ruby.say(Stream::Out, &text);
        Ok(Value::Nil)
    }),
];

const ERR: &[Entry] = &[
    ("puts", 0, ANY, |ruby, _, call| {
        super::kernel::puts(ruby, Stream::Err, &call.args)
    }),
    ("print", 0, ANY, |ruby, _, call| {
        super::kernel::print(ruby, Stream::Err, &call.args)
    }),
    ("write", 0, ANY, |ruby, _, call| {
        super::kernel::print(ruby, Stream::Err, &call.args)
    }),
    ("<<", 1, 1, |ruby, me, call| {
        super::kernel::print(ruby, Stream::Err, &call.args)?;
        Ok(me.clone())
    }),
];

const IN: &[Entry] = &[
    ("gets", 0, ANY, no_input),
    ("read", 0, ANY, no_input),
    ("readline", 0, ANY, no_input),
    ("each_line", 0, ANY, no_input),
    ("getch", 0, ANY, no_input),
    ("noecho", 0, ANY, no_input),
    ("readlines", 0, ANY, no_input),
];

fn no_input(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    Err(ruby.refuse(&format!("STDIN.{}", call.name)))
}

/// The variables of who calls, as an object.
pub(super) fn binding(ruby: &mut Interpreter<'_>) -> Eval {
    let Some(env) = ruby.caller() else {
        return Ok(Value::Nil);
    };
    let class = match ruby.classes.constant("Binding") {
        Some(class) => class,
        None => {
            let class = super::add(ruby, "Binding", false);
            class.natives(BINDING);
            class
        }
    };
    let made = ruby.instance(class);
    // The variables travel inside a block that is never called.
    let function = Rc::new(crate::tree::Function {
        name: Name::from("binding"),
        parameters: crate::tree::Parameters::default(),
        body: crate::tree::Node {
            kind: crate::tree::Kind::Nil,
            span: ruby.new_call("binding", Vec::new()).span,
        },
    });
    let code = Code::Closure {
        function,
        env,
        tag: 0,
    };
    let holder = Value::Proc(Rc::new(Proc {
        code,
        lambda: false,
    }));
    ruby.set_instance_variable(&made, &Name::from("@env"), holder)?;
    Ok(made)
}

const BINDING: &[Entry] = &[
    ("local_variable_get", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        match env_of(ruby, me).and_then(|env| env.scope.find(&name)) {
            Some(value) => Ok(value),
            None => {
                let message = format!("local variable `{name}' is not defined");
                Err(ruby.raise("NameError", message))
            }
        }
    }),
    ("local_variable_set", 2, 2, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        if let Some(env) = env_of(ruby, me) {
            env.scope.set(&Name::from(name), call.at(1));
        }
        Ok(call.at(1))
    }),
    ("local_variable_defined?", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        let found = env_of(ruby, me).and_then(|env| env.scope.find(&name));
        Ok(Value::Bool(found.is_some()))
    }),
    ("local_variables", 0, 0, |ruby, me, _| {
        let names = env_of(ruby, me)
            .map(|env| env.scope.names())
            .unwrap_or_default();
        ruby.array(names.into_iter().map(Value::Symbol).collect())
    }),
    ("receiver", 0, 0, |ruby, me, _| {
        Ok(env_of(ruby, me)
            .map(|env| env.frame.me.clone())
            .unwrap_or_default())
    }),
    ("eval", 1, ANY, |ruby, _, _| Err(ruby.refuse("eval"))),
    ("irb", 0, ANY, |ruby, _, _| Err(ruby.refuse("irb"))),
    // For the templates of `ERB`, whose Ruby stands in a file that was read.
    ("__template", 2, 2, |ruby, me, call| {
        let (name, text) = (ruby.str(&call.args[0])?, ruby.str(&call.args[1])?);
        let Some(env) = env_of(ruby, me) else {
            return Ok(Value::Nil);
        };
        let scope = crate::env::Scope::inner(&env.scope, 0);
        let inner = Env {
            scope,
            frame: env.frame,
        };
        let file = ruby.sources.add(std::path::Path::new(&name), &text, true);
        ruby.deeper(|ruby| ruby.evaluate_in(file, &text, &inner))
    }),
];

fn env_of(ruby: &Interpreter<'_>, me: &Value) -> Option<Env> {
    match ruby.instance_variable(me, "@env") {
        Value::Proc(block) => match &block.code {
            Code::Closure { env, .. } => Some(env.clone()),
            _ => None,
        },
        _ => None,
    }
}
