//! `Struct`.

use crate::class::{ANY, Body, Class, Entry, Native, Visibility};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Name, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let class = super::add(ruby, "Struct", false);
    class.by_value.set(true);
    class
        .includes
        .borrow_mut()
        .push(ruby.classes.enumerable.clone());
    class.natives(METHODS);
    class.raw(&[("initialize", initialize)]);
    class.meta().raw(&[("new", new as Native)]);
}

/// The names of the members, which a class made by `Struct.new` keeps.
const MEMBERS: &str = "@__members";

/// `Struct.new(:a, :b) { … }` makes a class; `new` of that class makes an instance.
fn new(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let class = super::module::own(ruby, me)?;
    if !members(&class).is_empty() {
        let instance = ruby.instance(class);
        call.name = Name::from("initialize");
        ruby.dispatch(&instance, call, true)?;
        return Ok(instance);
    }
    let named = match call.args.first() {
        Some(Value::Str(name)) => Some(name.text.borrow().clone()),
        _ => None,
    };
    if named.is_some() {
        call.args.remove(0);
    }
    let made = ruby.new_class(named.as_deref(), Some(class), false)?;
    let keywords = call.keyword("keyword_init").is_some_and(Value::is_truthy);
    for member in &call.args {
        let name = ruby.name_of(member)?;
        let variable = Name::from(format!("@{name}"));
        made.define(&name, Visibility::Public, Body::Reader(variable.clone()));
        made.define(
            &format!("{name}="),
            Visibility::Public,
            Body::Writer(variable),
        );
    }
    let names = ruby.array(call.args.clone())?;
    let mut variables = made.variables.borrow_mut();
    variables.insert(Name::from(MEMBERS), names);
    variables.insert(Name::from("@__keywords"), Value::Bool(keywords));
    drop(variables);
    let made = Value::Class(made);
    if let Some(block) = &call.block {
        let args = vec![made.clone()];
        ruby.call_proc(block, args, Vec::new(), None, Some(made.clone()))?;
    }
    Ok(made)
}

fn members(class: &Rc<Class>) -> Vec<Name> {
    let mut next = Some(class);
    while let Some(class) = next {
        if let Some(names) = class.variables.borrow().get(MEMBERS) {
            let names = names.as_items().unwrap_or_default();
            return names
                .iter()
                .filter_map(Value::as_name)
                .map(Name::from)
                .collect();
        }
        next = class.superclass.as_ref();
    }
    Vec::new()
}

fn own_members(ruby: &Interpreter<'_>, me: &Value) -> Vec<Name> {
    members(&ruby.class_of(me))
}

fn initialize(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let class = ruby.class_of(me);
    let names = members(&class);
    let mut args = call.args;
    let wants_keywords = class.ancestors().iter().any(|class| {
        matches!(
            class.variables.borrow().get("@__keywords"),
            Some(Value::Bool(true))
        )
    });
    let by_name = args.is_empty() && !call.keywords.is_empty();
    if !call.keywords.is_empty() && !by_name {
        args.push(ruby.hash(call.keywords.clone())?);
    }
    if wants_keywords && !args.is_empty() {
        return Err(ruby.wrong_count(args.len(), "0"));
    }
    if args.len() > names.len() {
        return Err(ruby.raise("ArgumentError", "struct size differs"));
    }
    for (key, _) in call.keywords.iter().filter(|_| by_name) {
        let key = ruby.name_of(key)?;
        if !names.iter().any(|name| **name == *key) {
            return Err(ruby.raise("ArgumentError", format!("unknown keywords: {key}")));
        }
    }
    for (index, name) in names.iter().enumerate() {
        let keyword = call.keywords.iter().filter(|_| by_name);
        let mut keyword = keyword.filter(|(key, _)| key.as_name().as_deref() == Some(&**name));
        let value = match keyword.next() {
            Some((_, value)) => value.clone(),
            None => args.get(index).cloned().unwrap_or_default(),
        };
        ruby.set_instance_variable(me, &Name::from(format!("@{name}")), value)?;
    }
    Ok(Value::Nil)
}

const METHODS: &[Entry] = &[
    ("members", 0, 0, |ruby, me, _| {
        let names = own_members(ruby, me)
            .into_iter()
            .map(Value::Symbol)
            .collect();
        ruby.array(names)
    }),
    ("to_a", 0, 0, values),
    ("deconstruct", 0, 0, values),
    ("values", 0, 0, values),
    ("each", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for value in pairs(ruby, me).into_iter().map(|(_, value)| value) {
            ruby.ask(&block, &value)?;
        }
        Ok(me.clone())
    }),
    ("each_pair", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for (name, value) in pairs(ruby, me) {
            ruby.call_block(&block, vec![Value::Symbol(name), value])?;
        }
        Ok(me.clone())
    }),
    ("to_h", 0, 0, |ruby, me, call| {
        let entries = pairs(ruby, me)
            .into_iter()
            .map(|(name, value)| (Value::Symbol(name), value));
        let hash = ruby.hash(entries.collect())?;
        match call.block {
            Some(block) => ruby.send_with(&hash, "to_h", Vec::new(), Some(block)),
            None => Ok(hash),
        }
    }),
    ("[]", 1, 1, |ruby, me, call| {
        let name = member(ruby, me, &call.args[0])?;
        Ok(ruby.instance_variable(me, &name))
    }),
    ("[]=", 2, 2, |ruby, me, call| {
        let name = member(ruby, me, &call.args[0])?;
        ruby.set_instance_variable(me, &name, call.at(1))?;
        Ok(call.at(1))
    }),
    ("dig", 1, ANY, |ruby, me, call| {
        super::array::dig(ruby, me, &call.args)
    }),
    ("to_s", 0, 0, inspect),
    ("inspect", 0, 0, inspect),
];

fn pairs(ruby: &Interpreter<'_>, me: &Value) -> Vec<(Name, Value)> {
    let pair = |name: Name| {
        let value = ruby.instance_variable(me, &format!("@{name}"));
        (name, value)
    };
    own_members(ruby, me).into_iter().map(pair).collect()
}

fn values(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let values = pairs(ruby, me)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    ruby.array(values)
}

/// The variable of a member by name or number.
fn member(ruby: &mut Interpreter<'_>, me: &Value, key: &Value) -> Eval<Name> {
    let names = own_members(ruby, me);
    let found = match key {
        Value::Int(index) => {
            super::string_find::resolve(*index, names.len()).and_then(|index| names.get(index))
        }
        key => {
            let key = ruby.name_of(key)?;
            names.iter().find(|name| ***name == *key)
        }
    };
    match found {
        Some(name) => Ok(Name::from(format!("@{name}"))),
        None => {
            let shown = super::inspect::plain(key);
            Err(ruby.raise("NameError", format!("no member {shown} in struct")))
        }
    }
}

fn inspect(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let class = ruby.class_of(me);
    let name = class
        .name
        .borrow()
        .as_ref()
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let mut parts = Vec::new();
    for (member, value) in pairs(ruby, me) {
        if ruby.levels > 4000 {
            break;
        }
        ruby.levels += 200;
        let shown = ruby.inspect(&value);
        ruby.levels -= 200;
        parts.push(format!(" {member}={}", shown?));
    }
    ruby.string(format!("#<struct{name}{}>", parts.join(",")))
}
