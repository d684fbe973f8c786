//! Interpolation, regular expressions and what they found.

use crate::env::Env;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::tree::{Kind, Node};
use crate::value::{Name, Options, Value};

impl Interpreter<'_> {
    /// The text of interpolated parts.
    pub(super) fn text(&mut self, parts: &[Node], env: &Env) -> Eval<String> {
        let mut text = String::new();
        for part in parts {
            match &part.kind {
                Kind::Str(piece) => text.push_str(piece),
                _ => {
                    let value = self.eval(part, env)?;
                    match &value {
                        Value::Str(piece) => text.push_str(&piece.text.borrow()),
                        value => text.push_str(&self.to_s(value)?),
                    }
                }
            }
            if text.len() > self.limits.string {
                self.room(text.len())?;
            }
        }
        Ok(text)
    }

    pub(super) fn regex(&mut self, parts: &[Node], options: Options, env: &Env) -> Eval {
        let mut source = String::new();
        for part in parts {
            match &part.kind {
                Kind::Str(piece) => source.push_str(piece),
                _ => match self.eval(part, env)? {
                    Value::Regex(pattern) => {
                        source.push_str(&crate::library::regexp::embedded(&pattern));
                    }
                    value => source.push_str(&self.to_s(&value)?),
                },
            }
            self.room(source.len())?;
        }
        Ok(Value::Regex(self.pattern(&source, options)?))
    }

    /// `$1`
    pub(super) fn group(&self, number: usize, env: &Env) -> Value {
        match &*env.frame.found.borrow() {
            Value::Match(found) => found.group(number).map_or(Value::Nil, Value::text),
            _ => Value::Nil,
        }
    }

    /// `$&`, `` $` ``, `$'`, `$+`
    pub(super) fn back_reference(&self, which: char, env: &Env) -> Value {
        let found = env.frame.found.borrow();
        let Value::Match(found) = &*found else {
            return Value::Nil;
        };
        let Some((start, end)) = found.groups.first().copied().flatten() else {
            return Value::Nil;
        };
        let text = match which {
            '`' => found.text.get(..start),
            '\'' => found.text.get(end..),
            '+' => (1..found.groups.len())
                .rev()
                .find_map(|group| found.group(group)),
            _ => found.group(0),
        };
        text.map_or(Value::Nil, Value::text)
    }

    /// `/(?<name>…)/ =~ text`
    pub(super) fn match_assign(&mut self, call: &Node, targets: &[(Name, u32)], env: &Env) -> Eval {
        let result = self.eval(call, env)?;
        let found = env.frame.found.borrow().clone();
        for (name, depth) in targets {
            let value = match &found {
                Value::Match(found) => found.named(name).and_then(|group| found.group(group)),
                _ => None,
            };
            let value = value.map_or(Value::Nil, Value::text);
            env.scope.at(*depth).set(name, value);
        }
        Ok(result)
    }
}
