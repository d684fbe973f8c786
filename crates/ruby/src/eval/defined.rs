//! `defined?`

use crate::env::Env;
use crate::error::{Eval, Flow};
use crate::interpreter::Interpreter;
use crate::tree::{Kind, Node, Variable};
use crate::value::Value;

impl Interpreter<'_> {
    pub(super) fn defined(&mut self, node: &Node, env: &Env) -> Eval {
        let what = match &node.kind {
            Kind::Sequence(nodes) if nodes.len() == 1 => return self.defined(&nodes[0], env),
            Kind::Local(..) => Some("local-variable"),
            Kind::Variable(variable) => self.defined_variable(variable, env),
            Kind::Constant(path) => {
                let found = self.find_constant(path, env);
                self.found(found)?.flatten().map(|_| "constant")
            }
            Kind::Call(invocation) => {
                let receiver = match &invocation.receiver {
                    Some(receiver) => {
                        let receiver = self.eval(receiver, env);
                        match self.found(receiver)? {
                            Some(receiver) => receiver,
                            None => return Ok(Value::Nil),
                        }
                    }
                    None => env.frame.me.clone(),
                };
                let known = match &receiver {
                    Value::Foreign(handle) => self.host.responds(*handle, &invocation.name),
                    receiver => self.find_method(receiver, &invocation.name).is_some(),
                };
                known.then_some("method")
            }
            Kind::Yield(_) => env.frame.block.borrow().is_some().then_some("yield"),
            Kind::Super(..) => env
                .frame
                .method
                .as_ref()
                .and_then(|method| self.find_super(&env.frame.me, method))
                .map(|_| "super"),
            Kind::Nil => Some("expression"),
            Kind::Me => Some("self"),
            Kind::True => Some("true"),
            Kind::False => Some("false"),
            Kind::Assign(..) | Kind::OpAssign(..) | Kind::MultiAssign(..) => Some("assignment"),
            Kind::Group(_) | Kind::BackReference(_) => match self.rarer(node, env)? {
                Value::Nil => None,
                _ => Some("global-variable"),
            },
            _ => Some("expression"),
        };
        Ok(what.map_or(Value::Nil, Value::text))
    }

    fn defined_variable(&self, variable: &Variable, env: &Env) -> Option<&'static str> {
        match variable {
            Variable::Instance(name) => match &env.frame.me {
                Value::Object(object) => object.variables.borrow().contains_key(name),
                Value::Class(class) => class.variables.borrow().contains_key(name),
                _ => false,
            }
            .then_some("instance-variable"),
            Variable::Global(name) => self.globals.contains_key(name).then_some("global-variable"),
            Variable::Class(name) => self
                .find_class_variable(name, env)
                .map(|_| "class variable"),
        }
    }

    /// An exception means "not defined"; what is refused stays refused.
    fn found<T>(&self, result: Eval<T>) -> Eval<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(&*error.0, Flow::Raise(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
