//! What every object can do.

use crate::class::{ANY, Entry, Native, Visibility};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Name, Object, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.object.natives(METHODS);
    ruby.classes.object.raw(RAW);
    ruby.classes.object.functions(ABOVE);
    ruby.classes.nil.natives(NIL);
    for class in [&ruby.classes.yes, &ruby.classes.no] {
        class.natives(BOOL);
    }
}

/// What `super` finds above a file's own methods.
const ABOVE: &[Entry] = &[
    ("initialize", 0, ANY, |_, _, _| Ok(Value::Nil)),
    ("respond_to_missing?", 1, 2, |_, _, _| {
        Ok(Value::Bool(false))
    }),
    ("method_missing", 1, ANY, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        Err(ruby.no_method(me, &name))
    }),
];

const METHODS: &[Entry] = &[
    ("==", 1, 1, |ruby, me, call| {
        is_equal(ruby, me, &call.args[0])
    }),
    ("!=", 1, 1, |ruby, me, call| {
        let equal = ruby.send(me, "==", call.args)?;
        Ok(Value::Bool(!equal.is_truthy()))
    }),
    ("!", 0, 0, |_, me, _| Ok(Value::Bool(!me.is_truthy()))),
    ("===", 1, 1, |ruby, me, call| ruby.send(me, "==", call.args)),
    ("eql?", 1, 1, |ruby, me, call| {
        let alike = std::mem::discriminant(me) == std::mem::discriminant(&call.args[0]);
        match alike {
            true => is_equal(ruby, me, &call.args[0]),
            false => Ok(Value::Bool(false)),
        }
    }),
    ("equal?", 1, 1, |_, me, call| {
        Ok(Value::Bool(me.is_same(&call.args[0])))
    }),
    ("=~", 1, 1, |_, _, _| Ok(Value::Nil)),
    ("!~", 1, 1, |ruby, me, call| {
        let found = ruby.send(me, "=~", call.args)?;
        Ok(Value::Bool(!found.is_truthy()))
    }),
    ("<=>", 1, 1, |ruby, me, call| {
        let order = ruby.compare(me, &call.args[0])?;
        Ok(order.map_or(Value::Nil, |order| Value::Int(order as i64)))
    }),
    ("hash", 0, 0, |_, me, _| Ok(Value::Int(identity(me)))),
    ("object_id", 0, 0, |ruby, me, _| {
        Ok(Value::Int(ruby.number_of(me)))
    }),
    ("__id__", 0, 0, |ruby, me, _| {
        Ok(Value::Int(ruby.number_of(me)))
    }),
    ("class", 0, 0, |ruby, me, _| {
        Ok(Value::Class(ruby.class_of(me)))
    }),
    ("singleton_class", 0, 0, |ruby, me, _| {
        Ok(Value::Class(ruby.singleton_of(me)?))
    }),
    ("nil?", 0, 0, |_, me, _| Ok(Value::Bool(me.is_nil()))),
    ("is_a?", 1, 1, is_a),
    ("kind_of?", 1, 1, is_a),
    ("instance_of?", 1, 1, |ruby, me, call| match &call.args[0] {
        Value::Class(class) => Ok(Value::Bool(Rc::ptr_eq(&ruby.class_of(me), class))),
        _ => Err(ruby.raise("TypeError", "class or module required")),
    }),
    ("respond_to?", 1, 2, responds),
    ("to_s", 0, 0, |ruby, me, _| {
        let text = match me {
            value if value.is_same(&ruby.main) => "main".to_owned(),
            Value::Foreign(handle) => ruby.host.describe(*handle),
            Value::Object(object) => format!("#<{}>", object.class.title()),
            value => super::inspect::plain(value),
        };
        ruby.string(text)
    }),
    ("inspect", 0, 0, inspect),
    ("pretty_inspect", 0, 0, inspect),
    ("freeze", 0, 0, |_, me, _| {
        freeze(me);
        Ok(me.clone())
    }),
    ("frozen?", 0, 0, |_, me, _| Ok(Value::Bool(is_frozen(me)))),
    ("dup", 0, 0, |ruby, me, _| copy(ruby, me)),
    ("clone", 0, 1, clone),
    ("itself", 0, 0, |_, me, _| Ok(me.clone())),
    ("tap", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        ruby.ask(&block, me)?;
        Ok(me.clone())
    }),
    ("then", 0, 0, then),
    ("yield_self", 0, 0, then),
    ("instance_variable_get", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        Ok(ruby.instance_variable(me, &name))
    }),
    ("instance_variable_set", 2, 2, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        ruby.set_instance_variable(me, &Name::from(name), call.args[1].clone())?;
        Ok(call.args[1].clone())
    }),
    ("instance_variable_defined?", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        Ok(Value::Bool(
            variables(me).iter().any(|known| **known == *name),
        ))
    }),
    ("instance_variables", 0, 0, |ruby, me, _| {
        let names = variables(me).into_iter().map(Value::Symbol).collect();
        ruby.array(names)
    }),
    ("method", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        ruby.bound(me, &name)
    }),
    ("methods", 0, 1, methods),
    ("public_methods", 0, 1, methods),
    ("extend", 1, ANY, |ruby, me, call| {
        for module in &call.args {
            let Value::Class(module) = module else {
                return Err(ruby.no_conversion(module, "Module"));
            };
            let class = ruby.singleton_of(me)?;
            class.includes.borrow_mut().insert(0, module.clone());
            ruby.hook_with(&Value::Class(module.clone()), "extended", me)?;
        }
        Ok(me.clone())
    }),
    ("display", 0, 0, |ruby, me, _| {
        let text = ruby.to_s(me)?;
        ruby.say(crate::host::Stream::Out, &text);
        Ok(Value::Nil)
    }),
    ("instance_eval", 0, ANY, instance_eval),
    ("enum_for", 0, ANY, to_enum),
    ("to_enum", 0, ANY, to_enum),
];

