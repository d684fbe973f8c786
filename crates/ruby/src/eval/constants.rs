//! Constants and class variables.

use crate::class::Class;
use crate::env::{Env, Lexical};
use crate::error::{Eval, did_you_mean, suggestion};
use crate::interpreter::Interpreter;
use crate::library;
use crate::tree::{Base, Path};
use crate::value::{Name, Value};
use std::rc::Rc;

impl Interpreter<'_> {
    /// The value of a constant.
    pub(super) fn constant(&mut self, path: &Path, env: &Env) -> Eval {
        let found = self.placed(path.span, |ruby| ruby.find_constant(path, env))?;
        match found {
            Some(value) => Ok(value),
            None => Err(self.no_constant(path, env)?.at(path.span)),
        }
    }

    fn no_constant(&mut self, path: &Path, env: &Env) -> Eval<crate::error::Error> {
        let owner = match &path.base {
            Base::Of(node) => match self.eval(node, env)? {
                Value::Class(class) => format!("{}::", class.title()),
                other => {
                    let shown = self.inspect(&other)?;
                    let message = format!("{shown} is not a class/module");
                    return Ok(self.raise("TypeError", message));
                }
            },
            _ => String::new(),
        };
        let mut known: Vec<Name> = Vec::new();
        let mut lexical = Some(&env.frame.lexical);
        while let Some(level) = lexical {
            known.extend(level.class.constants.borrow().keys().cloned());
            lexical = level.parent.as_ref();
        }
        known.extend(self.classes.object.constants.borrow().keys().cloned());
        let hint = suggestion(did_you_mean(&path.name, known.iter().map(|name| &**name)));
        let message = format!("uninitialized constant {owner}{}", path.name);
        Ok(self.raise_with("NameError", message, hint))
    }

    /// The value of a constant, if it is known.
    pub(super) fn find_constant(&mut self, path: &Path, env: &Env) -> Eval<Option<Value>> {
        match &path.base {
            Base::Lexical => {
                let found = self.lexical_constant(&env.frame.lexical, &path.name);
                match found {
                    Some(value) => Ok(Some(value)),
                    None => self.root_constant(&path.name),
                }
            }
            Base::Root => self.root_constant(&path.name),
            Base::Of(node) => match self.eval(node, env)? {
                Value::Class(class) => self.constant_in(&class, &path.name),
                Value::Foreign(handle) => {
                    let mut call = self.new_call(&path.name, Vec::new());
                    (call.span, call.name_span) = (path.span, path.span);
                    let host = self.host;
                    host.send(self, handle, call).map(Some)
                }
                _ => Ok(None),
            },
        }
    }

    fn lexical_constant(&self, lexical: &Rc<Lexical>, name: &str) -> Option<Value> {
        let mut level = Some(lexical);
        while let Some(inner) = level {
            // The outermost is Object, whose turn comes last.
            if inner.parent.is_some()
                && let Some(value) = inner.class.constants.borrow().get(name)
            {
                return Some(value.clone());
            }
            level = inner.parent.as_ref();
        }
        inherited(&lexical.class, name)
    }

    pub(crate) fn root_constant(&mut self, name: &str) -> Eval<Option<Value>> {
        if let Some(value) = self.classes.object.constants.borrow().get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some(value) = self.host.constant(name) {
            return Ok(Some(value));
        }
        library::autoload(self, name)
    }

    /// `Class::NAME`
    pub(crate) fn constant_in(&mut self, class: &Rc<Class>, name: &str) -> Eval<Option<Value>> {
        if Rc::ptr_eq(class, &self.classes.object) {
            return self.root_constant(name);
        }
        if let Some(value) = inherited(class, name) {
            return Ok(Some(value));
        }
        if class.refused.get() {
            let full = format!("{}::{name}", class.title());
            let inner = self.new_class(Some(&full), None, true)?;
            inner.refused.set(true);
            return Ok(Some(Value::Class(inner)));
        }
        Ok(None)
    }

    pub(crate) fn set_constant(&mut self, class: &Rc<Class>, name: &Name, value: Value) {
        if let Value::Class(named) = &value
            && named.name.borrow().is_none()
        {
            *named.name.borrow_mut() = Some(self.full_name(class, name));
        }
        class.constants.borrow_mut().insert(name.clone(), value);
    }

    pub(super) fn full_name(&self, class: &Rc<Class>, name: &Name) -> Name {
        if Rc::ptr_eq(class, &self.classes.object) {
            return name.clone();
        }
        Name::from(format!("{}::{name}", class.title()))
    }

    /// `@@name`
    pub(super) fn class_variable(&mut self, name: &str, env: &Env) -> Eval {
        match self.find_class_variable(name, env) {
            Some(owner) => Ok(owner
                .class_variables
                .borrow()
                .get(name)
                .cloned()
                .unwrap_or_default()),
            None => {
                let class = env.frame.lexical.class.title();
                let message = format!("uninitialized class variable {name} in {class}");
                Err(self.raise("NameError", message))
            }
        }
    }

    /// The class that has a class variable.
    pub(super) fn find_class_variable(&self, name: &str, env: &Env) -> Option<Rc<Class>> {
        let ancestors = env.frame.lexical.class.ancestors();
        ancestors
            .into_iter()
            .find(|class| class.class_variables.borrow().contains_key(name))
    }

    pub(super) fn set_class_variable(&mut self, name: &Name, value: Value, env: &Env) {
        let owner = self
            .find_class_variable(name, env)
            .unwrap_or_else(|| env.frame.lexical.class.clone());
        owner
            .class_variables
            .borrow_mut()
            .insert(name.clone(), value);
    }
}

fn inherited(class: &Rc<Class>, name: &str) -> Option<Value> {
    let ancestors = class.ancestors();
    ancestors
        .iter()
        .filter(|class| class.superclass.is_some() || class.is_module)
        .find_map(|class| class.constants.borrow().get(name).cloned())
}
