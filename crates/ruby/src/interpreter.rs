//! One evaluation: its state, and what a host may ask of it.

mod api;
mod heap;
mod loading;
mod raising;

pub(crate) use loading::clean;
pub(crate) use raising::{MESSAGE, set_message};

use crate::class::{Class, Visibility};
use crate::env::{Env, Frame, Lexical, Scope};
use crate::error::{Error, Eval, Problem, Raised};
use crate::host::Host;
use crate::library::Classes;
use crate::limits::{Limits, STACK, Used};
use crate::span::{Sources, Span};
use crate::value::{Hash, Name, Options, Pattern, Value};
use heap::Tracked;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

/// An evaluation under way.
pub struct Interpreter<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) limits: Limits,
    pub(crate) used: Used,
    pub(crate) sources: Sources,
    pub(crate) problems: Vec<Problem>,
    pub(crate) classes: Classes,
    pub(crate) globals: HashMap<Name, Value>,
    pub(crate) environment: Rc<Hash>,
    pub(crate) loaded: Vec<PathBuf>,
    /// Where relative paths begin.
    pub(crate) folder: PathBuf,
    pub(crate) regexes: HashMap<(String, Options), Rc<Pattern>>,
    pub(crate) random: u64,
    /// The calls under way, the innermost last.
    pub(crate) calls: Vec<Span>,
    /// The method's name and variables of who calls the library, for `binding` and its like.
    pub(crate) callers: Vec<Env>,
    pub(crate) main: Value,
    /// What was printed without an end of line so far.
    pub(crate) printed: String,
    /// Nodes within nodes and calls within calls.
    pub(crate) levels: u32,
    /// The exceptions that are being handled, for a `raise` without arguments.
    pub(crate) rescuing: Vec<Raised>,
    /// The objects whose `object_id` was asked for.
    pub(crate) numbered: Vec<Value>,
    heap: Vec<Tracked>,
    heap_limit: usize,
    next_id: u64,
}

/// What came of an evaluation.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the closure returned.
    pub value: T,
    /// Every problem that was reported, in the order of reporting.
    pub problems: Vec<Problem>,
    /// The texts of all files that were evaluated.
    pub sources: Sources,
}

/// Runs `work` with a new interpreter, on a stack of its own that has room for whatever the limits
/// allow.
pub fn run<T>(
    host: &dyn Host,
    limits: Limits,
    work: impl FnOnce(&mut Interpreter<'_>) -> T,
) -> Outcome<T> {
    stacker::grow(STACK, || {
        let mut ruby = Interpreter::new(host, limits);
        let value = work(&mut ruby);
        ruby.flush();
        Outcome {
            value,
            problems: std::mem::take(&mut ruby.problems),
            sources: std::mem::take(&mut ruby.sources),
        }
    })
}

impl<'h> Interpreter<'h> {
    fn new(host: &'h dyn Host, limits: Limits) -> Self {
        let mut ruby = Self {
            host,
            limits,
            used: Used::default(),
            sources: Sources::default(),
            problems: Vec::new(),
            classes: Classes::new(),
            globals: HashMap::new(),
            environment: Rc::default(),
            loaded: Vec::new(),
            folder: host.platform().folder,
            regexes: HashMap::new(),
            random: 0x5eed,
            calls: Vec::new(),
            callers: Vec::new(),
            main: Value::Nil,
            printed: String::new(),
            levels: 0,
            rescuing: Vec::new(),
            numbered: Vec::new(),
            heap: Vec::new(),
            heap_limit: 10_000,
            next_id: 1,
        };
        let object = ruby.classes.object.clone();
        ruby.main = ruby.instance(object);
        crate::library::install(&mut ruby);
        ruby
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The surroundings of a file.
    pub(crate) fn file_env(&mut self) -> Env {
        let object = self.classes.object.clone();
        let frame = Frame {
            id: self.id(),
            me: self.main.clone(),
            method: None,
            args: Vec::new(),
            keywords: Vec::new(),
            block: RefCell::default(),
            lexical: Rc::new(Lexical {
                class: object.clone(),
                parent: None,
            }),
            definee: object,
            visibility: Cell::new(Visibility::Public),
            module_function: Cell::new(false),
            found: RefCell::default(),
        };
        Env {
            scope: Rc::new(Scope::default()),
            frame: Rc::new(frame),
        }
    }

    /// Counts steps.
    pub(crate) fn step(&mut self, steps: u64) -> Eval<()> {
        self.used.steps = self.used.steps.saturating_add(steps);
        if self.used.steps > self.limits.steps {
            return Err(self.limit("This takes too long: an endless loop?"));
        }
        Ok(())
    }

    /// Counts bytes, before they are allocated.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Eval<()> {
        self.used.bytes = self.used.bytes.saturating_add(bytes as u64);
        if self.used.bytes > self.limits.bytes {
            return Err(self.limit("This takes too much memory"));
        }
        Ok(())
    }

    /// Makes sure that a string may have so many bytes.
    pub(crate) fn room(&mut self, bytes: usize) -> Eval<()> {
        if bytes > self.limits.string {
            let most = self.limits.string;
            return Err(self.limit(&format!("A string has more than {most} bytes")));
        }
        self.allocate(bytes)
    }

    /// Makes sure that an array may have so many elements.
    pub(crate) fn room_for(&mut self, elements: usize) -> Eval<()> {
        let most = self.limits.string / 8;
        if elements > most {
            return Err(self.limit(&format!("An array has more than {most} elements")));
        }
        self.step(elements as u64 / 8)?;
        self.allocate(elements.saturating_mul(16))
    }

    fn limit(&mut self, message: &str) -> Error {
        self.fail("limit", message, None, None)
    }

    /// Where the user's files are at: the innermost call that is theirs.
    pub(crate) fn here(&self) -> Option<Span> {
        self.calls
            .iter()
            .rev()
            .find(|span| !self.sources.is_builtin(span.file))
            .copied()
    }

    /// The class of a value.
    pub(crate) fn class_of(&self, value: &Value) -> Rc<Class> {
        let classes = &self.classes;
        match value {
            Value::Nil => &classes.nil,
            Value::Bool(true) => &classes.yes,
            Value::Bool(false) => &classes.no,
            Value::Int(_) => &classes.integer,
            Value::Float(_) => &classes.float,
            Value::Str(_) => &classes.string,
            Value::Symbol(_) => &classes.symbol,
            Value::Array(_) => &classes.array,
            Value::Hash(_) => &classes.hash,
            Value::Range(_) => &classes.range,
            Value::Proc(_) => &classes.proc,
            Value::Class(class) if class.is_module => &classes.module,
            Value::Class(_) => &classes.class,
            Value::Object(object) => &object.class,
            Value::Regex(_) => &classes.regexp,
            Value::Match(_) => &classes.match_data,
            Value::Method(_) => &classes.method,
            Value::Foreign(_) => &classes.foreign,
        }
        .clone()
    }
}

impl Drop for Interpreter<'_> {
    fn drop(&mut self) {
        self.clear_heap();
    }
}