const RAW: &[(&str, Native)] = &[
    ("send", |ruby, me, call| resend(ruby, me, call, true)),
    ("__send__", |ruby, me, call| resend(ruby, me, call, true)),
    ("public_send", |ruby, me, call| {
        resend(ruby, me, call, false)
    }),
    ("instance_exec", |ruby, me, call| {
        let block = ruby.block(&call)?;
        ruby.call_proc(&block, call.args, call.keywords, None, Some(me.clone()))
    }),
    ("define_singleton_method", |ruby, me, call| {
        let class = ruby.singleton_of(me)?;
        super::module::define_method(ruby, &class, Visibility::Public, &call)
    }),
];

const NIL: &[Entry] = &[
    ("to_s", 0, 0, |_, _, _| Ok(Value::text(""))),
    ("to_a", 0, 0, |ruby, _, _| ruby.array(Vec::new())),
    ("to_h", 0, 0, |ruby, _, _| ruby.hash(Vec::new())),
    ("to_i", 0, 0, |_, _, _| Ok(Value::Int(0))),
    ("to_f", 0, 0, |_, _, _| Ok(Value::Float(0.0))),
    ("inspect", 0, 0, |_, _, _| Ok(Value::text("nil"))),
    ("&", 1, 1, |_, _, _| Ok(Value::Bool(false))),
    ("|", 1, 1, |_, _, call| {
        Ok(Value::Bool(call.args[0].is_truthy()))
    }),
];

const BOOL: &[Entry] = &[
    ("to_s", 0, 0, |_, me, _| {
        Ok(Value::text(me.is_truthy().to_string()))
    }),
    ("&", 1, 1, |_, me, call| {
        Ok(Value::Bool(me.is_truthy() && call.args[0].is_truthy()))
    }),
    ("|", 1, 1, |_, me, call| {
        Ok(Value::Bool(me.is_truthy() || call.args[0].is_truthy()))
    }),
    ("^", 1, 1, |_, me, call| {
        Ok(Value::Bool(me.is_truthy() != call.args[0].is_truthy()))
    }),
];

