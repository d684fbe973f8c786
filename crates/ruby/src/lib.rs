//! A small, bounded, safe evaluator of the Ruby that configuration files are written in.
//!
//! ```text
//! text ─parse (prism)─► tree ─eval─► calls of the Host, values, problems
//! ```
//!
//! It knows nothing of what is configured. Objects that Ruby does not know belong to a [`Host`],
//! which gives them a [`Handle`] and answers what is called on them. Nothing is executed, written or
//! fetched, and nothing is read but by the host: what would do so is refused by name, in a way that
//! `rescue` cannot hide. Steps, calls within calls, memory and files are [limited](Limits).
//!
//! ```
//! use nestlab_ruby::{Call, Error, Handle, Host, Interpreter, Kind, Limits, Platform, Value};
//! # use std::{cell::RefCell, io, path::Path};
//! struct Config(RefCell<Vec<String>>);
//!
//! impl Host for Config {
//!     fn constant(&self, name: &str) -> Option<Value> {
//!         (name == "Config").then_some(Value::Foreign(Handle(0)))
//!     }
//!     fn send(&self, ruby: &mut Interpreter<'_>, me: Handle, call: Call) -> Result<Value, Error> {
//!         match &*call.name {
//!             // `Config.configure { |c| … }` runs the block with an object of ours.
//!             "configure" => match &call.block {
//!                 Some(block) => ruby.call_block(block, vec![Value::Foreign(Handle(1))]),
//!                 None => Err(ruby.raise("ArgumentError", "no block given")),
//!             },
//!             // `c.name = "a"` is a call of `name=`.
//!             "name=" => {
//!                 let name = ruby.to_s(&call.args[0])?;
//!                 self.0.borrow_mut().push(name);
//!                 Ok(call.args[0].clone())
//!             }
//!             _ => ruby.universal(me, call),
//!         }
//!     }
//!     # fn kind(&self, path: &Path) -> Option<Kind> { None }
//!     # fn list(&self, path: &Path) -> io::Result<Vec<String>> { Ok(Vec::new()) }
//!     # fn environment(&self) -> Vec<(String, String)> { Vec::new() }
//!     # fn platform(&self) -> Platform { Platform::default() }
//!     fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
//!         Ok(b"Config.configure { |c| c.name = \"web-#{1 + 1}\" }".to_vec())
//!     }
//! }
//!
//! let host = Config(RefCell::default());
//! let outcome = nestlab_ruby::run(&host, Limits::default(), |ruby| {
//!     if let Err(error) = ruby.evaluate_file(Path::new("/lab/file")) {
//!         ruby.report(error);
//!     }
//!     // Blocks that were kept are called here, before the interpreter ends.
//! });
//! assert_eq!(host.0.take(), ["web-2"]);
//! assert!(outcome.problems.is_empty());
//! ```
//!
//! # For who writes a host
//! - **Blocks** ([`Call::block`]) may be kept in a `RefCell` and called later, within `run`'s closure.
//!   Each call of one sees the variables of its place. Never hold a borrow while Ruby runs.
//! - **Errors** travel by `?`. [`Interpreter::raise`] makes one that `rescue` catches,
//!   [`Interpreter::fail`] one that it does not; both get the place of the call that is under way.
//!   [`Interpreter::report`] turns one into a [`Problem`], after which one may go on with what is
//!   left. [`Interpreter::warn`] adds a warning.
//! - **Places** are [`Span`]s; [`Interpreter::sources`] turns them into lines and columns, and
//!   [`Outcome::sources`] has every text that was read.
//! - **What a file wants to do**: [`Host::command`] may know what a command in backticks prints,
//!   [`Host::ignores_writes`] turns what would change files into warnings, [`Host::provides`] says which
//!   libraries need not be loaded, [`Host::function`] adds functions. All else is refused.
//! - **Values** are read by `match`, or [`Value::as_text`], [`Value::as_items`],
//!   [`Value::as_entries`], [`Interpreter::to_s`], [`Interpreter::inspect`]; [`Interpreter::send`]
//!   calls any method. They die with the interpreter: take what is needed out of them before.

mod class;
mod env;
mod error;
mod eval;
mod host;
mod interpreter;
mod library;
mod limits;
mod parse;
mod span;
mod tree;
mod value;

pub use class::Class;
pub use error::{Error, Problem, Severity, did_you_mean};
pub use host::{Call, Handle, Host, Kind, Platform, Stream};
pub use interpreter::{Interpreter, Outcome, run};
pub use limits::Limits;
pub use span::{FileId, Place, Source, Sources, Span};
pub use value::{Array, Block, Bound, Hash, Match, Name, Object, Pattern, Proc, Range, Str, Value};
