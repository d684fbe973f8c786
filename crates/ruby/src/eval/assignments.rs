//! Assignments: plain ones, `||=` and its like, several at once.

use crate::env::Env;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::span::Span;
use crate::tree::{Arguments, Base, Node, Operator, Target, Targets, Variable};
use crate::value::{Name, Value};

/// What a target names, its receiver and arguments evaluated, so that it can be read and written
/// without evaluating them twice.
enum Place<'t> {
    Local(&'t Name, u32),
    Variable(&'t Variable),
    Constant(&'t crate::tree::Path),
    Call {
        receiver: Value,
        read: Name,
        write: Name,
        arguments: Vec<Value>,
        span: Span,
    },
    /// `receiver&.x ||= 1` of nil.
    Nothing,
}

impl Interpreter<'_> {
    pub(super) fn assign_node(&mut self, target: &Target, value: &Node, env: &Env) -> Eval {
        // A class in the making is named before it is filled.
        let value = self.eval(value, env)?;
        self.assign(target, value.clone(), env)?;
        Ok(value)
    }

    /// Assigns a value to any target.
    pub(crate) fn assign(&mut self, target: &Target, value: Value, env: &Env) -> Eval<()> {
        match target {
            Target::Several(targets) => {
                let items = self.items_of(value)?;
                self.assign_all(targets, items, env)
            }
            Target::Splat(inner) => {
                let value = self.splatted(value)?;
                match inner {
                    Some(inner) => self.assign(inner, value, env),
                    None => Ok(()),
                }
            }
            Target::Unsupported(what, span) => Err(self.unsupported(what, Some(*span))),
            target => {
                let place = self.place_of(target, env)?;
                self.write(&place, value, env)
            }
        }
    }

    fn place_of<'t>(&mut self, target: &'t Target, env: &Env) -> Eval<Place<'t>> {
        Ok(match target {
            Target::Local(name, depth) => Place::Local(name, *depth),
            Target::Variable(variable) => Place::Variable(variable),
            Target::Constant(path) => Place::Constant(path),
            Target::Attribute {
                receiver,
                name,
                safe,
                span,
            } => {
                let receiver = self.eval(receiver, env)?;
                if *safe && receiver.is_nil() {
                    return Ok(Place::Nothing);
                }
                Place::Call {
                    receiver,
                    read: name.clone(),
                    write: Name::from(format!("{name}=")),
                    arguments: Vec::new(),
                    span: *span,
                }
            }
            Target::Index {
                receiver,
                arguments,
                span,
            } => Place::Call {
                receiver: self.eval(receiver, env)?,
                read: Name::from("[]"),
                write: Name::from("[]="),
                arguments: self.index_arguments(arguments, env)?,
                span: *span,
            },
            Target::Several(_) | Target::Splat(_) => Place::Nothing,
            Target::Unsupported(what, span) => return Err(self.unsupported(what, Some(*span))),
        })
    }

    fn index_arguments(&mut self, arguments: &Arguments, env: &Env) -> Eval<Vec<Value>> {
        self.elements(&arguments.positional, env)
    }

    fn read(&mut self, place: &Place<'_>, env: &Env) -> Eval {
        match place {
            Place::Local(name, depth) => Ok(env.scope.at(*depth).get(name).unwrap_or_default()),
            Place::Variable(variable @ Variable::Class(name)) => {
                match self.find_class_variable(name, env) {
                    Some(_) => self.variable(variable, env),
                    None => Ok(Value::Nil),
                }
            }
            Place::Variable(variable) => self.variable(variable, env),
            Place::Constant(path) => Ok(self.find_constant(path, env)?.unwrap_or_default()),
            Place::Call {
                receiver,
                read,
                arguments,
                span,
                ..
            } => {
                let mut call = self.new_call(read, arguments.clone());
                (call.span, call.name_span) = (*span, *span);
                self.placed(*span, |ruby| ruby.dispatch(receiver, call, true))
            }
            Place::Nothing => Ok(Value::Nil),
        }
    }

    fn write(&mut self, place: &Place<'_>, value: Value, env: &Env) -> Eval<()> {
        match place {
            Place::Local(name, depth) => env.scope.at(*depth).set(name, value),
            Place::Variable(Variable::Instance(name)) => {
                self.set_instance_variable(&env.frame.me, name, value)?;
            }
            Place::Variable(Variable::Global(name)) => self.set_global(name, value),
            Place::Variable(Variable::Class(name)) => self.set_class_variable(name, value, env),
            Place::Constant(path) => {
                let class = match &path.base {
                    Base::Lexical => env.frame.lexical.class.clone(),
                    Base::Root => self.classes.object.clone(),
                    Base::Of(node) => match self.eval(node, env)? {
                        Value::Class(class) => class,
                        _ => return Err(self.raise("TypeError", "not a class or module")),
                    },
                };
                self.set_constant(&class, &path.name, value);
            }
            Place::Call {
                receiver,
                write,
                arguments,
                span,
                ..
            } => {
                let mut arguments = arguments.clone();
                arguments.push(value);
                let mut call = self.new_call(write, arguments);
                (call.span, call.name_span) = (*span, *span);
                self.placed(*span, |ruby| ruby.dispatch(receiver, call, true))?;
            }
            Place::Nothing => {}
        }
        Ok(())
    }

    pub(super) fn op_assign(
        &mut self,
        target: &Target,
        operator: &Operator,
        value: &Node,
        env: &Env,
    ) -> Eval {
        let place = self.place_of(target, env)?;
        let old = self.read(&place, env)?;
        match operator {
            Operator::Or if old.is_truthy() => return Ok(old),
            Operator::And if !old.is_truthy() => return Ok(old),
            _ => {}
        }
        let span = value.span;
        let mut value = self.eval(value, env)?;
        if let Operator::Call(name) = operator {
            let mut call = self.new_call(name, vec![value]);
            (call.span, call.name_span) = (span, span);
            value = self.placed(span, |ruby| ruby.dispatch(&old, call, false))?;
        }
        self.write(&place, value.clone(), env)?;
        Ok(value)
    }

    pub(super) fn multi_assign(&mut self, targets: &Targets, value: &Node, env: &Env) -> Eval {
        let value = self.eval(value, env)?;
        let items = self.items_of(value.clone())?;
        self.assign_all(targets, items, env)?;
        Ok(value)
    }

    /// A value as the items that several targets share.
    fn items_of(&mut self, value: Value) -> Eval<Vec<Value>> {
        match &value {
            Value::Array(_) => Ok(value.as_items().unwrap_or_default()),
            Value::Object(_) if self.responds(&value, "to_ary") => {
                let array = self.send(&value, "to_ary", Vec::new())?;
                Ok(array.as_items().unwrap_or_default())
            }
            _ => Ok(vec![value]),
        }
    }

    pub(super) fn assign_all(
        &mut self,
        targets: &Targets,
        mut items: Vec<Value>,
        env: &Env,
    ) -> Eval<()> {
        let (before, after) = (targets.before.len(), targets.after.len());
        if items.len() < before + after {
            items.resize(before + after, Value::Nil);
        }
        let rest_end = if targets.rest.is_some() {
            items.len() - after
        } else {
            before
        };
        let tail = items.split_off(rest_end);
        let rest = items.split_off(before);
        for (target, item) in targets.before.iter().zip(items) {
            self.assign(target, item, env)?;
        }
        if let Some(Some(target)) = &targets.rest {
            let rest = self.array(rest)?;
            self.assign(target, rest, env)?;
        }
        for (target, item) in targets.after.iter().zip(tail) {
            self.assign(target, item, env)?;
        }
        Ok(())
    }

    pub(crate) fn set_instance_variable(
        &mut self,
        me: &Value,
        name: &Name,
        value: Value,
    ) -> Eval<()> {
        self.allocate(64)?;
        match me {
            Value::Object(object) if object.frozen.get() => return Err(self.frozen(me)),
            Value::Object(object) => {
                object.variables.borrow_mut().insert(name.clone(), value);
            }
            Value::Class(class) => {
                class.variables.borrow_mut().insert(name.clone(), value);
            }
            _ => return Err(self.raise("FrozenError", "can't modify frozen object")),
        }
        Ok(())
    }

    pub(super) fn global(&mut self, name: &str, env: &Env) -> Value {
        match name {
            "$~" => env.frame.found.borrow().clone(),
            "$PROGRAM_NAME" => self.globals.get("$0").cloned().unwrap_or_default(),
            _ => self.globals.get(name).cloned().unwrap_or_default(),
        }
    }

    fn set_global(&mut self, name: &Name, value: Value) {
        self.globals.insert(name.clone(), value);
    }
}