fn is_equal(ruby: &mut Interpreter<'_>, me: &Value, other: &Value) -> Eval {
    let equal = match (me, other) {
        // Only a class of the file's own, or `Struct`, says otherwise.
        (Value::Object(a), Value::Object(b)) if a.class.by_value.get() => {
            Rc::ptr_eq(&a.class, &b.class) && {
                let values = |object: &Object| -> Vec<Value> {
                    object.variables.borrow().values().cloned().collect()
                };
                let (a, b) = (ruby.array(values(a))?, ruby.array(values(b))?);
                ruby.equal(&a, &b)?
            }
        }
        (Value::Object(_), _) => me.is_same(other),
        _ => ruby.equal(me, other)?,
    };
    Ok(Value::Bool(equal))
}

/// A number that differs between objects, the same in every run.
fn identity(me: &Value) -> i64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = std::hash::DefaultHasher::new();
    match me {
        Value::Object(object) if !object.class.by_value.get() => {
            Rc::as_ptr(object).hash(&mut hasher)
        }
        Value::Class(class) => Rc::as_ptr(class).hash(&mut hasher),
        value => crate::value::Key::new(value.clone()).hash(&mut hasher),
    }
    (hasher.finish() >> 2) as i64
}

fn is_a(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let Value::Class(class) = &call.args[0] else {
        return Err(ruby.raise("TypeError", "class or module required"));
    };
    Ok(Value::Bool(ruby.is_instance(me, class)))
}

impl Interpreter<'_> {
    /// A number that no other object has, the same in every run.
    fn number_of(&mut self, value: &Value) -> i64 {
        if let Value::Int(value) = value {
            return value.wrapping_mul(2).wrapping_add(1);
        }
        let known = self.numbered.iter().position(|known| known.is_same(value));
        let index = known.unwrap_or_else(|| {
            self.used.bytes += 64;
            self.used.steps += self.numbered.len() as u64 / 8;
            self.numbered.push(value.clone());
            self.numbered.len() - 1
        });
        index as i64 * 8 + 16
    }

    pub(crate) fn is_instance(&self, value: &Value, class: &Rc<crate::class::Class>) -> bool {
        let singleton = match value {
            Value::Object(object) => object.singleton.borrow().clone(),
            Value::Class(class) => class.meta.borrow().clone(),
            _ => None,
        };
        self.class_of(value).is_a(class) || singleton.is_some_and(|own| own.is_a(class))
    }

    /// Calls a hook such as `extended` if the file defines it.
    pub(crate) fn hook_with(&mut self, on: &Value, name: &str, with: &Value) -> Eval<()> {
        if self.find_method(on, name).is_some() {
            let call = self.new_call(name, vec![with.clone()]);
            self.dispatch(on, call, true)?;
        }
        Ok(())
    }
}

fn responds(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let name = ruby.name_of(&call.args[0])?;
    if ruby.responds(me, &name) {
        return Ok(Value::Bool(true));
    }
    if ruby.find_method(me, "respond_to_missing?").is_some() {
        let all = Value::Bool(call.at(1).is_truthy());
        let mut asked = ruby.new_call("respond_to_missing?", vec![Value::symbol(&name), all]);
        asked.span = call.span;
        return ruby.dispatch(me, asked, true);
    }
    Ok(Value::Bool(false))
}

fn inspect(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let text = match me {
        value if value.is_same(&ruby.main) => "main".to_owned(),
        Value::Object(object) => {
            let variables = object.variables.borrow().clone();
            let mut parts = Vec::new();
            for (name, value) in variables {
                if ruby.levels > 4000 {
                    parts.push("...".to_owned());
                    break;
                }
                ruby.levels += 200;
                let shown = ruby.inspect(&value);
                ruby.levels -= 200;
                parts.push(format!(" {name}={}", shown?));
            }
            format!("#<{}{}>", object.class.title(), parts.join(","))
        }
        Value::Foreign(handle) => ruby.host.describe(*handle),
        Value::Array(_) | Value::Hash(_) => ruby.inspect(me)?,
        value => super::inspect::plain(value),
    };
    ruby.string(text)
}

