//! Blocks, procs and lambdas: made where they stand, called elsewhere.

use crate::class::Class;
use crate::env::{Env, Frame, Scope};
use crate::error::{Error, Eval, Flow};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::tree::Function;
use crate::value::{Block, Code, Proc, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Another `self` for a block, and where `def` defines in it.
pub(crate) type Me = (Value, Option<Rc<Class>>);

impl Interpreter<'_> {
    /// A block with the variables of its place.
    pub(super) fn closure(&mut self, function: &Rc<Function>, env: &Env, lambda: bool) -> Value {
        let code = Code::Closure {
            function: function.clone(),
            env: env.clone(),
            tag: self.id(),
        };
        Value::Proc(Rc::new(Proc { code, lambda }))
    }

    /// Calls a block.
    pub(crate) fn call_proc(
        &mut self,
        block: &Block,
        args: Vec<Value>,
        keywords: Vec<(Value, Value)>,
        inner: Option<Block>,
        me: Option<Value>,
    ) -> Eval {
        let mut call = self.new_call("call", args);
        call.keywords = keywords;
        call.block = inner;
        let me = me.map(|me| {
            let definee = match &me {
                Value::Class(class) => Some(class.clone()),
                _ => None,
            };
            (me, definee)
        });
        self.call_code(block, call, me, block.lambda)
    }

    /// Calls a block as the body of a method.
    pub(super) fn call_lambda(&mut self, block: &Block, call: Call, me: Option<Me>) -> Eval {
        self.call_code(block, call, me, true)
    }

    fn call_code(&mut self, block: &Block, mut call: Call, me: Option<Me>, strict: bool) -> Eval {
        self.step(1)?;
        match &block.code {
            Code::Closure { function, env, tag } => {
                let frame = if strict || me.is_some() {
                    Rc::new(self.inner_frame(&env.frame, me, strict))
                } else {
                    env.frame.clone()
                };
                let inner = Env {
                    scope: Scope::inner(&env.scope, *tag),
                    frame,
                };
                let result = self.deeper(|ruby| {
                    ruby.bind(&function.parameters, call, &inner, strict)?;
                    ruby.eval(&function.body, &inner)
                });
                if Rc::strong_count(&inner.scope) > 1 {
                    self.keep(&inner);
                }
                self.ended(result, &inner, strict)
            }
            Code::Symbol(name) => {
                if call.args.is_empty() {
                    return Err(self.raise("ArgumentError", "no receiver given"));
                }
                let receiver = call.args.remove(0);
                call.name = name.clone();
                self.deeper(|ruby| ruby.dispatch(&receiver, call, false))
            }
            Code::Method(bound) => {
                call.name = bound.name.clone();
                let bound = bound.clone();
                self.deeper(|ruby| match &bound.method {
                    Some(method) => ruby.invoke(&bound.receiver, method, call),
                    None => ruby.dispatch(&bound.receiver, call, true),
                })
            }
            Code::Compose(first, second) => {
                call.name = "call".into();
                let value = self.deeper(|ruby| ruby.dispatch(first, call, false))?;
                self.send(second, "call", vec![value])
            }
            Code::Curry(inner, count, so_far) => {
                let mut args = so_far.clone();
                args.extend(call.args);
                if args.len() >= *count {
                    return self.call_proc(inner, args, Vec::new(), None, None);
                }
                let code = Code::Curry(inner.clone(), *count, args);
                Ok(Value::Proc(Rc::new(Proc { code, lambda: true })))
            }
            Code::Collect(collected) => {
                let item = self.packed(call.args)?;
                let count = collected.items.borrow().len();
                if count % 1024 == 0 {
                    self.room_for(count)?;
                }
                collected.items.borrow_mut().push(item);
                Ok(Value::Nil)
            }
            Code::Index(inner, index) => {
                let item = self.packed(call.args)?;
                let at = index.get();
                index.set(at.saturating_add(1));
                self.call_block(inner, vec![item, Value::Int(at)])
            }
            Code::With(inner, value) => {
                let item = self.packed(call.args)?;
                self.call_block(inner, vec![item, value.clone()])
            }
        }
    }

    /// Several arguments as the one that an element is.
    fn packed(&mut self, mut args: Vec<Value>) -> Eval {
        match args.len() {
            1 => Ok(args.remove(0)),
            _ => self.array(args),
        }
    }

    /// The frame of a block that is a lambda, or runs with another `self`.
    fn inner_frame(&mut self, outer: &Frame, me: Option<Me>, own: bool) -> Frame {
        let (me, definee) = match me {
            Some((me, definee)) => (me, definee),
            None => (outer.me.clone(), None),
        };
        Frame {
            id: if own { self.id() } else { outer.id },
            me,
            method: outer.method.clone(),
            args: outer.args.clone(),
            keywords: outer.keywords.clone(),
            block: RefCell::new(outer.block.borrow().clone()),
            lexical: outer.lexical.clone(),
            definee: definee.unwrap_or_else(|| outer.definee.clone()),
            visibility: Cell::default(),
            module_function: Cell::new(false),
            found: RefCell::default(),
        }
    }

    /// `next` ends a block; `break` and `return` end a lambda, too.
    fn ended(&self, result: Eval, env: &Env, strict: bool) -> Eval {
        match result.map_err(|error| *error.0) {
            Err(Flow::Next(value)) => Ok(value),
            Err(Flow::Return { frame, value }) if strict && frame == env.frame.id => Ok(value),
            Err(Flow::Break { tag, value }) if strict && tag == env.scope.tag => Ok(value),
            other => other.map_err(Error::from),
        }
    }
}
