//! What a host and the library ask for: values, calls, texts.

use super::Interpreter;
use crate::class::Visibility;
use crate::error::{Error, Eval};
use crate::host::{Call, Handle, Stream};
use crate::library::inspect;
use crate::span::{FileId, Sources, Span};
use crate::value::{Block, Key, Map, Name, Value};

impl Interpreter<'_> {
    /// The files that were read so far.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The innermost call under way in the user's files.
    pub fn place(&self) -> Option<Span> {
        self.here()
    }

    /// An array.
    ///
    /// # Errors
    /// If that is beyond a limit.
    pub fn array(&mut self, items: Vec<Value>) -> Result<Value, Error> {
        Ok(Value::Array(self.new_array(items)?))
    }

    /// A hash.
    ///
    /// # Errors
    /// If that is beyond a limit.
    pub fn hash(&mut self, entries: Vec<(Value, Value)>) -> Result<Value, Error> {
        let map: Map = entries
            .into_iter()
            .map(|(key, value)| (Key::of_own(key), value))
            .collect();
        Ok(Value::Hash(self.new_hash(map)?))
    }

    /// A string, counted against the limits.
    ///
    /// # Errors
    /// If that is beyond a limit.
    pub fn string(&mut self, text: impl Into<String>) -> Result<Value, Error> {
        let text = text.into();
        self.room(text.len())?;
        Ok(Value::text(text))
    }

    /// Calls a block with arguments, as `yield` does: one array is taken apart by a block with several
    /// parameters.
    ///
    /// # Errors
    /// What the block raised, or its `break`.
    pub fn call_block(&mut self, block: &Block, args: Vec<Value>) -> Result<Value, Error> {
        self.call_proc(block, args, Vec::new(), None, None)
    }

    /// Calls a block as if it stood in a method of `me` (`instance_exec`).
    ///
    /// # Errors
    /// What the block raised, or its `break`.
    pub fn call_block_as(
        &mut self,
        block: &Block,
        me: Value,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        self.call_proc(block, args, Vec::new(), None, Some(me))
    }

    /// Calls a method of a value.
    ///
    /// # Errors
    /// What it raised.
    pub fn send(&mut self, receiver: &Value, name: &str, args: Vec<Value>) -> Result<Value, Error> {
        self.send_with(receiver, name, args, None)
    }

    /// The same with a block.
    pub(crate) fn send_with(
        &mut self,
        receiver: &Value,
        name: &str,
        args: Vec<Value>,
        block: Option<Block>,
    ) -> Eval {
        let mut call = self.new_call(name, args);
        call.block = block;
        self.dispatch(receiver, call, false)
    }

    /// A call that stands nowhere: its place is that of the call under way.
    pub(crate) fn new_call(&self, name: &str, args: Vec<Value>) -> Call {
        let nowhere = Span {
            file: FileId(0),
            start: 0,
            end: 0,
        };
        let span = self.calls.last().copied().unwrap_or(nowhere);
        Call {
            name: Name::from(name),
            args,
            keywords: Vec::new(),
            block: None,
            span,
            name_span: span,
            arg_spans: Vec::new(),
            keyword_spans: Vec::new(),
        }
    }

    /// What every object can do, for an object of the host: `nil?`, `==`, `respond_to?`, `send`,
    /// `tap`, `inspect` and so on. Anything else is an undefined method.
    ///
    /// # Errors
    /// What it raised.
    pub fn universal(&mut self, receiver: Handle, call: Call) -> Result<Value, Error> {
        let found = self.classes.foreign.find(&call.name);
        match found.filter(|method| method.visibility == Visibility::Public) {
            Some(method) => self.invoke(&Value::Foreign(receiver), &method, call),
            None => Err(self.undefined(receiver, &call, &[])),
        }
    }

    /// The text of a value, as interpolation makes it.
    ///
    /// # Errors
    /// What its `to_s` raised.
    pub fn to_s(&mut self, value: &Value) -> Result<String, Error> {
        inspect::to_s(self, value)
    }

    /// The text of a value, as `p` shows it.
    ///
    /// # Errors
    /// What its `inspect` raised.
    pub fn inspect(&mut self, value: &Value) -> Result<String, Error> {
        inspect::inspect(self, value)
    }

    /// Hands printed text to the host, line by line.
    pub(crate) fn say(&mut self, stream: Stream, text: &str) {
        if stream == Stream::Err {
            for line in text.lines() {
                self.host.say(stream, line);
            }
            return;
        }
        self.printed.push_str(text);
        while let Some(end) = self.printed.find('\n') {
            let line: String = self.printed.drain(..=end).collect();
            self.host.say(stream, line.trim_end_matches('\n'));
        }
    }

    pub(crate) fn flush(&mut self) {
        if !self.printed.is_empty() {
            let line = std::mem::take(&mut self.printed);
            self.host.say(Stream::Out, &line);
        }
    }
}