fn freeze(me: &Value) {
    match me {
        Value::Str(text) => text.frozen.set(true),
        Value::Array(array) => array.frozen.set(true),
        Value::Hash(hash) => hash.frozen.set(true),
        Value::Object(object) => object.frozen.set(true),
        _ => {}
    }
}

fn is_frozen(me: &Value) -> bool {
    match me {
        Value::Str(text) => text.frozen.get(),
        Value::Array(array) => array.frozen.get(),
        Value::Hash(hash) => hash.frozen.get(),
        Value::Object(object) => object.frozen.get(),
        Value::Class(_) | Value::Proc(_) | Value::Foreign(_) => false,
        _ => true,
    }
}

fn clone(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let thaw = call
        .take_options()
        .and_then(|options| options.get_name("freeze"))
        .is_some_and(|freeze| !freeze.is_truthy());
    let copied = copy(ruby, me)?;
    if is_frozen(me) && !thaw {
        freeze(&copied);
    }
    if let (Value::Object(from), Value::Object(to)) = (me, &copied) {
        to.singleton
            .borrow_mut()
            .clone_from(&from.singleton.borrow());
    }
    Ok(copied)
}

/// A copy of a value, what it holds being shared.
pub(super) fn copy(ruby: &mut Interpreter<'_>, me: &Value) -> Eval {
    match me {
        Value::Str(text) => {
            let copied = text.text.borrow().clone();
            ruby.string(copied)
        }
        Value::Array(array) => {
            let items = array.items.borrow().clone();
            ruby.array(items)
        }
        Value::Hash(hash) => {
            let map = hash.map.borrow().clone();
            let copied = ruby.new_hash(map)?;
            copied
                .default
                .borrow_mut()
                .clone_from(&hash.default.borrow());
            Ok(Value::Hash(copied))
        }
        Value::Object(object) => {
            let copied = ruby.instance(object.class.clone());
            if let Value::Object(copied) = &copied {
                copied
                    .variables
                    .borrow_mut()
                    .clone_from(&object.variables.borrow());
            }
            if ruby.find_method(&copied, "initialize_copy").is_some() {
                let call = ruby.new_call("initialize_copy", vec![me.clone()]);
                ruby.dispatch(&copied, call, true)?;
            }
            Ok(copied)
        }
        other => Ok(other.clone()),
    }
}

fn then(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let block = ruby.block(&call)?;
    ruby.ask(&block, me)
}

fn variables(me: &Value) -> Vec<Name> {
    match me {
        Value::Object(object) => object.variables.borrow().keys().cloned().collect(),
        Value::Class(class) => class.variables.borrow().keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn methods(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let mut names = match me {
        Value::Object(object) => {
            let singleton = object.singleton.borrow().clone();
            singleton
                .map(|class| class.method_names())
                .unwrap_or_default()
        }
        Value::Class(class) => {
            let meta = class.meta.borrow().clone();
            meta.map(|class| class.method_names()).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    names.extend(ruby.class_of(me).method_names());
    names.sort_unstable();
    names.dedup();
    ruby.array(names.into_iter().map(Value::Symbol).collect())
}

fn instance_eval(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    match &call.block {
        Some(block) => {
            let args = vec![me.clone()];
            ruby.call_proc(&block.clone(), args, Vec::new(), None, Some(me.clone()))
        }
        None => Err(ruby.refuse("instance_eval of a string")),
    }
}

fn to_enum(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let name = match call.args.is_empty() {
        true => "each".to_owned(),
        false => ruby.name_of(&call.args.remove(0))?,
    };
    super::enumerator::make(ruby, me, &name, call.args)
}

fn resend(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call, private: bool) -> Eval {
    if call.args.is_empty() {
        return Err(ruby.raise("ArgumentError", "no method name given"));
    }
    let name = ruby.name_of(&call.args.remove(0))?;
    call.name = Name::from(name);
    ruby.dispatch(me, call, private)
}
