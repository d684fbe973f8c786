//! What classes and modules can do.

use crate::class::{ANY, Body, Class, Entry, Native, Visibility};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Name, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let module = ruby.classes.module.clone();
    module.natives(METHODS);
    module.raw(&[("define_method", |ruby, me, call| {
        let class = own(ruby, me)?;
        let visibility = ruby.caller().map(|env| env.frame.visibility.get());
        define_method(ruby, &class, visibility.unwrap_or_default(), &call)
    })]);
    module.raw(EXEC);
    module.meta().natives(&[("new", 0, 0, |ruby, _, call| {
        let class = ruby.new_class(None, None, true)?;
        filled(ruby, class, &call)
    })]);
    let class = ruby.classes.class.clone();
    class.raw(&[("new", new)]);
    class.natives(&[
        ("allocate", 0, 0, |ruby, me, _| {
            let class = own(ruby, me)?;
            Ok(ruby.instance(class))
        }),
        ("superclass", 0, 0, |ruby, me, _| {
            let above = own(ruby, me)?.superclass.clone();
            Ok(above.map_or(Value::Nil, Value::Class))
        }),
    ]);
    class.meta().natives(&[("new", 0, 1, |ruby, _, call| {
        let above = match call.args.first() {
            Some(above) => own(ruby, above)?,
            None => ruby.classes.object.clone(),
        };
        let class = ruby.new_class(None, Some(above), false)?;
        filled(ruby, class, &call)
    })]);
    let object = ruby.classes.object.clone();
    object.functions(&[
        ("include", 1, ANY, |ruby, _, call| {
            let object = Value::Class(ruby.classes.object.clone());
            include(ruby, &object, call)
        }),
        ("private", 0, ANY, |_, _, call| Ok(call.at(0))),
        ("public", 0, ANY, |_, _, call| Ok(call.at(0))),
        ("using", 1, 1, |_, me, _| Ok(me.clone())),
    ]);
    module.natives(&[("include", 1, ANY, include)]);
    for hook in [
        "inherited",
        "included",
        "extended",
        "prepended",
        "method_added",
    ] {
        module.functions(&[(hook, 0, 1, |_, _, _| Ok(Value::Nil))]);
    }
}

const EXEC: &[(&str, Native)] = &[
    ("class_exec", execute),
    ("module_exec", execute),
    ("class_eval", execute),
    ("module_eval", execute),
];

