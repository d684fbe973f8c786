//! From a name to what runs: looking methods up and invoking them.

use crate::class::{ANY, Body, Class, Method, Visibility};
use crate::env::{Env, Frame, Lexical, Scope};
use crate::error::{Error, Eval, Flow};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::tree::Function;
use crate::value::{Name, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

impl Interpreter<'_> {
    /// Calls a method. `implicit` means that private ones may be called.
    pub(crate) fn dispatch(&mut self, receiver: &Value, call: Call, implicit: bool) -> Eval {
        if let Value::Foreign(handle) = receiver {
            let host = self.host;
            return host.send(self, *handle, call);
        }
        match self.find_method(receiver, &call.name) {
            Some(method) if implicit || method.visibility != Visibility::Private => {
                self.protected(&method, receiver, implicit)?;
                self.invoke(receiver, &method, call)
            }
            found => self.missing(receiver, call, implicit, found),
        }
    }

    /// Calls what is either a method or a variable that nobody has set.
    pub(super) fn dispatch_bare(&mut self, me: &Value, call: Call, env: &Env) -> Eval {
        if !matches!(me, Value::Foreign(_)) && self.find_method(me, &call.name).is_none() {
            // `binding` shares its variables with texts that were parsed without them.
            if let Some(value) = env.scope.find(&call.name) {
                return Ok(value);
            }
            if let Some(result) = self.outside(me, &call) {
                return result;
            }
            return Err(self.no_name(&call.name, me, &env.scope.names()));
        }
        self.dispatch(me, call, true)
    }

    fn protected(&mut self, method: &Method, receiver: &Value, implicit: bool) -> Eval<()> {
        if implicit || method.visibility != Visibility::Protected {
            return Ok(());
        }
        let caller = self.callers.last().map(|env| env.frame.me.clone());
        let allowed = caller.is_some_and(|me| self.class_of(&me).is_a(&method.owner));
        if allowed {
            return Ok(());
        }
        let receiver = self.called(receiver);
        let message = format!("protected method `{}' called for {receiver}", method.name);
        Err(self.raise("NoMethodError", message))
    }

    /// What happens if there is no such method.
    fn missing(
        &mut self,
        receiver: &Value,
        call: Call,
        implicit: bool,
        found: Option<Rc<Method>>,
    ) -> Eval {
        if let Some(result) = self.outside(receiver, &call) {
            return result;
        }
        if found.is_some() && !implicit {
            let message = format!(
                "private method `{}' called for {}",
                call.name,
                self.called(receiver)
            );
            return Err(self.raise("NoMethodError", message));
        }
        Err(self.no_method(receiver, &call.name))
    }

    /// `method_missing`, functions of the host, and what is refused.
    fn outside(&mut self, receiver: &Value, call: &Call) -> Option<Eval> {
        if let Value::Class(class) = receiver
            && class.refused.get()
        {
            let what = format!("{}.{}", class.title(), call.name);
            return Some(Err(self.refuse(&what)));
        }
        if let Some(method) = self.find_method(receiver, "method_missing")
            && !matches!(method.body, Body::Native(..))
        {
            let mut call = call.clone();
            call.args.insert(0, Value::Symbol(call.name.clone()));
            call.name = Name::from("method_missing");
            return Some(self.invoke(receiver, &method, call));
        }
        let host = self.host;
        host.function(self, call)
    }

    /// The method of a value.
    pub(crate) fn find_method(&self, receiver: &Value, name: &str) -> Option<Rc<Method>> {
        let singleton = match receiver {
            Value::Class(class) => class.find_meta(name),
            Value::Object(object) => {
                let singleton = object.singleton.borrow();
                singleton.as_ref().and_then(|class| class.find(name))
            }
            _ => None,
        };
        singleton
            .or_else(|| self.class_of(receiver).find(name))
            .filter(|method| !matches!(method.body, Body::Gone))
    }

    /// Whether a value has a public method.
    pub(crate) fn responds(&self, receiver: &Value, name: &str) -> bool {
        match receiver {
            Value::Foreign(handle) => self.host.responds(*handle, name),
            receiver => self
                .find_method(receiver, name)
                .is_some_and(|method| method.visibility != Visibility::Private),
        }
    }

    /// The method that `super` means.
    pub(super) fn find_super(&self, me: &Value, method: &Method) -> Option<Rc<Method>> {
        let mut order: Vec<Rc<Class>> = Vec::new();
        match me {
            Value::Class(class) => {
                let mut next = Some(class);
                while let Some(class) = next {
                    if let Some(meta) = &*class.meta.borrow() {
                        order.extend(meta.ancestors());
                    }
                    next = class.superclass.as_ref();
                }
            }
            Value::Object(object) => {
                if let Some(singleton) = &*object.singleton.borrow() {
                    order.extend(singleton.ancestors());
                }
            }
            _ => {}
        }
        order.extend(self.class_of(me).ancestors());
        let at = order
            .iter()
            .position(|class| Rc::ptr_eq(class, &method.owner))?;
        order[at + 1..]
            .iter()
            .find_map(|class| class.methods.borrow().get(&method.name).cloned())
    }

    /// Runs a method.
    pub(crate) fn invoke(&mut self, me: &Value, method: &Rc<Method>, call: Call) -> Eval {
        match &method.body {
            Body::Native(native, least, most) => {
                let call = self.folded(call)?;
                self.check_native(&call, *least, *most)?;
                self.cost(me, &call)?;
                let value = native(self, me, call)?;
                self.account(me, &value)?;
                Ok(value)
            }
            Body::Raw(native) => native(self, me, call),
            Body::Function(function, lexical) => {
                self.run_function(me, method, function, lexical, call)
            }
            Body::Block(block) => {
                let definee = method.owner.clone();
                let me = Some((me.clone(), Some(definee)));
                self.call_lambda(block, call, me)
            }
            Body::Reader(name) => Ok(self.instance_variable(me, name)),
            Body::Writer(name) => {
                let value = call.args.into_iter().next().unwrap_or_default();
                self.set_instance_variable(me, name, value.clone())?;
                Ok(value)
            }
            Body::Gone => Err(self.no_method(me, &call.name)),
        }
    }

    /// Keywords as a hash behind the other arguments, as methods of the library take them.
    fn folded(&mut self, mut call: Call) -> Eval<Call> {
        if !call.keywords.is_empty() {
            let keywords = std::mem::take(&mut call.keywords);
            call.args.push(self.hash(keywords)?);
        }
        Ok(call)
    }

    fn check_native(&mut self, call: &Call, least: u8, most: u8) -> Eval<()> {
        let given = call.args.len();
        if given >= least.into() && (most == ANY || given <= most.into()) {
            return Ok(());
        }
        let expected = match most {
            ANY => format!("{least}+"),
            most if most == least => least.to_string(),
            most => format!("{least}..{most}"),
        };
        Err(self.wrong_count(given, &expected))
    }

    /// A method of the library looks at all of what it is given, at worst.
    fn cost(&mut self, me: &Value, call: &Call) -> Eval<()> {
        let given = call.args.iter().map(size).sum::<u64>();
        let own = if AT_ONCE.contains(&&*call.name) {
            0
        } else {
            size(me)
        };
        self.step(1 + given + own)
    }

    /// What a method of the library returns may be new.
    fn account(&mut self, me: &Value, value: &Value) -> Eval<()> {
        if let Value::Str(text) = value
            && !value.is_same(me)
        {
            let length = text.text.borrow().len();
            self.room(length)?;
        }
        Ok(())
    }

    fn run_function(
        &mut self,
        me: &Value,
        method: &Rc<Method>,
        function: &Rc<Function>,
        lexical: &Rc<Lexical>,
        call: Call,
    ) -> Eval {
        let frame = Frame {
            id: self.id(),
            me: me.clone(),
            method: Some(method.clone()),
            args: call.args.clone(),
            keywords: call.keywords.clone(),
            block: RefCell::new(call.block.clone()),
            lexical: lexical.clone(),
            definee: lexical.class.clone(),
            visibility: Cell::new(Visibility::Public),
            module_function: Cell::new(false),
            found: RefCell::default(),
        };
        let env = Env {
            scope: Rc::new(Scope::default()),
            frame: Rc::new(frame),
        };
        let result = self.deeper(|ruby| {
            ruby.bind(&function.parameters, call, &env, true)?;
            ruby.eval(&function.body, &env)
        });
        self.keep(&env);
        match result.map_err(|error| *error.0) {
            Err(Flow::Return { frame, value }) if frame == env.frame.id => Ok(value),
            other => other.map_err(Error::from),
        }
    }

    /// Counts calls within calls.
    pub(crate) fn deeper(&mut self, work: impl FnOnce(&mut Self) -> Eval) -> Eval {
        if self.used.depth >= self.limits.depth {
            let message = "Calls go too deep: an endless recursion?";
            return Err(self.fail("limit", message, None, None));
        }
        self.used.depth += 1;
        let result = work(self);
        self.used.depth -= 1;
        result
    }
}

/// Methods that take as long for a large collection as for a small one.
const AT_ONCE: &[&str] = &[
    "<<", "push", "append", "pop", "[]", "[]=", "store", "fetch", "key?", "has_key?", "length",
    "size", "empty?", "any?", "nil?", "is_a?", "class", "first", "last", "each", "freeze",
    "itself", "tap",
];

/// How much there is to look at, in steps.
fn size(value: &Value) -> u64 {
    let elements = match value {
        Value::Str(text) => text.text.borrow().len() / 64,
        Value::Array(array) => array.items.borrow().len() / 8,
        Value::Hash(hash) => hash.map.borrow().len() / 8,
        _ => 0,
    };
    elements as u64
}
