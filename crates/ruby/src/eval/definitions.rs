//! Definitions of methods, classes and modules.

use crate::class::{Body, Class, Visibility};
use crate::env::{Env, Frame, Lexical, Scope};
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::span::Span;
use crate::tree::{Base, Function, Node, Path};
use crate::value::{Name, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

impl Interpreter<'_> {
    pub(super) fn def(
        &mut self,
        receiver: Option<&Node>,
        function: &Rc<Function>,
        env: &Env,
    ) -> Eval {
        let body = Body::Function(function.clone(), env.frame.lexical.clone());
        let name = Value::Symbol(function.name.clone());
        self.allocate(256)?;
        if let Some(receiver) = receiver {
            let receiver = self.eval(receiver, env)?;
            let class = self.singleton_of(&receiver)?;
            class.define(&function.name, Visibility::Public, body);
            return Ok(name);
        }
        let class = &env.frame.definee;
        if env.frame.module_function.get() {
            class
                .meta()
                .define(&function.name, Visibility::Public, body.clone());
        }
        class.define(&function.name, env.frame.visibility.get(), body);
        Ok(name)
    }

    /// The class of what one object alone can do.
    pub(crate) fn singleton_of(&mut self, value: &Value) -> Eval<Rc<Class>> {
        match value {
            Value::Class(class) => Ok(class.meta()),
            Value::Object(object) => {
                let class = self.new_class(None, None, false)?;
                Ok(object.singleton.borrow_mut().get_or_insert(class).clone())
            }
            _ => Err(self.raise("TypeError", "can't define singleton")),
        }
    }

    pub(super) fn class(
        &mut self,
        path: &Path,
        superclass: Option<&Node>,
        body: &Rc<Function>,
        span: Span,
        env: &Env,
    ) -> Eval {
        let superclass = match superclass {
            Some(node) => match self.eval(node, env)? {
                Value::Class(class) if !class.is_module => Some(class),
                _ => {
                    let error = self.raise("TypeError", "superclass must be a Class");
                    return Err(error.over(node.span));
                }
            },
            None => None,
        };
        let owner = self.owner(path, env)?;
        let class = match self.known(path, &owner, env)? {
            Some(Value::Class(class)) if !class.is_module => class,
            Some(_) => {
                let message = format!("{} is not a class", path.name);
                return Err(self.raise("TypeError", message).over(path.span));
            }
            None => {
                let above = superclass.unwrap_or_else(|| self.classes.object.clone());
                let name = self.full_name(&owner, &path.name);
                let class = self.new_class(Some(&name), Some(above.clone()), false)?;
                self.set_constant(&owner, &path.name, Value::Class(class.clone()));
                self.hook(&Value::Class(above), "inherited", &class)?;
                class
            }
        };
        self.class_body(&class, body, span, env)
    }

    pub(super) fn module(
        &mut self,
        path: &Path,
        body: &Rc<Function>,
        span: Span,
        env: &Env,
    ) -> Eval {
        let owner = self.owner(path, env)?;
        let module = match self.known(path, &owner, env)? {
            Some(Value::Class(class)) if class.is_module => class,
            Some(Value::Foreign(_)) | None => {
                let name = self.full_name(&owner, &path.name);
                let module = self.new_class(Some(&name), None, true)?;
                self.set_constant(&owner, &path.name, Value::Class(module.clone()));
                module
            }
            Some(_) => {
                let message = format!("{} is not a module", path.name);
                return Err(self.raise("TypeError", message).over(path.span));
            }
        };
        self.class_body(&module, body, span, env)
    }

    /// `class << object`
    pub(super) fn singleton_class(
        &mut self,
        object: &Node,
        body: &Rc<Function>,
        span: Span,
        env: &Env,
    ) -> Eval {
        let object = self.eval(object, env)?;
        let class = self.singleton_of(&object)?;
        self.class_body(&class, body, span, env)
    }

    /// Calls `included`, `inherited` or `extended` if the file defines it.
    pub(crate) fn hook(&mut self, on: &Value, name: &str, class: &Rc<Class>) -> Eval<()> {
        if self.find_method(on, name).is_some() {
            let call = self.new_call(name, vec![Value::Class(class.clone())]);
            self.dispatch(on, call, true)?;
        }
        Ok(())
    }

    fn owner(&mut self, path: &Path, env: &Env) -> Eval<Rc<Class>> {
        match &path.base {
            Base::Lexical => Ok(env.frame.lexical.class.clone()),
            Base::Root => Ok(self.classes.object.clone()),
            Base::Of(node) => match self.eval(node, env)? {
                Value::Class(class) => Ok(class),
                // Below an object of the host: `module VagrantPlugins::X`.
                _ => Ok(self.classes.object.clone()),
            },
        }
    }

    fn known(&mut self, path: &Path, owner: &Rc<Class>, env: &Env) -> Eval<Option<Value>> {
        if Rc::ptr_eq(owner, &self.classes.object) {
            return match &path.base {
                Base::Lexical => self.root_constant(&path.name),
                _ => self.find_constant(path, env),
            };
        }
        Ok(owner.constants.borrow().get(&path.name).cloned())
    }

    fn class_body(&mut self, class: &Rc<Class>, body: &Function, span: Span, env: &Env) -> Eval {
        let frame = Frame {
            id: self.id(),
            me: Value::Class(class.clone()),
            method: None,
            args: Vec::new(),
            keywords: Vec::new(),
            block: RefCell::default(),
            lexical: Rc::new(Lexical {
                class: class.clone(),
                parent: Some(env.frame.lexical.clone()),
            }),
            definee: class.clone(),
            visibility: Cell::default(),
            module_function: Cell::new(false),
            found: RefCell::default(),
        };
        let env = Env {
            scope: Rc::new(Scope::default()),
            frame: Rc::new(frame),
        };
        let result = self.placed(span, |ruby| ruby.deeper(|ruby| ruby.eval(&body.body, &env)));
        self.keep(&env);
        result
    }

    pub(crate) fn alias(&mut self, class: &Rc<Class>, new: &Name, old: &Name) -> Eval {
        if new.starts_with('$') {
            return Err(self.unsupported("alias of a global variable", None));
        }
        let found = class
            .find(old)
            .or_else(|| self.classes.object.find(old).filter(|_| class.is_module));
        match found {
            Some(method) => {
                class.define(new, method.visibility, method.body.clone());
                Ok(Value::Nil)
            }
            None => {
                let message = format!("undefined method `{old}' for class `{}'", class.title());
                Err(self.raise("NameError", message))
            }
        }
    }

    pub(super) fn undef(&mut self, names: &[Name], env: &Env) -> Eval {
        for name in names {
            env.frame
                .definee
                .define(name, Visibility::Public, Body::Gone);
        }
        Ok(Value::Nil)
    }
}
