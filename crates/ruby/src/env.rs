//! Where code runs: the variables it sees and the method it belongs to.

use crate::class::{Class, Method, Visibility};
use crate::value::{Block, Name, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Variables and method of a piece of code. A block takes a copy along.
#[derive(Clone)]
pub(crate) struct Env {
    pub scope: Rc<Scope>,
    pub frame: Rc<Frame>,
}

/// The variables of a method or a block; those of a block have a parent.
#[derive(Default)]
pub(crate) struct Scope {
    pub variables: RefCell<Vec<(Name, Value)>>,
    pub parent: Option<Rc<Scope>>,
    /// What `break` in it aims at.
    pub tag: u64,
}

/// A call of a method, or a file or class body.
pub(crate) struct Frame {
    /// What `return` and `break` aim at.
    pub id: u64,
    pub me: Value,
    pub method: Option<Rc<Method>>,
    /// The arguments, for a `super` without any.
    pub args: Vec<Value>,
    pub keywords: Vec<(Value, Value)>,
    pub block: RefCell<Option<Block>>,
    pub lexical: Rc<Lexical>,
    /// Where `def` defines.
    pub definee: Rc<Class>,
    pub visibility: Cell<Visibility>,
    pub module_function: Cell<bool>,
    /// `$~`.
    pub found: RefCell<Value>,
}

/// The classes that a piece of code is written in, for constants.
pub(crate) struct Lexical {
    pub class: Rc<Class>,
    pub parent: Option<Rc<Lexical>>,
}

impl Scope {
    /// The variables of a block within these.
    pub fn inner(parent: &Rc<Self>, tag: u64) -> Rc<Self> {
        Rc::new(Self {
            variables: RefCell::default(),
            parent: Some(parent.clone()),
            tag,
        })
    }

    /// The scope so many blocks further out.
    pub fn at(self: &Rc<Self>, depth: u32) -> &Rc<Self> {
        let mut scope = self;
        for _ in 0..depth {
            match &scope.parent {
                Some(parent) => scope = parent,
                None => break,
            }
        }
        scope
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        let variables = self.variables.borrow();
        variables
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value.clone())
    }

    pub fn set(&self, name: &Name, value: Value) {
        let mut variables = self.variables.borrow_mut();
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name.clone(), value)),
        }
    }

    /// The variable in this scope or one further out.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.get(name)
            .or_else(|| self.parent.as_ref().and_then(|parent| parent.find(name)))
    }

    /// The names of all variables that are seen from here.
    pub fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self
            .variables
            .borrow()
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        if let Some(parent) = &self.parent {
            names.extend(parent.names());
        }
        names
    }
}
