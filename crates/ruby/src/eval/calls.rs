//! Calls as they are written: receiver, arguments, block, `yield` and `super`.

use crate::env::Env;
use crate::error::{Error, Eval, Flow};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::span::Span;
use crate::tree::{Arguments, Invocation, Kind, Node, Pair, Passed};
use crate::value::{Block, Bound, Code, Name, Proc, Value};
use std::rc::Rc;

/// The arguments of a call.
struct Given {
    args: Vec<Value>,
    keywords: Vec<(Value, Value)>,
    /// The block that `...` hands on.
    block: Option<Block>,
}

impl Interpreter<'_> {
    pub(super) fn call(&mut self, invocation: &Invocation, span: Span, env: &Env) -> Eval {
        let (receiver, implicit) = match &invocation.receiver {
            Some(node) => (self.eval(node, env)?, matches!(node.kind, Kind::Me)),
            None => (env.frame.me.clone(), true),
        };
        if invocation.safe && receiver.is_nil() {
            return Ok(Value::Nil);
        }
        if let Some(value) = quick(invocation, &receiver) {
            return value;
        }
        let given = self.given(&invocation.arguments, env)?;
        let (block, tag) = self.block_of(invocation.block.as_ref(), env)?;
        let assigned = invocation
            .assignment
            .then(|| given.args.last().cloned())
            .flatten();
        let (arg_spans, keyword_spans) = spans(&invocation.arguments);
        let call = Call {
            arg_spans,
            keyword_spans,
            name: invocation.name.clone(),
            args: given.args,
            keywords: given.keywords,
            block: block.or(given.block),
            span,
            name_span: invocation.name_span,
        };
        let result = self.called_at(span, env, |ruby| {
            if invocation.bare {
                ruby.dispatch_bare(&receiver, call, env)
            } else {
                ruby.dispatch(&receiver, call, implicit)
            }
        });
        let value = caught(result, tag)?;
        Ok(assigned.unwrap_or(value))
    }

    /// Does something as a call at a place in the user's files.
    pub(crate) fn placed<T>(
        &mut self,
        span: Span,
        work: impl FnOnce(&mut Self) -> Eval<T>,
    ) -> Eval<T> {
        self.calls.push(span);
        let result = work(self);
        self.calls.pop();
        result
    }

    fn called_at<T>(
        &mut self,
        span: Span,
        env: &Env,
        work: impl FnOnce(&mut Self) -> Eval<T>,
    ) -> Eval<T> {
        self.callers.push(env.clone());
        let result = self.placed(span, work);
        self.callers.pop();
        result
    }

    fn given(&mut self, arguments: &Arguments, env: &Env) -> Eval<Given> {
        let mut given = Given {
            args: self.elements(&arguments.positional, env)?,
            keywords: self.pairs(&arguments.keywords, env)?,
            block: None,
        };
        if arguments.forward {
            let forwarded = env.scope.find("*").unwrap_or_default();
            given.args.extend(forwarded.as_items().unwrap_or_default());
            let forwarded = env.scope.find("**").unwrap_or_default();
            given
                .keywords
                .extend(forwarded.as_entries().unwrap_or_default());
            if let Some(Value::Proc(block)) = env.scope.find("&") {
                given.block = Some(block);
            }
        }
        Ok(given)
    }

    /// The block that a call gets, and what a `break` in it aims at.
    fn block_of(&mut self, passed: Option<&Passed>, env: &Env) -> Eval<(Option<Block>, u64)> {
        match passed {
            None => Ok((None, 0)),
            Some(Passed::Literal(function)) => match self.closure(function, env, false) {
                Value::Proc(block) => {
                    let tag = match &block.code {
                        Code::Closure { tag, .. } => *tag,
                        _ => 0,
                    };
                    Ok((Some(block), tag))
                }
                _ => Ok((None, 0)),
            },
            Some(Passed::Argument(None)) => match env.scope.find("&") {
                Some(Value::Proc(block)) => Ok((Some(block), 0)),
                _ => Ok((env.frame.block.borrow().clone(), 0)),
            },
            Some(Passed::Argument(Some(node))) => {
                let value = self.eval(node, env)?;
                let block = self.placed(node.span, |ruby| ruby.block_from(&value))?;
                Ok((block, 0))
            }
        }
    }

    /// What `&value` passes.
    pub(crate) fn block_from(&mut self, value: &Value) -> Eval<Option<Block>> {
        let code = match value {
            Value::Nil => return Ok(None),
            Value::Proc(block) => return Ok(Some(block.clone())),
            Value::Symbol(name) => Code::Symbol(name.clone()),
            Value::Method(bound) => Code::Method(bound.clone()),
            value if self.responds(value, "to_proc") => {
                let value = self.send(value, "to_proc", Vec::new())?;
                return self.block_from(&value);
            }
            value => {
                let class = self.class_of(value).title();
                let message = format!("wrong argument type {class} (expected Proc)");
                return Err(self.raise("TypeError", message));
            }
        };
        Ok(Some(Rc::new(Proc { code, lambda: true })))
    }

    pub(super) fn yields(&mut self, arguments: &Arguments, span: Span, env: &Env) -> Eval {
        let given = self.given(arguments, env)?;
        let block = env.frame.block.borrow().clone();
        self.called_at(span, env, |ruby| match block {
            Some(block) => ruby.call_proc(&block, given.args, given.keywords, None, None),
            None => Err(ruby.raise("LocalJumpError", "no block given (yield)")),
        })
    }

    pub(super) fn call_super(
        &mut self,
        arguments: Option<&Arguments>,
        block: Option<&Passed>,
        span: Span,
        env: &Env,
    ) -> Eval {
        let Some(method) = env.frame.method.clone() else {
            return Err(self
                .raise("RuntimeError", "super called outside of method")
                .at(span));
        };
        let given = match arguments {
            Some(arguments) => self.given(arguments, env)?,
            None => Given {
                args: env.frame.args.clone(),
                keywords: env.frame.keywords.clone(),
                block: None,
            },
        };
        let (block, tag) = self.block_of(block, env)?;
        let call = Call {
            name: method.name.clone(),
            args: given.args,
            keywords: given.keywords,
            block: block
                .or(given.block)
                .or_else(|| env.frame.block.borrow().clone()),
            span,
            name_span: span,
            arg_spans: Vec::new(),
            keyword_spans: Vec::new(),
        };
        let me = env.frame.me.clone();
        let result = self.called_at(span, env, |ruby| match ruby.find_super(&me, &method) {
            Some(above) => ruby.invoke(&me, &above, call),
            None => {
                let me = ruby.called(&me);
                let message = format!("super: no superclass method `{}' for {me}", method.name);
                Err(ruby.raise("NoMethodError", message))
            }
        });
        caught(result, tag)
    }

    /// `method(:name)`
    pub(crate) fn bound(&mut self, receiver: &Value, name: &str) -> Eval {
        let method = self.find_method(receiver, name);
        if method.is_none() && !matches!(receiver, Value::Foreign(_)) {
            return Err(self.no_method(receiver, name));
        }
        Ok(Value::Method(Rc::new(Bound {
            receiver: receiver.clone(),
            name: Name::from(name),
            method,
        })))
    }
}

