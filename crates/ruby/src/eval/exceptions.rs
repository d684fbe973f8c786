//! `begin … rescue … else … ensure … end`.

use crate::env::Env;
use crate::error::{Error, Eval, Flow, Raised};
use crate::interpreter::Interpreter;
use crate::tree::{Begin, Node, Rescue};
use crate::value::Value;

impl Interpreter<'_> {
    pub(super) fn begin(&mut self, begin: &Begin, env: &Env) -> Eval {
        let result = self.rescued(begin, env);
        let Some(ensure) = &begin.ensure else {
            return result;
        };
        // What is refused or beyond a limit ends everything at once.
        if let Err(error) = &result
            && matches!(&*error.0, Flow::Fatal(_))
        {
            return result;
        }
        self.eval(ensure, env)?;
        result
    }

    fn rescued(&mut self, begin: &Begin, env: &Env) -> Eval {
        loop {
            let calls = self.calls.len();
            let error = match self.eval(&begin.body, env) {
                Ok(value) => {
                    return match &begin.otherwise {
                        Some(otherwise) => self.eval(otherwise, env),
                        None => Ok(value),
                    };
                }
                Err(error) => error,
            };
            let raised = match *error.0 {
                Flow::Raise(raised) => raised,
                other => return Err(other.into()),
            };
            self.calls.truncate(calls);
            let Some(rescue) = self.find_rescue(&begin.rescues, &raised, env)? else {
                return Err(Flow::Raise(raised).into());
            };
            let result = self.rescue(rescue, raised, env);
            match result.map_err(|error| *error.0) {
                Err(Flow::Retry) => self.step(10)?,
                other => return other.map_err(Error::from),
            }
        }
    }

    fn find_rescue<'b>(
        &mut self,
        rescues: &'b [Rescue],
        raised: &Raised,
        env: &Env,
    ) -> Eval<Option<&'b Rescue>> {
        for rescue in rescues {
            if self.catches(&rescue.classes, &raised.value, env)? {
                return Ok(Some(rescue));
            }
        }
        Ok(None)
    }

    fn catches(&mut self, classes: &[Node], value: &Value, env: &Env) -> Eval<bool> {
        if classes.is_empty() {
            let standard = self.classes.standard_error.clone();
            return Ok(self.class_of(value).is_a(&standard));
        }
        for class in self.elements(classes, env)? {
            if self.case_equal(&class, value, env)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rescue(&mut self, rescue: &Rescue, raised: Raised, env: &Env) -> Eval {
        if let Some(target) = &rescue.target {
            self.assign(target, raised.value.clone(), env)?;
        }
        let name = "$!".into();
        let before = self.globals.insert(name, raised.value.clone());
        self.rescuing.push(raised);
        let result = self.eval(&rescue.body, env);
        self.rescuing.pop();
        self.globals.insert("$!".into(), before.unwrap_or_default());
        result
    }
}
