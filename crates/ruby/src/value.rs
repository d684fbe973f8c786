//! The values that Ruby works with. Cloning one shares it, as in Ruby.
//!
//! Values belong to the [`Interpreter`](crate::Interpreter) that they were made
//! in: when it ends, containers are emptied (so that neither cycles nor deep
//! nesting outlive it). A host takes what it needs before.

use crate::class::{Body, Class, Method};
use crate::env::Env;
use crate::host::Handle;
use crate::tree::{Function, Parameters};
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::hash::{Hash as _, Hasher};
use std::rc::Rc;

/// A name: of a method, a variable, a constant, or a symbol.
pub type Name = Rc<str>;

/// A block, proc or lambda, to be called by
/// [`Interpreter::call_block`](crate::Interpreter::call_block).
pub type Block = Rc<Proc>;

/// Any value.
#[derive(Clone, Default)]
pub enum Value {
    /// `nil`.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number; what does not fit 64 bits is an error.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string, which can be changed.
    Str(Rc<Str>),
    /// A symbol.
    Symbol(Name),
    /// An array.
    Array(Rc<Array>),
    /// A hash.
    Hash(Rc<Hash>),
    /// A range.
    Range(Rc<Range>),
    /// A block, proc or lambda.
    Proc(Block),
    /// A class or module.
    Class(Rc<Class>),
    /// An instance of a class, exceptions included.
    Object(Rc<Object>),
    /// A regular expression.
    Regex(Rc<Pattern>),
    /// What a regular expression found.
    Match(Rc<Match>),
    /// A method bound to an object: `method(:puts)`.
    Method(Rc<Bound>),
    /// An object of the host.
    Foreign(Handle),
}

/// A string.
#[derive(Debug, Default)]
pub struct Str {
    pub(crate) text: RefCell<String>,
    pub(crate) frozen: Cell<bool>,
}

/// An array.
#[derive(Default)]
pub struct Array {
    pub(crate) items: RefCell<Vec<Value>>,
    pub(crate) frozen: Cell<bool>,
}

/// A hash, in the order of insertion.
#[derive(Default)]
pub struct Hash {
    pub(crate) map: RefCell<Map>,
    pub(crate) default: RefCell<Value>,
    pub(crate) frozen: Cell<bool>,
}

/// The entries of a hash.
pub(crate) type Map = IndexMap<Key, Value>;

/// A range; `nil` at an end that is open.
pub struct Range {
    /// The first value.
    pub first: Value,
    /// The last value.
    pub last: Value,
    /// Whether the last value is left out.
    pub exclusive: bool,
}

/// A block, proc or lambda.
pub struct Proc {
    pub(crate) code: Code,
    pub(crate) lambda: bool,
}

/// What a proc does when it is called.
#[derive(Clone)]
pub(crate) enum Code {
    /// It runs what was written, where it was written.
    Closure {
        function: Rc<Function>,
        env: Env,
        /// What `break` in it aims at.
        tag: u64,
    },
    /// `&:name`.
    Symbol(Name),
    /// `&method(:name)`.
    Method(Rc<Bound>),
    /// `f >> g`: the first one, and the other with its result.
    Compose(Value, Value),
    /// `f.curry` with what it got so far.
    Curry(Block, usize, Vec<Value>),
    /// It keeps what it is called with, for the library.
    Collect(Rc<Collected>),
    /// It calls the other with an index behind what it gets.
    Index(Block, Rc<Cell<i64>>),
    /// It calls the other with a value behind what it gets.
    With(Block, Value),
}

/// What a block of the library was called with, and how much of that is enough.
#[derive(Default)]
pub(crate) struct Collected {
    pub items: RefCell<Vec<Value>>,
}

/// An instance of a class.
pub struct Object {
    pub(crate) class: Rc<Class>,
    pub(crate) singleton: RefCell<Option<Rc<Class>>>,
    pub(crate) variables: RefCell<IndexMap<Name, Value>>,
    pub(crate) frozen: Cell<bool>,
}

/// A regular expression.
pub struct Pattern {
    pub(crate) source: String,
    pub(crate) options: Options,
    pub(crate) regex: regex::Regex,
}

/// The letters behind a regular expression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    pub ignore_case: bool,
    pub extended: bool,
    pub multi_line: bool,
}

