//! Loops, `case`, and the ways out.

use crate::env::Env;
use crate::error::{Eval, Flow};
use crate::interpreter::Interpreter;
use crate::tree::{Kind, Node, Target, When};
use crate::value::Value;

/// How one turn of a loop ended.
enum Turn {
    Again,
    Over(Value),
}

impl Interpreter<'_> {
    pub(super) fn while_loop(
        &mut self,
        condition: &Node,
        body: &Node,
        until: bool,
        body_first: bool,
        env: &Env,
    ) -> Eval {
        let mut first = body_first;
        loop {
            if !first && self.eval(condition, env)?.is_truthy() == until {
                return Ok(Value::Nil);
            }
            first = false;
            let result = self.eval(body, env);
            if let Turn::Over(value) = turn(result, env)? {
                return Ok(value);
            }
        }
    }

    pub(super) fn for_loop(
        &mut self,
        target: &Target,
        collection: &Node,
        body: &Node,
        env: &Env,
    ) -> Eval {
        let collection = self.eval(collection, env)?;
        let items = self.iterate(&collection)?;
        for item in items {
            self.step(1)?;
            self.assign(target, item, env)?;
            let result = self.eval(body, env);
            if let Turn::Over(value) = turn(result, env)? {
                return Ok(value);
            }
        }
        Ok(collection)
    }

    pub(super) fn case(
        &mut self,
        subject: Option<&Node>,
        whens: &[When],
        otherwise: &Node,
        env: &Env,
    ) -> Eval {
        let subject = match subject {
            Some(subject) => Some(self.eval(subject, env)?),
            None => None,
        };
        for when in whens {
            for condition in &when.conditions {
                if self.fits(condition, subject.as_ref(), env)? {
                    return self.eval(&when.body, env);
                }
            }
        }
        self.eval(otherwise, env)
    }

    fn fits(&mut self, condition: &Node, subject: Option<&Value>, env: &Env) -> Eval<bool> {
        let candidates = match &condition.kind {
            Kind::Splat(inner) => {
                let splat = self.splat(inner.as_deref(), env)?;
                splat.as_items().unwrap_or_default()
            }
            _ => vec![self.eval(condition, env)?],
        };
        for candidate in candidates {
            let fits = match subject {
                Some(subject) => self.case_equal(&candidate, subject, env)?,
                None => candidate.is_truthy(),
            };
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `pattern === value`
    pub(crate) fn case_equal(&mut self, pattern: &Value, value: &Value, env: &Env) -> Eval<bool> {
        self.callers.push(env.clone());
        let result = self.send(pattern, "===", vec![value.clone()]);
        self.callers.pop();
        Ok(result?.is_truthy())
    }

    /// `return`, `break`, `next`, `redo`, `retry`
    pub(super) fn leave(&mut self, node: &Node, env: &Env) -> Eval {
        let mut value = |inner: &Option<Box<Node>>| match inner {
            Some(inner) => self.eval(inner, env),
            None => Ok(Value::Nil),
        };
        let flow = match &node.kind {
            Kind::Return(inner) => Flow::Return {
                value: value(inner)?,
                frame: env.frame.id,
            },
            Kind::Break(inner) => Flow::Break {
                value: value(inner)?,
                tag: env.scope.tag,
            },
            Kind::Next(inner) => Flow::Next(value(inner)?),
            Kind::Redo => return Err(self.unsupported("`redo`", Some(node.span))),
            _ => Flow::Retry,
        };
        Err(flow.into())
    }
}

/// What the end of a loop's body means for the loop.
fn turn(result: Eval, env: &Env) -> Eval<Turn> {
    let Err(error) = result else {
        return Ok(Turn::Again);
    };
    match *error.0 {
        Flow::Next(_) => Ok(Turn::Again),
        Flow::Break { tag, value } if tag == env.scope.tag => Ok(Turn::Over(value)),
        other => Err(other.into()),
    }
}
