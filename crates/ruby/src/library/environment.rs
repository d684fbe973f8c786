//! `ENV`: the host's environment. What a file sets is seen by that file only.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::hash::get;
use crate::value::{Key, Name, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let environment = ruby.host.environment();
    let entries = environment
        .into_iter()
        .map(|(name, value)| (Value::text(name), Value::text(value)));
    if let Ok(Value::Hash(hash)) = ruby.hash(entries.collect()) {
        ruby.environment = hash;
    }
    let object = ruby.classes.object.clone();
    let env = ruby.instance(object);
    if let Value::Object(object) = &env {
        let class = crate::class::Class::new(None, None, false);
        class.natives(METHODS);
        for name in SHARED {
            class.natives(&[(name, 0, ANY, on_hash)]);
        }
        *object.singleton.borrow_mut() = Some(class);
    }
    let object = ruby.classes.object.clone();
    object.constants.borrow_mut().insert(Name::from("ENV"), env);
}

/// What a hash of the same entries answers.
const SHARED: &[&str] = &[
    "key?",
    "has_key?",
    "include?",
    "member?",
    "keys",
    "values",
    "each",
    "each_pair",
    "map",
    "select",
    "filter",
    "reject",
    "any?",
    "all?",
    "find",
    "sort",
    "sort_by",
    "to_a",
    "slice",
    "except",
    "dig",
    "values_at",
    "empty?",
    "size",
    "length",
    "each_with_object",
    "inject",
    "reduce",
    "inspect",
    "filter_map",
    "group_by",
    "partition",
    "value?",
    "has_value?",
    "key",
    "count",
    "detect",
    "transform_values",
    "transform_keys",
    "min_by",
    "max_by",
    "flat_map",
    "collect",
    "none?",
];

const METHODS: &[Entry] = &[
    ("[]", 1, 1, |ruby, _, call| {
        let name = ruby.str(&call.args[0])?;
        Ok(own(ruby, &name).unwrap_or_default())
    }),
    ("fetch", 1, 2, |ruby, _, call| {
        let name = ruby.str(&call.args[0])?;
        match (own(ruby, &name), &call.block) {
            (Some(value), _) => Ok(value),
            (None, Some(block)) => ruby.ask(block, &call.args[0]),
            (None, None) if call.args.len() > 1 => Ok(call.at(1)),
            (None, None) => {
                let hint = format!("set the environment variable {name}");
                let message = format!("key not found: {name:?}");
                Err(ruby.raise_with("KeyError", message, Some(hint)))
            }
        }
    }),
    ("[]=", 2, 2, store),
    ("store", 2, 2, store),
    ("delete", 1, 1, |ruby, _, call| {
        let key = Key::new(call.at(0));
        let removed = ruby.environment.map.borrow_mut().shift_remove(&key);
        Ok(removed.unwrap_or_default())
    }),
    ("update", 0, ANY, update),
    ("merge!", 0, ANY, update),
    ("to_h", 0, 0, to_h),
    ("to_hash", 0, 0, to_h),
    ("clone", 0, 0, to_h),
    ("dup", 0, 0, to_h),
    ("to_s", 0, 0, |_, _, _| Ok(Value::text("ENV"))),
];

fn own(ruby: &Interpreter<'_>, name: &str) -> Option<Value> {
    get(&Value::Hash(ruby.environment.clone()), &Value::text(name))
}

fn store(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let name = ruby.str(&call.args[0])?;
    match &call.args[1] {
        Value::Nil => {
            let key = Key::new(Value::text(name));
            ruby.environment.map.borrow_mut().shift_remove(&key);
        }
        value => {
            let value = ruby.str(value)?;
            ruby.allocate(name.len() + value.len() + 64)?;
            ruby.environment
                .insert(Value::text(name), Value::text(value));
        }
    }
    Ok(call.at(1))
}

fn update(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    for other in &call.args {
        for (name, value) in ruby.entries(other)? {
            ruby.send(me, "[]=", vec![name, value])?;
        }
    }
    Ok(me.clone())
}

fn to_h(ruby: &mut Interpreter<'_>, _: &Value, _: Call) -> Eval {
    let hash = Value::Hash(ruby.environment.clone());
    super::object::copy(ruby, &hash)
}

fn on_hash(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let hash = Value::Hash(ruby.environment.clone());
    ruby.dispatch(&hash, call, false)
}