/// What a regular expression found: the groups, as places in the text.
pub struct Match {
    pub(crate) text: Rc<str>,
    pub(crate) groups: Vec<Option<(usize, usize)>>,
    pub(crate) names: Vec<Option<String>>,
}

/// A method bound to an object.
pub struct Bound {
    pub(crate) receiver: Value,
    pub(crate) name: Name,
    pub(crate) method: Option<Rc<Method>>,
}

impl Proc {
    /// How many arguments it takes, as Ruby's `arity` has it: `-n - 1` if it needs `n` and takes more.
    pub fn arity(&self) -> i64 {
        let Some(parameters) = self.parameters() else {
            return -1;
        };
        let (least, most) = parameters.arity();
        let needs = parameters
            .keywords
            .iter()
            .any(|(_, default)| default.is_none());
        let least = least as i64 + i64::from(needs && least == 0);
        let open = most.is_none() || (self.lambda && !parameters.optional.is_empty());
        if open { -least - 1 } else { least }
    }

    fn parameters(&self) -> Option<&Parameters> {
        match &self.code {
            Code::Closure { function, .. } => Some(&function.parameters),
            Code::Method(bound) => match bound.method.as_ref().map(|method| &method.body) {
                Some(Body::Function(function, _)) => Some(&function.parameters),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Str(Rc::new(Str {
            text: RefCell::new(text.into()),
            frozen: Cell::new(false),
        }))
    }

    /// A symbol.
    pub fn symbol(name: &str) -> Self {
        Self::Symbol(Name::from(name))
    }

    /// Whether `if` takes it for true.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// Whether it is `nil`.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.text.borrow().clone()),
            _ => None,
        }
    }

    /// The text of a string or a symbol.
    pub fn as_name(&self) -> Option<String> {
        match self {
            Self::Symbol(name) => Some(name.to_string()),
            _ => self.as_text(),
        }
    }

    /// The elements of an array.
    pub fn as_items(&self) -> Option<Vec<Value>> {
        match self {
            Self::Array(array) => Some(array.items.borrow().clone()),
            _ => None,
        }
    }

    /// The entries of a hash.
    pub fn as_entries(&self) -> Option<Vec<(Value, Value)>> {
        match self {
            Self::Hash(hash) => Some(hash.entries()),
            _ => None,
        }
    }

    /// Whether both are the very same object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Self::Str(b)) => Rc::ptr_eq(a, b),
            (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => Rc::ptr_eq(a, b),
            (Self::Hash(a), Self::Hash(b)) => Rc::ptr_eq(a, b),
            (Self::Range(a), Self::Range(b)) => Rc::ptr_eq(a, b),
            (Self::Proc(a), Self::Proc(b)) => Rc::ptr_eq(a, b),
            (Self::Class(a), Self::Class(b)) => Rc::ptr_eq(a, b),
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b),
            (Self::Regex(a), Self::Regex(b)) => Rc::ptr_eq(a, b),
            (Self::Match(a), Self::Match(b)) => Rc::ptr_eq(a, b),
            (Self::Method(a), Self::Method(b)) => Rc::ptr_eq(a, b),
            (Self::Foreign(a), Self::Foreign(b)) => a == b,
            _ => false,
        }
    }
}

impl Hash {
    /// The entries, each key with its value.
    pub fn entries(&self) -> Vec<(Value, Value)> {
        let map = self.map.borrow();
        map.iter()
            .map(|(key, value)| (key.value.clone(), value.clone()))
            .collect()
    }

    /// The value at a key.
    pub fn get(&self, key: &Value) -> Option<Value> {
        self.map.borrow().get(&Key::new(key.clone())).cloned()
    }

    /// The value at a symbol or, if there is none, at the string of the same letters.
    pub fn get_name(&self, name: &str) -> Option<Value> {
        self.get(&Value::symbol(name))
            .or_else(|| self.get(&Value::text(name)))
    }

    pub(crate) fn insert(&self, key: Value, value: Value) {
        self.map.borrow_mut().insert(Key::of_own(key), value);
    }
}

/// A key of a hash, with its digest: equality as `eql?` has it.
#[derive(Clone)]
pub(crate) struct Key {
    digest: u64,
    pub value: Value,
}