/// Where arguments stand, unless a splat makes several of one.
fn spans(arguments: &Arguments) -> (Vec<Span>, Vec<Span>) {
    let positional = arguments.positional.iter();
    let plain = |node: &&Node| !matches!(node.kind, Kind::Splat(_));
    let args: Vec<Span> = positional.take_while(plain).map(|node| node.span).collect();
    let value = |pair: &Pair| match pair {
        Pair::Entry(_, value) => Some(value.span),
        Pair::Splat(_) => None,
    };
    let keywords: Vec<Span> = arguments.keywords.iter().map_while(value).collect();
    (args, keywords)
}

/// The value of a call whose block ended it by `break`.
fn caught(result: Eval, mine: u64) -> Eval {
    match result.map_err(|error| *error.0) {
        Err(Flow::Break { tag, value }) if mine != 0 && tag == mine => Ok(value),
        other => other.map_err(Error::from),
    }
}

/// Sums and comparisons of numbers, which loops are made of, without the ceremony of a call.
fn quick(invocation: &Invocation, receiver: &Value) -> Option<Eval> {
    let (Value::Int(left), [right]) = (receiver, &*invocation.arguments.positional) else {
        return None;
    };
    let Kind::Int(right) = right.kind else {
        return None;
    };
    Some(Ok(match &*invocation.name {
        "+" => Value::Int(left.checked_add(right)?),
        "-" => Value::Int(left.checked_sub(right)?),
        "<" => Value::Bool(*left < right),
        ">" => Value::Bool(*left > right),
        "<=" => Value::Bool(*left <= right),
        ">=" => Value::Bool(*left >= right),
        _ => return None,
    }))
}
