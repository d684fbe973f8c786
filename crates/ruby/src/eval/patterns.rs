//! `case … in`

use crate::env::Env;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::span::Span;
use crate::tree::{HashRest, In, Node, Pattern};
use crate::value::{Name, Value};

impl Interpreter<'_> {
    pub(super) fn case_in(
        &mut self,
        subject: &Node,
        ins: &[In],
        otherwise: Option<&Node>,
        span: Span,
        env: &Env,
    ) -> Eval {
        let value = self.eval(subject, env)?;
        for clause in ins {
            if !self.fits_pattern(&clause.pattern, &value, env)? {
                continue;
            }
            let holds = match &clause.guard {
                Some(guard) => self.eval(guard, env)?.is_truthy(),
                None => true,
            };
            if holds {
                return self.eval(&clause.body, env);
            }
        }
        match otherwise {
            Some(otherwise) => self.eval(otherwise, env),
            None => Err(self.no_pattern(&value)?.over(span)),
        }
    }

    pub(super) fn matches(
        &mut self,
        subject: &Node,
        pattern: &Pattern,
        required: bool,
        span: Span,
        env: &Env,
    ) -> Eval {
        let value = self.eval(subject, env)?;
        let fits = self.fits_pattern(pattern, &value, env)?;
        match (required, fits) {
            (false, fits) => Ok(Value::Bool(fits)),
            (true, true) => Ok(Value::Nil),
            (true, false) => Err(self.no_pattern(&value)?.over(span)),
        }
    }

    fn no_pattern(&mut self, value: &Value) -> Eval<crate::error::Error> {
        let shown = self.inspect(value)?;
        Ok(self.raise("NoMatchingPatternError", shown))
    }

    fn fits_pattern(&mut self, pattern: &Pattern, value: &Value, env: &Env) -> Eval<bool> {
        match pattern {
            Pattern::Value(node) => {
                let pattern = self.eval(node, env)?;
                self.case_equal(&pattern, value, env)
            }
            Pattern::Bind(name, depth) => {
                env.scope.at(*depth).set(name, value.clone());
                Ok(true)
            }
            Pattern::Either(patterns) => {
                for pattern in patterns {
                    if self.fits_pattern(pattern, value, env)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Pattern::Capture(inner, name, depth) => {
                let fits = self.fits_pattern(inner, value, env)?;
                if fits {
                    env.scope.at(*depth).set(name, value.clone());
                }
                Ok(fits)
            }
            Pattern::Array {
                constant,
                before,
                rest,
                after,
            } => {
                if !self.fits_constant(constant.as_ref(), value, env)? {
                    return Ok(false);
                }
                let Some(items) = value.as_items() else {
                    return Ok(false);
                };
                self.fits_array(items, before, rest.as_ref(), after, env)
            }
            Pattern::Hash {
                constant,
                entries,
                rest,
            } => {
                if !self.fits_constant(constant.as_ref(), value, env)? {
                    return Ok(false);
                }
                let Some(pairs) = value.as_entries() else {
                    return Ok(false);
                };
                self.fits_hash(pairs, entries, rest, env)
            }
            Pattern::Unsupported(what, span) => Err(self.unsupported(what, Some(*span))),
        }
    }

    fn fits_constant(&mut self, constant: Option<&Node>, value: &Value, env: &Env) -> Eval<bool> {
        match constant {
            Some(constant) => {
                let constant = self.eval(constant, env)?;
                self.case_equal(&constant, value, env)
            }
            None => Ok(true),
        }
    }

    fn fits_array(
        &mut self,
        mut items: Vec<Value>,
        before: &[Pattern],
        rest: Option<&Option<(Name, u32)>>,
        after: &[Pattern],
        env: &Env,
    ) -> Eval<bool> {
        let least = before.len() + after.len();
        if items.len() < least || (rest.is_none() && items.len() > least) {
            return Ok(false);
        }
        let tail = items.split_off(items.len() - after.len());
        let middle = items.split_off(before.len());
        for (pattern, item) in before.iter().zip(&items).chain(after.iter().zip(&tail)) {
            if !self.fits_pattern(pattern, item, env)? {
                return Ok(false);
            }
        }
        if let Some(Some((name, depth))) = rest {
            let middle = self.array(middle)?;
            env.scope.at(*depth).set(name, middle);
        }
        Ok(true)
    }

    fn fits_hash(
        &mut self,
        mut pairs: Vec<(Value, Value)>,
        entries: &[(Name, Option<Pattern>)],
        rest: &HashRest,
        env: &Env,
    ) -> Eval<bool> {
        for (name, pattern) in entries {
            let is_it =
                |(key, _): &(Value, Value)| matches!(key, Value::Symbol(key) if key == name);
            let Some(at) = pairs.iter().position(is_it) else {
                return Ok(false);
            };
            let (_, value) = pairs.remove(at);
            if let Some(pattern) = pattern
                && !self.fits_pattern(pattern, &value, env)?
            {
                return Ok(false);
            }
        }
        match rest {
            HashRest::Any => {}
            HashRest::None => return Ok(pairs.is_empty()),
            HashRest::Bind(name, depth) => {
                let rest = self.hash(pairs)?;
                env.scope.at(*depth).set(name, rest);
            }
        }
        Ok(true)
    }
}