const METHODS: &[Entry] = &[
    ("name", 0, 0, |ruby, me, _| {
        let name = own(ruby, me)?.name.borrow().clone();
        Ok(name.map_or(Value::Nil, |name| Value::text(&*name)))
    }),
    ("to_s", 0, 0, title),
    ("inspect", 0, 0, title),
    ("===", 1, 1, |ruby, me, call| {
        let class = own(ruby, me)?;
        Ok(Value::Bool(ruby.is_instance(&call.args[0], &class)))
    }),
    ("==", 1, 1, |_, me, call| {
        Ok(Value::Bool(me.is_same(&call.args[0])))
    }),
    ("<", 1, 1, |ruby, me, call| {
        let (one, other) = (own(ruby, me)?, own(ruby, &call.args[0])?);
        Ok(Value::Bool(!Rc::ptr_eq(&one, &other) && one.is_a(&other)))
    }),
    ("<=", 1, 1, |ruby, me, call| {
        let (one, other) = (own(ruby, me)?, own(ruby, &call.args[0])?);
        Ok(Value::Bool(one.is_a(&other)))
    }),
    ("ancestors", 0, 0, |ruby, me, _| {
        let classes = own(ruby, me)?.ancestors();
        ruby.array(classes.into_iter().map(Value::Class).collect())
    }),
    ("prepend", 1, ANY, |ruby, me, call| {
        let class = own(ruby, me)?;
        for module in &call.args {
            let module = own(ruby, module)?;
            class.prepends.borrow_mut().insert(0, module);
        }
        Ok(me.clone())
    }),
    ("include?", 1, 1, |ruby, me, call| {
        let (class, module) = (own(ruby, me)?, own(ruby, &call.args[0])?);
        Ok(Value::Bool(class.is_a(&module)))
    }),
    ("attr_reader", 0, ANY, |ruby, me, call| {
        attributes(ruby, me, &call, true, false)
    }),
    ("attr", 0, ANY, |ruby, me, call| {
        attributes(ruby, me, &call, true, false)
    }),
    ("attr_writer", 0, ANY, |ruby, me, call| {
        attributes(ruby, me, &call, false, true)
    }),
    ("attr_accessor", 0, ANY, |ruby, me, call| {
        attributes(ruby, me, &call, true, true)
    }),
    ("private", 0, ANY, |ruby, me, call| {
        visible(ruby, me, call, Visibility::Private)
    }),
    ("public", 0, ANY, |ruby, me, call| {
        visible(ruby, me, call, Visibility::Public)
    }),
    ("protected", 0, ANY, |ruby, me, call| {
        visible(ruby, me, call, Visibility::Protected)
    }),
    ("module_function", 0, ANY, module_function),
    ("private_class_method", 0, ANY, |_, _, _| Ok(Value::Nil)),
    ("public_class_method", 0, ANY, |_, _, _| Ok(Value::Nil)),
    ("private_constant", 0, ANY, |_, _, _| Ok(Value::Nil)),
    ("refine", 1, 1, |ruby, _, call| {
        let block = ruby.block(&call)?;
        ruby.call_proc(&block, Vec::new(), Vec::new(), None, Some(call.at(0)))
    }),
    ("alias_method", 2, 2, |ruby, me, call| {
        let class = own(ruby, me)?;
        let (new, old) = (ruby.name_of(&call.args[0])?, ruby.name_of(&call.args[1])?);
        ruby.alias(&class, &Name::from(new), &Name::from(old))?;
        Ok(call.at(0))
    }),
    ("remove_method", 0, ANY, remove),
    ("undef_method", 0, ANY, remove),
    ("instance_methods", 0, 1, |ruby, me, _| {
        let names = own(ruby, me)?
            .methods
            .borrow()
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        ruby.array(names.into_iter().map(Value::Symbol).collect())
    }),
    ("method_defined?", 1, 2, has_method),
    ("instance_method", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        let class = own(ruby, me)?;
        let instance = ruby.instance(class);
        ruby.bound(&instance, &name)
    }),
    ("public_method_defined?", 1, 2, has_method),
    ("const_get", 1, 2, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        let mut value = me.clone();
        for part in name.split("::").filter(|part| !part.is_empty()) {
            let class = own(ruby, &value)?;
            let found = match ruby.constant_in(&class, part)? {
                Some(found) => Some(found),
                None => ruby.root_constant(part)?,
            };
            value = match found {
                Some(found) => found,
                None => {
                    let message = format!("uninitialized constant {part}");
                    return Err(ruby.raise("NameError", message));
                }
            };
        }
        Ok(value)
    }),
    ("const_set", 2, 2, |ruby, me, call| {
        let (class, name) = (own(ruby, me)?, ruby.name_of(&call.args[0])?);
        ruby.set_constant(&class, &Name::from(name), call.at(1));
        Ok(call.at(1))
    }),
    ("const_defined?", 1, 2, |ruby, me, call| {
        let (class, name) = (own(ruby, me)?, ruby.name_of(&call.args[0])?);
        Ok(Value::Bool(ruby.constant_in(&class, &name)?.is_some()))
    }),
    ("constants", 0, 1, |ruby, me, _| {
        let names = own(ruby, me)?
            .constants
            .borrow()
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        ruby.array(names.into_iter().map(Value::Symbol).collect())
    }),
    ("class_variable_get", 1, 1, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        let value = own(ruby, me)?.class_variables.borrow().get(&*name).cloned();
        Ok(value.unwrap_or_default())
    }),
    ("class_variable_set", 2, 2, |ruby, me, call| {
        let name = ruby.name_of(&call.args[0])?;
        let class = own(ruby, me)?;
        class
            .class_variables
            .borrow_mut()
            .insert(Name::from(name), call.at(1));
        Ok(call.at(1))
    }),
];

