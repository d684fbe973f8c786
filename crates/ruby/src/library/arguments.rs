//! Taking arguments as the type that a method needs, or saying that they are
//! of another.

use crate::error::{Error, Eval};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Array, Block, Hash, Str, Value};
use std::rc::Rc;

impl Call {
    /// An argument, or `nil`.
    pub(super) fn at(&self, index: usize) -> Value {
        self.args.get(index).cloned().unwrap_or_default()
    }

    /// The hash behind the other arguments, taken away from them.
    pub(super) fn take_options(&mut self) -> Option<Rc<Hash>> {
        match self.args.last() {
            Some(Value::Hash(hash)) => {
                let hash = hash.clone();
                self.args.pop();
                Some(hash)
            }
            _ => None,
        }
    }
}

impl Interpreter<'_> {
    pub(crate) fn int(&mut self, value: &Value) -> Eval<i64> {
        match value {
            Value::Int(value) => Ok(*value),
            Value::Float(value) => self.whole(*value),
            value => Err(self.no_conversion(value, "Integer")),
        }
    }

    /// A float without its fraction.
    pub(crate) fn whole(&mut self, value: f64) -> Eval<i64> {
        if !value.is_finite() {
            let shown = super::float::show(value);
            return Err(self.raise("FloatDomainError", shown));
        }
        if value.abs() >= 9.2e18 {
            return Err(self.too_large());
        }
        Ok(value as i64)
    }

    pub(crate) fn too_large(&mut self) -> Error {
        self.fail("limit", "A number is beyond 64 bits", None, None)
    }

    /// A number of elements.
    pub(crate) fn count(&mut self, value: &Value) -> Eval<usize> {
        let count = self.int(value)?;
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => Err(self.raise("ArgumentError", "negative argument")),
        }
    }

    pub(crate) fn float_of(&mut self, value: &Value) -> Eval<f64> {
        match value {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            value => {
                let name = self.class_of(value).title();
                Err(self.raise("TypeError", format!("can't convert {name} into Float")))
            }
        }
    }

    /// A string, or what says to be as good as one.
    pub(crate) fn str(&mut self, value: &Value) -> Eval<String> {
        match value {
            Value::Str(text) => Ok(text.text.borrow().clone()),
            Value::Object(_) if self.responds(value, "to_str") => {
                let text = self.send(value, "to_str", Vec::new())?;
                text.as_text()
                    .map_or_else(|| Err(self.no_conversion(value, "String")), Ok)
            }
            value => Err(self.no_conversion(value, "String")),
        }
    }

    /// A path: a string or a `Pathname`.
    pub(crate) fn path(&mut self, value: &Value) -> Eval<String> {
        if self.responds(value, "to_path") {
            let path = self.send(value, "to_path", Vec::new())?;
            return self.str(&path);
        }
        self.str(value)
    }

    /// A name: a symbol or a string.
    pub(crate) fn name_of(&mut self, value: &Value) -> Eval<String> {
        match value.as_name() {
            Some(name) => Ok(name),
            None => {
                let shown = self.inspect(value)?;
                Err(self.raise("TypeError", format!("{shown} is not a symbol nor a string")))
            }
        }
    }

    pub(crate) fn list(&mut self, value: &Value) -> Eval<Vec<Value>> {
        match value {
            Value::Array(array) => Ok(array.items.borrow().clone()),
            Value::Object(_) if self.responds(value, "to_ary") => {
                let array = self.send(value, "to_ary", Vec::new())?;
                Ok(array.as_items().unwrap_or_default())
            }
            value => Err(self.no_conversion(value, "Array")),
        }
    }

    pub(crate) fn entries(&mut self, value: &Value) -> Eval<Vec<(Value, Value)>> {
        match value {
            Value::Hash(hash) => Ok(hash.entries()),
            Value::Object(_) if self.responds(value, "to_hash") => {
                let hash = self.send(value, "to_hash", Vec::new())?;
                Ok(hash.as_entries().unwrap_or_default())
            }
            value => Err(self.no_conversion(value, "Hash")),
        }
    }

    /// The block that a method cannot do without.
    pub(crate) fn block(&mut self, call: &Call) -> Eval<Block> {
        match &call.block {
            Some(block) => Ok(block.clone()),
            None => Err(self.raise("LocalJumpError", "no block given (yield)")),
        }
    }

    /// The block's answer for one element.
    pub(crate) fn ask(&mut self, block: &Block, item: &Value) -> Eval {
        self.call_proc(block, vec![item.clone()], Vec::new(), None, None)
    }

    pub(crate) fn asks(&mut self, block: &Block, item: &Value) -> Eval<bool> {
        Ok(self.ask(block, item)?.is_truthy())
    }

    /// A string that may be changed.
    pub(crate) fn own_str<'v>(&mut self, me: &'v Value) -> Eval<&'v Rc<Str>> {
        match me {
            Value::Str(text) if !text.frozen.get() => Ok(text),
            Value::Str(_) => Err(self.frozen(me)),
            _ => Err(self.no_conversion(me, "String")),
        }
    }

    /// An array that may be changed.
    pub(crate) fn own_array<'v>(&mut self, me: &'v Value) -> Eval<&'v Rc<Array>> {
        match me {
            Value::Array(array) if !array.frozen.get() => Ok(array),
            Value::Array(_) => Err(self.frozen(me)),
            _ => Err(self.no_conversion(me, "Array")),
        }
    }

    /// A hash that may be changed.
    pub(crate) fn own_hash<'v>(&mut self, me: &'v Value) -> Eval<&'v Rc<Hash>> {
        match me {
            Value::Hash(hash) if !hash.frozen.get() => Ok(hash),
            Value::Hash(_) => Err(self.frozen(me)),
            _ => Err(self.no_conversion(me, "Hash")),
        }
    }
}
