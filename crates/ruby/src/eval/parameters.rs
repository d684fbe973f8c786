//! Arguments meet parameters.

use crate::env::Env;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::tree::Parameters;
use crate::value::{Name, Value};

impl Interpreter<'_> {
    /// Gives every parameter its value. Only methods and lambdas are `strict` about the number.
    pub(super) fn bind(
        &mut self,
        parameters: &Parameters,
        mut call: Call,
        env: &Env,
        strict: bool,
    ) -> Eval<()> {
        if !call.keywords.is_empty() && !parameters.takes_keywords() {
            let keywords = std::mem::take(&mut call.keywords);
            call.args.push(self.hash(keywords)?);
        }
        let mut args = call.args;
        if !strict && args.len() == 1 && takes_apart(parameters) {
            args = match args[0].as_items() {
                Some(items) => items,
                None => args,
            };
        }
        if strict {
            self.check_count(parameters, args.len())?;
        }
        self.bind_positional(parameters, args, env)?;
        self.bind_keywords(parameters, call.keywords, env)?;
        let block = call.block.map_or(Value::Nil, Value::Proc);
        if let Some(name) = &parameters.block {
            env.scope.set(name, block);
        } else if parameters.forward {
            env.scope.set(&Name::from("&"), block);
        }
        Ok(())
    }

    fn check_count(&mut self, parameters: &Parameters, given: usize) -> Eval<()> {
        let (least, most) = parameters.arity();
        if given >= least && most.is_none_or(|most| given <= most) {
            return Ok(());
        }
        let expected = match most {
            Some(most) if most == least => least.to_string(),
            Some(most) => format!("{least}..{most}"),
            None => format!("{least}+"),
        };
        Err(self.wrong_count(given, &expected))
    }

    fn bind_positional(
        &mut self,
        parameters: &Parameters,
        mut args: Vec<Value>,
        env: &Env,
    ) -> Eval<()> {
        let (before, after) = (parameters.required.len(), parameters.after.len());
        if args.len() < before + after {
            args.resize(before + after, Value::Nil);
        }
        let free = args.len() - before - after;
        let optional = free.min(parameters.optional.len());
        let takes_rest = parameters.rest.is_some() || parameters.forward;
        let rest = if takes_rest { free - optional } else { 0 };
        let mut args = args.into_iter();
        for target in &parameters.required {
            self.assign(target, args.next().unwrap_or_default(), env)?;
        }
        for (index, (name, default)) in parameters.optional.iter().enumerate() {
            let value = match index < optional {
                true => args.next().unwrap_or_default(),
                false => self.eval(default, env)?,
            };
            env.scope.set(name, value);
        }
        if takes_rest {
            let items = args.by_ref().take(rest).collect();
            let rest = self.array(items)?;
            let name = parameters.rest.clone().flatten();
            env.scope
                .set(&name.unwrap_or_else(|| Name::from("*")), rest);
        }
        for target in &parameters.after {
            self.assign(target, args.next().unwrap_or_default(), env)?;
        }
        Ok(())
    }

    fn bind_keywords(
        &mut self,
        parameters: &Parameters,
        mut given: Vec<(Value, Value)>,
        env: &Env,
    ) -> Eval<()> {
        if !parameters.takes_keywords() {
            return Ok(());
        }
        let mut missing = Vec::new();
        for (name, default) in &parameters.keywords {
            let is_it =
                |(key, _): &(Value, Value)| matches!(key, Value::Symbol(key) if key == name);
            // The last one counts.
            let found = given.iter().rposition(is_it).map(|at| given[at].1.clone());
            given.retain(|entry| !is_it(entry));
            let value = match (found, default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default, env)?,
                (None, None) => {
                    missing.push(format!(":{name}"));
                    continue;
                }
            };
            env.scope.set(name, value);
        }
        if !missing.is_empty() {
            let s = if missing.len() > 1 { "s" } else { "" };
            let message = format!("missing keyword{s}: {}", missing.join(", "));
            return Err(self.raise("ArgumentError", message));
        }
        match &parameters.keyword_rest {
            Some(name) => {
                let rest = self.hash(given)?;
                let name = name.clone().unwrap_or_else(|| Name::from("**"));
                env.scope.set(&name, rest);
            }
            None if parameters.forward => {
                let rest = self.hash(given)?;
                env.scope.set(&Name::from("**"), rest);
            }
            None if !given.is_empty() => {
                let names: Vec<String> = given
                    .iter()
                    .map(|(key, _)| crate::library::inspect::plain(key))
                    .collect();
                let s = if names.len() > 1 { "s" } else { "" };
                let message = format!("unknown keyword{s}: {}", names.join(", "));
                return Err(self.raise("ArgumentError", message));
            }
            None => {}
        }
        Ok(())
    }
}

/// Whether a block takes a single array apart.
fn takes_apart(parameters: &Parameters) -> bool {
    let named = parameters.required.len() + parameters.optional.len() + parameters.after.len();
    named > 1 || parameters.trailing_comma || (named == 1 && parameters.rest.is_some())
}