/// The class that a value is.
pub(super) fn own(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<Rc<Class>> {
    match value {
        Value::Class(class) => Ok(class.clone()),
        value => Err(ruby.no_conversion(value, "Module")),
    }
}

/// `Class.new(…)`: an instance, and `initialize`.
fn new(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    let class = own(ruby, me)?;
    if class.is_module {
        return Err(ruby.no_method(me, "new"));
    }
    ruby.allocate(256)?;
    let instance = ruby.instance(class);
    call.name = Name::from("initialize");
    let initialize = ruby.find_method(&instance, "initialize");
    if let Some(method) = initialize {
        ruby.invoke(&instance, &method, call)?;
    }
    Ok(instance)
}

/// A class without a name, filled by a block.
fn filled(ruby: &mut Interpreter<'_>, class: Rc<Class>, call: &Call) -> Eval {
    let value = Value::Class(class);
    if let Some(block) = &call.block {
        let args = vec![value.clone()];
        ruby.call_proc(block, args, Vec::new(), None, Some(value.clone()))?;
    }
    Ok(value)
}

fn execute(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    match &call.block {
        Some(block) => {
            let block = block.clone();
            ruby.call_proc(&block, call.args, call.keywords, None, Some(me.clone()))
        }
        None => Err(ruby.refuse("class_eval of a string")),
    }
}

fn title(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let title = own(ruby, me)?.title();
    ruby.string(title)
}

fn include(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let class = own(ruby, me)?;
    for module in &call.args {
        // What the host offers as a module has nothing to add.
        let Value::Class(module) = module else {
            continue;
        };
        if !module.is_module {
            let message = format!(
                "wrong argument type Class (expected Module): {}",
                module.title()
            );
            return Err(ruby.raise("TypeError", message));
        }
        if !class.is_a(module) {
            if module.is_a(&class) {
                return Err(ruby.raise("ArgumentError", "cyclic include detected"));
            }
            class.includes.borrow_mut().insert(0, module.clone());
        }
        ruby.hook(&Value::Class(module.clone()), "included", &class)?;
    }
    Ok(me.clone())
}

pub(super) fn define_method(
    ruby: &mut Interpreter<'_>,
    class: &Rc<Class>,
    visibility: Visibility,
    call: &Call,
) -> Eval {
    let name = match call.args.first() {
        Some(name) => ruby.name_of(name)?,
        None => return Err(ruby.wrong_count(0, "1..2")),
    };
    let body = match call.args.get(1) {
        Some(body) => ruby.block_from(&body.clone())?,
        None => call.block.clone(),
    };
    let Some(block) = body else {
        return Err(ruby.raise(
            "ArgumentError",
            "tried to create Proc object without a block",
        ));
    };
    class.define(&name, visibility, Body::Block(block));
    Ok(Value::symbol(&name))
}

fn attributes(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
    reader: bool,
    writer: bool,
) -> Eval {
    let class = own(ruby, me)?;
    let visibility = ruby
        .caller()
        .map_or(Visibility::Public, |env| env.frame.visibility.get());
    for name in &call.args {
        let name = ruby.name_of(name)?;
        let variable = Name::from(format!("@{name}"));
        if reader {
            class.define(&name, visibility, Body::Reader(variable.clone()));
        }
        if writer {
            class.define(&format!("{name}="), visibility, Body::Writer(variable));
        }
    }
    ruby.array(call.args.clone())
}

/// `private`, `private :a, :b`, `private def a`, `private [:a]`
fn visible(ruby: &mut Interpreter<'_>, me: &Value, call: Call, visibility: Visibility) -> Eval {
    let class = own(ruby, me)?;
    if call.args.is_empty() {
        if let Some(env) = ruby.caller() {
            env.frame.visibility.set(visibility);
            env.frame.module_function.set(false);
        }
        return Ok(Value::Nil);
    }
    for name in &call.args {
        let names = name.as_items().unwrap_or_else(|| vec![name.clone()]);
        for name in names {
            let name = ruby.name_of(&name)?;
            let Some(method) = class.find(&name) else {
                let message = format!("undefined method `{name}' for class `{}'", class.title());
                return Err(ruby.raise("NameError", message));
            };
            class.define(&name, visibility, method.body.clone());
        }
    }
    Ok(call.at(0))
}

fn module_function(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let class = own(ruby, me)?;
    if call.args.is_empty()
        && let Some(env) = ruby.caller()
    {
        env.frame.module_function.set(true);
    }
    for name in &call.args {
        let name = ruby.name_of(name)?;
        if let Some(method) = class.find(&name) {
            class
                .meta()
                .define(&name, Visibility::Public, method.body.clone());
        }
    }
    Ok(Value::Nil)
}

fn remove(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let class = own(ruby, me)?;
    for name in &call.args {
        let name = ruby.name_of(name)?;
        class.methods.borrow_mut().remove(&*name);
    }
    Ok(me.clone())
}

fn has_method(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let name = ruby.name_of(&call.args[0])?;
    let class = own(ruby, me)?;
    Ok(Value::Bool(class.find(&name).is_some()))
}
