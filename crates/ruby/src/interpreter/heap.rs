//! What was allocated, so that cycles end with the evaluation and nothing is
//! dropped level by level on a stack that is too small for it.

use super::Interpreter;
use crate::class::Class;
use crate::env::{Env, Frame, Scope};
use crate::error::Eval;
use crate::value::{Array, Hash, Map, Object, Value};
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Something that holds values.
pub(super) enum Tracked {
    Array(Rc<Array>),
    Hash(Rc<Hash>),
    Object(Rc<Object>),
    Scope(Rc<Scope>),
    Frame(Rc<Frame>),
    Class(Rc<Class>),
}

impl Tracked {
    fn is_garbage(&self) -> bool {
        1 == match self {
            Self::Array(array) => Rc::strong_count(array),
            Self::Hash(hash) => Rc::strong_count(hash),
            Self::Object(object) => Rc::strong_count(object),
            Self::Scope(scope) => Rc::strong_count(scope),
            Self::Frame(frame) => Rc::strong_count(frame),
            Self::Class(_) => 2,
        }
    }

    /// Moves what it holds to `grave`, so that dropping it drops nothing else.
    fn empty(&self, grave: &mut Vec<Value>) {
        match self {
            Self::Array(array) => grave.append(&mut array.items.take()),
            Self::Hash(hash) => {
                for (key, value) in hash.map.take() {
                    grave.push(key.value);
                    grave.push(value);
                }
                grave.push(hash.default.take());
            }
            Self::Object(object) => grave.extend(object.variables.take().into_values()),
            Self::Scope(scope) => grave.extend(scope.variables.take().into_iter().map(|v| v.1)),
            Self::Frame(frame) => {
                grave.extend(frame.block.take().map(Value::Proc));
                grave.push(frame.found.take());
            }
            Self::Class(class) => {
                grave.extend(class.constants.take().into_values());
                grave.extend(class.variables.take().into_values());
                grave.extend(class.class_variables.take().into_values());
                class.methods.take();
                class.meta.take();
                class.includes.take();
                class.prepends.take();
            }
        }
    }
}

impl Interpreter<'_> {
    fn track(&mut self, tracked: Tracked) {
        self.used.bytes += 64;
        if self.heap.len() >= self.heap_limit {
            self.heap.retain(|tracked| !tracked.is_garbage());
            self.heap_limit = (self.heap.len() * 2).max(10_000);
        }
        self.heap.push(tracked);
    }

    /// Ends everything that was allocated.
    pub(super) fn clear_heap(&mut self) {
        let mut grave = Vec::new();
        for tracked in &self.heap {
            tracked.empty(&mut grave);
        }
        drop(grave);
        self.heap.clear();
    }

    pub(crate) fn new_array(&mut self, items: Vec<Value>) -> Eval<Rc<Array>> {
        self.room_for(items.len())?;
        self.allocate(64)?;
        let array = Rc::new(Array {
            items: RefCell::new(items),
            frozen: Cell::new(false),
        });
        self.track(Tracked::Array(array.clone()));
        Ok(array)
    }

    pub(crate) fn new_hash(&mut self, map: Map) -> Eval<Rc<Hash>> {
        self.room_for(map.len() * 4)?;
        self.allocate(128)?;
        let hash = Rc::new(Hash {
            map: RefCell::new(map),
            ..Hash::default()
        });
        self.track(Tracked::Hash(hash.clone()));
        Ok(hash)
    }

    pub(crate) fn instance(&mut self, class: Rc<Class>) -> Value {
        self.used.bytes += 128;
        let object = Rc::new(Object {
            class,
            singleton: RefCell::default(),
            variables: RefCell::new(IndexMap::new()),
            frozen: Cell::new(false),
        });
        self.track(Tracked::Object(object.clone()));
        Value::Object(object)
    }

    pub(crate) fn new_class(
        &mut self,
        name: Option<&str>,
        superclass: Option<Rc<Class>>,
        is_module: bool,
    ) -> Eval<Rc<Class>> {
        self.allocate(1024)?;
        let class = Class::new(name, superclass, is_module);
        self.track(Tracked::Class(class.clone()));
        Ok(class)
    }

    /// Keeps an eye on the surroundings of a block that outlives its call.
    pub(crate) fn keep(&mut self, env: &Env) {
        if Rc::strong_count(&env.scope) > 1 {
            self.track(Tracked::Scope(env.scope.clone()));
        }
        if Rc::strong_count(&env.frame) > 1 {
            self.used.bytes += 256;
            self.track(Tracked::Frame(env.frame.clone()));
        }
    }
}
