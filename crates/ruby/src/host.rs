//! What surrounds the evaluator. It touches neither files nor environment
//! itself; all of it is asked of a [`Host`], which also gives a meaning to the
//! objects that Ruby does not know.

use crate::error::Error;
use crate::interpreter::Interpreter;
use crate::span::Span;
use crate::value::{Block, Name, Value};
use std::io;
use std::path::{Path, PathBuf};

/// An object of the host, known to the evaluator by its number only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// One call of a method.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method. An assignment is called `name=`, an index `[]` or `[]=`.
    pub name: Name,
    /// The arguments by position.
    pub args: Vec<Value>,
    /// The arguments by name, in their order; keys are mostly symbols. For the host they are never
    /// part of `args`; braces around them make them an argument.
    pub keywords: Vec<(Value, Value)>,
    /// The block.
    pub block: Option<Block>,
    /// The whole call, receiver and block included.
    pub span: Span,
    /// The name of the method alone.
    pub name_span: Span,
    /// Where the arguments by position stand; empty if that is not known of each (a splat).
    pub arg_spans: Vec<Span>,
    /// Where the values by name stand; empty if that is not known of each.
    pub keyword_spans: Vec<Span>,
}

impl Call {
    /// An argument by position.
    pub fn arg(&self, index: usize) -> Option<&Value> {
        self.args.get(index)
    }

    /// Where an argument by position stands, else the whole call.
    pub fn arg_span(&self, index: usize) -> Span {
        self.arg_spans.get(index).copied().unwrap_or(self.span)
    }

    /// Where the value of an argument by name stands, else the whole call.
    pub fn keyword_span(&self, name: &str) -> Span {
        let named = |(key, _): &(Value, Value)| matches!(key, Value::Symbol(key) if &**key == name);
        let index = self.keywords.iter().position(named);
        let span = index.and_then(|index| self.keyword_spans.get(index));
        span.copied().unwrap_or(self.span)
    }

    /// An argument by name.
    pub fn keyword(&self, name: &str) -> Option<&Value> {
        self.keywords
            .iter()
            .find(|(key, _)| matches!(key, Value::Symbol(key) if &**key == name))
            .map(|(_, value)| value)
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// What `puts`, `warn` and their like are called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `puts`, `print`, `p`, `pp`.
    Out,
    /// `warn`, `$stderr.puts`, `abort`.
    Err,
}

/// The machine that a file believes to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `RUBY_PLATFORM`, such as `x86_64-linux`.
    pub ruby: String,
    /// `RbConfig::CONFIG["host_os"]`, such as `linux-gnu`.
    pub os: String,
    /// `RbConfig::CONFIG["host_cpu"]`, such as `x86_64`.
    pub cpu: String,
    /// `Etc.nprocessors`.
    pub processors: u32,
    /// Seconds since 1970, for `Time.now`.
    pub now: i64,
    /// The folder that relative paths begin at.
    pub folder: PathBuf,
    /// The home that `~` stands for.
    pub home: PathBuf,
    /// `ARGV`.
    pub arguments: Vec<String>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            ruby: "x86_64-linux".to_owned(),
            os: "linux-gnu".to_owned(),
            cpu: "x86_64".to_owned(),
            processors: 2,
            now: 1_700_000_000,
            folder: PathBuf::from("/"),
            home: PathBuf::from("/root"),
            arguments: Vec::new(),
        }
    }
}

/// The surroundings of an evaluation.
///
/// Everything is `&self`, because a call of the host may run a block, which calls the host again:
/// what changes lives in a `RefCell` that is not borrowed while Ruby runs.
pub trait Host {
    /// The bytes of a file.
    ///
    /// # Errors
    /// As the operating system says; a file of more than `limit` bytes is one, too.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// What stands at a path, links followed; `None` if nothing does.
    fn kind(&self, path: &Path) -> Option<Kind>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// The whole environment.
    fn environment(&self) -> Vec<(String, String)>;

    /// The machine.
    fn platform(&self) -> Platform;

    /// A constant that Ruby does not know, such as `Vagrant`. Asked before "uninitialized constant" is
    /// raised. A constant below one is a call: `Vagrant::VERSION` is `VERSION` without arguments.
    fn constant(&self, name: &str) -> Option<Value>;

    /// A call of an object of the host. [`Interpreter::undefined`] is what to answer for a method
    /// that it does not have, [`Interpreter::universal`] serves what every object can do.
    ///
    /// # Errors
    /// Whatever Ruby shall raise, or what a block did.
    fn send(
        &self,
        ruby: &mut Interpreter<'_>,
        receiver: Handle,
        call: Call,
    ) -> Result<Value, Error>;

    /// How an object of the host names itself in messages, such as `Vagrant`.
    fn describe(&self, receiver: Handle) -> String {
        format!("#<Foreign {}>", receiver.0)
    }

    /// Whether `respond_to?` is true.
    fn responds(&self, _receiver: Handle, _name: &str) -> bool {
        false
    }

    /// A method called on nothing that Ruby does not know, such as a helper that the host offers at the
    /// top level. `None` if the host knows none either.
    fn function(&self, _ruby: &mut Interpreter<'_>, _call: &Call) -> Option<Result<Value, Error>> {
        None
    }

    /// What a command in backticks prints, for a host that knows without running it. `None` refuses it.
    fn command(&self, _line: &str) -> Option<String> {
        None
    }

    /// Whether what would change a file is left out with a warning, instead of being refused. Either
    /// way nothing is written.
    fn ignores_writes(&self) -> bool {
        false
    }

    /// Whether `require` of a library of this name has nothing to do, because the host is that library.
    fn provides(&self, _library: &str) -> bool {
        false
    }

    /// A line that the file prints, without its end.
    fn say(&self, _stream: Stream, _line: &str) {}
}
