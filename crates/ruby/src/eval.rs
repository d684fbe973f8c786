//! The walk over a file's tree. One function per kind of construct, in the
//! files below; here is what all of them pass through.

mod assignments;
mod blocks;
mod calls;
mod constants;
mod control;
mod defined;
mod definitions;
mod dispatch;
mod exceptions;
mod parameters;
mod patterns;
mod text;

use crate::env::Env;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::tree::{Kind, Node, Pair, Variable};
use crate::value::{Key, Map, Range, Value};
use std::rc::Rc;

/// Nodes within nodes and calls within calls, together: what the stack has room for.
const LEVELS: u32 = 8_000;

impl Interpreter<'_> {
    /// The value of a node.
    pub(crate) fn eval(&mut self, node: &Node, env: &Env) -> Eval {
        self.step(1)?;
        self.levels += 1;
        if self.levels > LEVELS {
            self.levels -= 1;
            return Err(self.too_deep().at(node.span));
        }
        let value = self.value_of(node, env);
        self.levels -= 1;
        value
    }

    fn value_of(&mut self, node: &Node, env: &Env) -> Eval {
        match &node.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::True => Ok(Value::Bool(true)),
            Kind::False => Ok(Value::Bool(false)),
            Kind::Me => Ok(env.frame.me.clone()),
            Kind::Int(value) => Ok(Value::Int(*value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Str(text) => self.string(text.as_str()),
            Kind::Symbol(name) => Ok(Value::Symbol(name.clone())),
            Kind::Local(name, depth) => Ok(env.scope.at(*depth).find(name).unwrap_or_default()),
            Kind::Call(invocation) => self.call(invocation, node.span, env),
            Kind::Sequence(nodes) => self.sequence(nodes, env),
            Kind::Assign(target, value) => self.assign_node(target, value, env),
            Kind::If(condition, yes, no) => {
                let branch = if self.eval(condition, env)?.is_truthy() {
                    yes
                } else {
                    no
                };
                self.eval(branch, env)
            }
            Kind::And(left, right) => match self.eval(left, env)? {
                value if value.is_truthy() => self.eval(right, env),
                value => Ok(value),
            },
            Kind::Or(left, right) => match self.eval(left, env)? {
                value if value.is_truthy() => Ok(value),
                _ => self.eval(right, env),
            },
            Kind::Text(parts) => {
                let text = self.text(parts, env)?;
                self.string(text)
            }
            Kind::Array(elements) => {
                let items = self.elements(elements, env)?;
                self.array(items)
            }
            Kind::Hash(pairs) => self.hash_literal(pairs, env),
            Kind::Constant(path) => self.constant(path, env),
            Kind::Variable(variable) => self.variable(variable, env).map_err(|e| e.at(node.span)),
            _ => self.rarer(node, env),
        }
    }

    /// What is met less often, apart, so that the way through the rest is short.
    #[inline(never)]
    fn rarer(&mut self, node: &Node, env: &Env) -> Eval {
        let span = node.span;
        match &node.kind {
            Kind::TextSymbol(parts) => Ok(Value::symbol(&self.text(parts, env)?)),
            Kind::Regex(parts, options) => self.regex(parts, *options, env),
            Kind::Range(first, last, exclusive) => self.range(first, last, *exclusive, env),
            Kind::Splat(inner) => self.splat(inner.as_deref(), env),
            Kind::Group(number) => Ok(self.group(*number as usize, env)),
            Kind::BackReference(which) => Ok(self.back_reference(*which, env)),
            Kind::OpAssign(target, operator, value) => self.op_assign(target, operator, value, env),
            Kind::MultiAssign(targets, value) => self.multi_assign(targets, value, env),
            Kind::Super(arguments, block) => {
                self.call_super(arguments.as_ref(), block.as_deref(), span, env)
            }
            Kind::Yield(arguments) => self.yields(arguments, span, env),
            Kind::While {
                condition,
                body,
                until,
                body_first,
            } => self.while_loop(condition, body, *until, *body_first, env),
            Kind::For(target, collection, body) => self.for_loop(target, collection, body, env),
            Kind::Case(subject, whens, otherwise) => {
                self.case(subject.as_deref(), whens, otherwise, env)
            }
            Kind::CaseIn(subject, ins, otherwise) => {
                self.case_in(subject, ins, otherwise.as_deref(), span, env)
            }
            Kind::Matches(value, pattern, required) => {
                self.matches(value, pattern, *required, span, env)
            }
            Kind::Begin(begin) => self.begin(begin, env),
            Kind::Defined(inner) => self.defined(inner, env),
            Kind::Return(_) | Kind::Break(_) | Kind::Next(_) | Kind::Redo | Kind::Retry => {
                self.leave(node, env)
            }
            Kind::Def(receiver, function) => self.def(receiver.as_deref(), function, env),
            Kind::Lambda(function) => Ok(self.closure(function, env, true)),
            Kind::Class(path, superclass, body) => {
                self.class(path, superclass.as_deref(), body, span, env)
            }
            Kind::Module(path, body) => self.module(path, body, span, env),
            Kind::Singleton(object, body) => self.singleton_class(object, body, span, env),
            Kind::Alias(new, old) => self.alias(&env.frame.definee.clone(), new, old),
            Kind::Undef(names) => self.undef(names, env),
            Kind::MatchAssign(call, targets) => self.match_assign(call, targets, env),
            Kind::File => Ok(self.path_of(span)),
            Kind::Line => Ok(Value::Int(self.sources.line(span) as i64)),
            Kind::Command(parts) => self.command(parts, env).map_err(|error| error.over(span)),
            Kind::Unsupported(what) => Err(self.unsupported(what, Some(span))),
            _ => Err(self.unsupported("this construct", Some(span))),
        }
    }

    /// A command in backticks, whose output the host may know.
    fn command(&mut self, parts: &[Node], env: &Env) -> Eval {
        let line = self.text(parts, env)?;
        match self.host.command(&line) {
            Some(output) => self.string(output),
            None => Err(self.refuse(&format!("`{line}`"))),
        }
    }

    pub(crate) fn sequence(&mut self, nodes: &[Node], env: &Env) -> Eval {
        let mut last = Value::Nil;
        for node in nodes {
            last = self.eval(node, env)?;
        }
        Ok(last)
    }

    /// Elements or arguments, splats taken apart.
    pub(crate) fn elements(&mut self, nodes: &[Node], env: &Env) -> Eval<Vec<Value>> {
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            match &node.kind {
                Kind::Splat(inner) => {
                    let splat = self.splat(inner.as_deref(), env)?;
                    items.extend(splat.as_items().unwrap_or_default());
                    self.room_for(items.len())?;
                }
                // Braces left out around the last element.
                _ => items.push(self.eval(node, env)?),
            }
        }
        Ok(items)
    }

    /// `*value`, as an array.
    fn splat(&mut self, inner: Option<&Node>, env: &Env) -> Eval {
        let value = match inner {
            Some(inner) => self.eval(inner, env)?,
            None => env.scope.find("*").unwrap_or_default(),
        };
        self.splatted(value)
    }

    pub(crate) fn splatted(&mut self, value: Value) -> Eval {
        match &value {
            Value::Array(_) => Ok(value),
            Value::Nil => self.array(Vec::new()),
            Value::Hash(_) | Value::Range(_) => self.send(&value, "to_a", Vec::new()),
            Value::Object(_) if self.responds(&value, "to_a") => {
                self.send(&value, "to_a", Vec::new())
            }
            _ => self.array(vec![value]),
        }
    }

    fn hash_literal(&mut self, pairs: &[Pair], env: &Env) -> Eval {
        let entries = self.pairs(pairs, env)?;
        let map: Map = entries
            .into_iter()
            .map(|(key, value)| (Key::of_own(key), value))
            .collect();
        Ok(Value::Hash(self.new_hash(map)?))
    }

    /// The entries of a hash or the keywords of a call.
    pub(crate) fn pairs(&mut self, pairs: &[Pair], env: &Env) -> Eval<Vec<(Value, Value)>> {
        let mut entries = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match pair {
                Pair::Entry(key, value) => {
                    let key = self.eval(key, env)?;
                    entries.push((key, self.eval(value, env)?));
                }
                Pair::Splat(inner) => {
                    let value = match inner {
                        Some(inner) => self.eval(inner, env)?,
                        None => env.scope.find("**").unwrap_or_default(),
                    };
                    entries.extend(self.double_splat(&value)?);
                    self.room_for(entries.len())?;
                }
            }
        }
        Ok(entries)
    }

    fn double_splat(&mut self, value: &Value) -> Eval<Vec<(Value, Value)>> {
        match value {
            Value::Nil => Ok(Vec::new()),
            Value::Hash(hash) => Ok(hash.entries()),
            value if self.responds(value, "to_h") => {
                let hash = self.send(value, "to_h", Vec::new())?;
                Ok(hash.as_entries().unwrap_or_default())
            }
            value => Err(self.no_conversion(value, "Hash")),
        }
    }

    fn range(
        &mut self,
        first: &Option<Box<Node>>,
        last: &Option<Box<Node>>,
        exclusive: bool,
        env: &Env,
    ) -> Eval {
        let mut end = |node: &Option<Box<Node>>| match node {
            Some(node) => self.eval(node, env),
            None => Ok(Value::Nil),
        };
        let (first, last) = (end(first)?, end(last)?);
        self.new_range(first, last, exclusive)
    }

    pub(crate) fn new_range(&mut self, first: Value, last: Value, exclusive: bool) -> Eval {
        let open = first.is_nil() || last.is_nil();
        if !open && self.compare(&first, &last)?.is_none() {
            return Err(self.raise("ArgumentError", "bad value for range"));
        }
        Ok(Value::Range(Rc::new(Range {
            first,
            last,
            exclusive,
        })))
    }

    fn variable(&mut self, variable: &Variable, env: &Env) -> Eval {
        match variable {
            Variable::Instance(name) => Ok(self.instance_variable(&env.frame.me, name)),
            Variable::Global(name) => Ok(self.global(name, env)),
            Variable::Class(name) => self.class_variable(name, env),
        }
    }

    /// `@name`
    pub(crate) fn instance_variable(&self, me: &Value, name: &str) -> Value {
        let found = match me {
            Value::Object(object) => object.variables.borrow().get(name).cloned(),
            Value::Class(class) => class.variables.borrow().get(name).cloned(),
            _ => None,
        };
        found.unwrap_or_default()
    }

    fn path_of(&self, span: crate::span::Span) -> Value {
        let source = self.sources.get(span.file);
        Value::text(source.map_or_else(String::new, |source| {
            source.path.to_string_lossy().into_owned()
        }))
    }

    fn too_deep(&mut self) -> crate::error::Error {
        self.fail(
            "limit",
            "Calls go too deep: an endless recursion?",
            None,
            None,
        )
    }
}
