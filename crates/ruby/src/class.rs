//! Classes, modules and their methods. Ruby's own are made of the same parts
//! as those that a file defines, so a file can reopen `String`.

use crate::env::Lexical;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::tree::Function;
use crate::value::{Block, Name, Value};
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// A method of the library. Keywords arrive as a hash behind the other arguments.
pub(crate) type Native = fn(&mut Interpreter<'_>, &Value, Call) -> Eval;

/// A line of a table of methods: name, least and most arguments, and what it does.
pub(crate) type Entry = (&'static str, u8, u8, Native);

/// Any number of arguments.
pub(crate) const ANY: u8 = u8::MAX;

/// A class or a module.
pub struct Class {
    pub(crate) name: RefCell<Option<Name>>,
    pub(crate) is_module: bool,
    pub(crate) superclass: Option<Rc<Class>>,
    /// Included modules, the last one first.
    pub(crate) includes: RefCell<Vec<Rc<Class>>>,
    /// Prepended modules, the last one first.
    pub(crate) prepends: RefCell<Vec<Rc<Class>>>,
    pub(crate) methods: RefCell<HashMap<Name, Rc<Method>>>,
    /// What the class itself can do: `def self.x`, `extend`.
    pub(crate) meta: RefCell<Option<Rc<Class>>>,
    pub(crate) constants: RefCell<IndexMap<Name, Value>>,
    pub(crate) class_variables: RefCell<HashMap<Name, Value>>,
    pub(crate) variables: RefCell<IndexMap<Name, Value>>,
    /// Whether two instances with equal variables are equal (`Struct`).
    pub(crate) by_value: Cell<bool>,
    /// Whether whatever is called on it acts outside of the evaluation.
    pub(crate) refused: Cell<bool>,
}

/// A method.
pub(crate) struct Method {
    pub name: Name,
    pub visibility: Visibility,
    pub body: Body,
    pub owner: Rc<Class>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Visibility {
    #[default]
    Public,
    Protected,
    Private,
}

/// What a method does.
#[derive(Clone)]
pub(crate) enum Body {
    Native(Native, u8, u8),
    /// The same, with keywords as they were given.
    Raw(Native),
    Function(Rc<Function>, Rc<Lexical>),
    /// `define_method`.
    Block(Block),
    Reader(Name),
    Writer(Name),
    /// `undef`.
    Gone,
}

impl Class {
    pub(crate) fn new(
        name: Option<&str>,
        superclass: Option<Rc<Self>>,
        is_module: bool,
    ) -> Rc<Self> {
        let by_value = superclass
            .as_ref()
            .is_some_and(|class| class.by_value.get());
        Rc::new(Self {
            name: RefCell::new(name.map(Name::from)),
            is_module,
            superclass,
            includes: RefCell::default(),
            prepends: RefCell::default(),
            methods: RefCell::default(),
            meta: RefCell::default(),
            constants: RefCell::default(),
            class_variables: RefCell::default(),
            variables: RefCell::default(),
            by_value: Cell::new(by_value),
            refused: Cell::new(false),
        })
    }

    /// The name as messages show it.
    pub fn title(&self) -> String {
        match &*self.name.borrow() {
            Some(name) => name.to_string(),
            None if self.is_module => "#<Module>".to_owned(),
            None => "#<Class>".to_owned(),
        }
    }

    /// The class itself, what it includes and its superclasses, in the order of look-up.
    pub(crate) fn ancestors(self: &Rc<Self>) -> Vec<Rc<Self>> {
        let mut found: Vec<Rc<Self>> = Vec::new();
        let mut next = Some(self.clone());
        while let Some(class) = next.take() {
            for module in class.prepends.borrow().iter() {
                add_module(module, &mut found);
            }
            found.push(class.clone());
            for module in class.includes.borrow().iter() {
                add_module(module, &mut found);
            }
            next = class.superclass.clone();
        }
        found
    }

    /// Whether it is `other` or below it.
    pub(crate) fn is_a(self: &Rc<Self>, other: &Rc<Self>) -> bool {
        self.ancestors()
            .iter()
            .any(|class| Rc::ptr_eq(class, other))
    }

    /// The method that an instance has.
    pub(crate) fn find(self: &Rc<Self>, name: &str) -> Option<Rc<Method>> {
        let mut next = Some(self);
        while let Some(class) = next {
            if let Some(method) = class.find_here(name, 0) {
                return Some(method);
            }
            next = class.superclass.as_ref();
        }
        None
    }

    fn find_here(&self, name: &str, depth: usize) -> Option<Rc<Method>> {
        let within = |modules: &RefCell<Vec<Rc<Self>>>| {
            let modules = modules.borrow();
            modules
                .iter()
                .filter(|_| depth < 20)
                .find_map(|module| module.find_here(name, depth + 1))
        };
        within(&self.prepends)
            .or_else(|| self.methods.borrow().get(name).cloned())
            .or_else(|| within(&self.includes))
    }

    /// The class of the class, made when it is first needed.
    pub(crate) fn meta(&self) -> Rc<Self> {
        self.meta
            .borrow_mut()
            .get_or_insert_with(|| Self::new(None, None, false))
            .clone()
    }

    /// The method that the class itself has, its superclasses' included.
    pub(crate) fn find_meta(self: &Rc<Self>, name: &str) -> Option<Rc<Method>> {
        let mut next = Some(self);
        while let Some(class) = next {
            let found = class
                .meta
                .borrow()
                .as_ref()
                .and_then(|meta| meta.find(name));
            if found.is_some() {
                return found;
            }
            next = class.superclass.as_ref();
        }
        None
    }

    pub(crate) fn define(self: &Rc<Self>, name: &str, visibility: Visibility, body: Body) {
        let name = Name::from(name);
        let method = Method {
            name: name.clone(),
            visibility,
            body,
            owner: self.clone(),
        };
        self.methods.borrow_mut().insert(name, Rc::new(method));
    }

    /// Methods of the library.
    pub(crate) fn natives(self: &Rc<Self>, table: &[Entry]) {
        for (name, least, most, native) in table {
            self.define(
                name,
                Visibility::Public,
                Body::Native(*native, *least, *most),
            );
        }
    }

    /// Methods that take keywords as they were given.
    pub(crate) fn raw(self: &Rc<Self>, table: &[(&str, Native)]) {
        for (name, native) in table {
            self.define(name, Visibility::Public, Body::Raw(*native));
        }
    }

    /// Methods that are called without a receiver only, such as `puts`.
    pub(crate) fn functions(self: &Rc<Self>, table: &[Entry]) {
        for (name, least, most, native) in table {
            self.define(
                name,
                Visibility::Private,
                Body::Native(*native, *least, *most),
            );
        }
    }

    /// The names of all methods of an instance, for "did you mean".
    pub(crate) fn method_names(self: &Rc<Self>) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for class in self.ancestors() {
            names.extend(class.methods.borrow().keys().cloned());
        }
        names
    }
}

/// Adds a module and what it includes.
fn add_module(module: &Rc<Class>, found: &mut Vec<Rc<Class>>) {
    if found.len() > 1000 || found.iter().any(|known| Rc::ptr_eq(known, module)) {
        return;
    }
    found.push(module.clone());
    for inner in module.includes.borrow().iter() {
        add_module(inner, found);
    }
}