impl Key {
    pub fn new(value: Value) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        digest(&value, &mut hasher, &mut WALK.clone());
        Self {
            digest: hasher.finish(),
            value,
        }
    }

    /// The key as a hash keeps it: strings are copied, so that the original may change.
    pub fn of_own(value: Value) -> Self {
        let value = match value {
            Value::Str(text) if !text.frozen.get() => {
                let copy = Value::text(text.text.borrow().clone());
                if let Value::Str(copy) = &copy {
                    copy.frozen.set(true);
                }
                copy
            }
            other => other,
        };
        Self::new(value)
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && same_key(&self.value, &other.value, &mut WALK.clone())
    }
}

impl Eq for Key {}

/// How much of a structure is looked at: structures may hold themselves, or share parts so often
/// that walking all of them would never end.
const WALK: Walk = Walk {
    depth: 100,
    nodes: 100_000,
};

#[derive(Clone)]
pub(crate) struct Walk {
    pub depth: usize,
    pub nodes: usize,
}

impl Walk {
    pub const fn new() -> Self {
        WALK
    }

    /// Takes a step down; false if that is too much.
    pub fn enter(&mut self) -> bool {
        if self.depth == 0 || self.nodes == 0 {
            return false;
        }
        self.depth -= 1;
        self.nodes -= 1;
        true
    }

    pub fn leave(&mut self) {
        self.depth += 1;
    }
}

fn digest(value: &Value, hasher: &mut impl Hasher, walk: &mut Walk) {
    if !walk.enter() {
        return;
    }
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Nil => {}
        Value::Bool(value) => value.hash(hasher),
        Value::Int(value) => value.hash(hasher),
        Value::Float(value) => value.to_bits().hash(hasher),
        Value::Str(text) => text.text.borrow().hash(hasher),
        Value::Symbol(name) => name.hash(hasher),
        Value::Array(array) => {
            for item in array.items.borrow().iter() {
                digest(item, hasher, walk);
            }
        }
        Value::Hash(hash) => hash.map.borrow().len().hash(hasher),
        Value::Range(range) => {
            digest(&range.first, hasher, walk);
            digest(&range.last, hasher, walk);
        }
        Value::Regex(pattern) => pattern.source.hash(hasher),
        Value::Foreign(handle) => handle.hash(hasher),
        Value::Object(object) if object.class.by_value.get() => {
            for item in object.variables.borrow().values() {
                digest(item, hasher, walk);
            }
        }
        Value::Proc(_)
        | Value::Class(_)
        | Value::Object(_)
        | Value::Match(_)
        | Value::Method(_) => {}
    }
    walk.leave();
}

fn same_key(a: &Value, b: &Value, walk: &mut Walk) -> bool {
    if a.is_same(b) {
        return true;
    }
    if !walk.enter() {
        return false;
    }
    let same = match (a, b) {
        (Value::Str(a), Value::Str(b)) => *a.text.borrow() == *b.text.borrow(),
        (Value::Array(a), Value::Array(b)) => {
            let (a, b) = (a.items.borrow(), b.items.borrow());
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_key(a, b, walk))
        }
        (Value::Hash(a), Value::Hash(b)) => {
            let (a, b) = (a.map.borrow(), b.map.borrow());
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|b| same_key(value, b, walk)))
        }
        (Value::Range(a), Value::Range(b)) => {
            a.exclusive == b.exclusive
                && same_key(&a.first, &b.first, walk)
                && same_key(&a.last, &b.last, walk)
        }
        (Value::Regex(a), Value::Regex(b)) => a.source == b.source && a.options == b.options,
        (Value::Object(a), Value::Object(b)) if a.class.by_value.get() => {
            let (one, other) = (a.variables.borrow(), b.variables.borrow());
            Rc::ptr_eq(&a.class, &b.class)
                && one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|b| same_key(value, b, walk)))
        }
        _ => false,
    };
    walk.leave();
    same
}

impl Match {
    /// The text of a group; 0 is all that was found.
    pub(crate) fn group(&self, index: usize) -> Option<&str> {
        let (start, end) = (*self.groups.get(index)?)?;
        self.text.get(start..end)
    }

    /// The group with a name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|known| known.as_deref() == Some(name))
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::library::inspect::plain(self))
    }
}

impl std::fmt::Debug for Proc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.lambda { "lambda" } else { "proc" })
    }
}
