//! Making errors, and turning them into problems.

use super::Interpreter;
use crate::error::{Error, Eval, Fatal, Flow, Problem, Raised, Severity, did_you_mean, suggestion};
use crate::host::{Call, Handle};
use crate::library::inspect::plain;
use crate::span::Span;
use crate::value::{Name, Value};

/// Where exceptions keep their message.
pub(crate) const MESSAGE: &str = "@__message";

pub(crate) fn set_message(value: &Value, message: String) {
    if let Value::Object(object) = value {
        let mut variables = object.variables.borrow_mut();
        variables.insert(Name::from(MESSAGE), Value::text(message));
    }
}

impl Interpreter<'_> {
    /// An exception of a class such as `ArgumentError`, raised where the files are at. `rescue` may
    /// catch it.
    pub fn raise(&mut self, class: &str, message: impl Into<String>) -> Error {
        self.raise_with(class, message, None)
    }

    /// The same, with a hint.
    pub fn raise_with(
        &mut self,
        class: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Error {
        let class = self
            .classes
            .constant(class)
            .unwrap_or_else(|| self.classes.standard_error.clone());
        let value = self.instance(class);
        set_message(&value, message.into());
        Flow::Raise(Raised {
            value,
            span: self.here(),
            hint,
        })
        .into()
    }

    /// An end of the evaluation that no `rescue` catches. The place is `span`, or else where the files
    /// are at.
    pub fn fail(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
        span: Option<Span>,
    ) -> Error {
        Flow::Fatal(Fatal {
            code,
            message: message.into(),
            hint,
            span: span.or_else(|| self.here()),
        })
        .into()
    }

    /// What would act outside of the evaluation is refused by name.
    pub fn refuse(&mut self, what: &str) -> Error {
        let what = if what.starts_with('`') {
            what.to_owned()
        } else {
            format!("`{what}`")
        };
        let message = format!("{what} is refused: reading a file runs, writes and fetches nothing");
        self.fail("refused", message, None, None)
    }

    /// The error for a construct that is not supported.
    pub fn unsupported(&mut self, what: &str, span: Option<Span>) -> Error {
        let message = format!("{what} is not supported here");
        self.fail("unsupported", message, None, span)
    }

    /// The error for a method that an object of the host does not have; `known` are those it has.
    pub fn undefined(&mut self, receiver: Handle, call: &Call, known: &[&str]) -> Error {
        let name = self.host.describe(receiver);
        let hint = suggestion(did_you_mean(&call.name, known.iter().copied()));
        let message = format!("undefined method `{}' for {name}", call.name);
        self.raise_with("NoMethodError", message, hint)
    }

    pub(crate) fn no_method(&mut self, receiver: &Value, name: &str) -> Error {
        let mut names = self.class_of(receiver).method_names();
        if let Value::Class(class) = receiver {
            let classes = class.ancestors();
            let metas = classes
                .iter()
                .filter_map(|class| class.meta.borrow().clone());
            names.extend(metas.flat_map(|meta| meta.method_names()));
        }
        let hint = suggestion(did_you_mean(name, names.iter().map(|name| &**name)));
        let message = format!("undefined method `{name}' for {}", self.called(receiver));
        self.raise_with("NoMethodError", message, hint)
    }

    pub(crate) fn no_name(&mut self, name: &str, me: &Value, known: &[Name]) -> Error {
        let mut names = self.class_of(me).method_names();
        names.extend_from_slice(known);
        let hint = suggestion(did_you_mean(name, names.iter().map(|name| &**name)));
        let me = self.called(me);
        let message = format!("undefined local variable or method `{name}' for {me}");
        self.raise_with("NameError", message, hint)
    }

    /// How a value is called in such messages.
    pub(crate) fn called(&mut self, value: &Value) -> String {
        match value {
            Value::Nil => "nil".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Class(class) if class.is_module => format!("module {}", class.title()),
            Value::Class(class) => format!("class {}", class.title()),
            Value::Foreign(handle) => self.host.describe(*handle),
            value if value.is_same(&self.main) => "main:Object".to_owned(),
            value => format!("an instance of {}", self.class_of(value).title()),
        }
    }

    pub(crate) fn wrong_count(&mut self, given: usize, expected: &str) -> Error {
        let message = format!("wrong number of arguments (given {given}, expected {expected})");
        self.raise("ArgumentError", message)
    }

    pub(crate) fn frozen(&mut self, value: &Value) -> Error {
        let class = self.class_of(value).title();
        let message = format!("can't modify frozen {class}: {}", plain(value));
        self.raise("FrozenError", message)
    }

    pub(crate) fn no_conversion(&mut self, value: &Value, into: &str) -> Error {
        let name = match value {
            Value::Nil | Value::Bool(_) => plain(value),
            value => self.class_of(value).title(),
        };
        let message = match value {
            Value::Nil if !["String", "Array", "Hash"].contains(&into) => {
                format!("no implicit conversion from nil to {}", into.to_lowercase())
            }
            _ => format!("no implicit conversion of {name} into {into}"),
        };
        self.raise("TypeError", message)
    }

    /// Notes an error as a problem. An `exit` without failure is none.
    pub fn report(&mut self, error: Error) {
        if let Some(problem) = self.problem(*error.0) {
            self.problems.push(problem);
        }
    }

    /// Notes a warning, at `span` or where the files are at.
    pub fn warn(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
        span: Option<Span>,
    ) {
        let place = span.or_else(|| self.here());
        let problem = Problem {
            severity: Severity::Warning,
            code,
            message: message.into(),
            hint,
            place: place.map(|span| self.sources.place(span)),
        };
        self.problems.push(problem);
    }

    fn problem(&mut self, flow: Flow) -> Option<Problem> {
        let (code, message, hint, span) = match flow {
            Flow::Raise(raised) => {
                let message = self.exception_line(&raised.value);
                ("ruby", message, raised.hint, raised.span)
            }
            Flow::Fatal(fatal) => (fatal.code, fatal.message, fatal.hint, fatal.span),
            Flow::Exit { status: 0 } => return None,
            Flow::Exit { status } => {
                let message = format!("The file ended by itself (status {status})");
                ("exit", message, None, self.here())
            }
            Flow::Throw { tag, .. } => {
                let message = format!("uncaught throw {} (UncaughtThrowError)", plain(&tag));
                ("ruby", message, None, self.here())
            }
            Flow::Break { .. } | Flow::Next(_) | Flow::Return { .. } | Flow::Retry => {
                let message = "unexpected jump out of a block (LocalJumpError)".to_owned();
                ("ruby", message, None, self.here())
            }
        };
        Some(Problem {
            severity: Severity::Error,
            code,
            message,
            hint,
            place: span.map(|span| self.sources.place(span)),
        })
    }

    /// "message (Class)", as Ruby ends with. Whoever used up the limits may still say so.
    fn exception_line(&mut self, value: &Value) -> String {
        let class = self.class_of(value).title();
        let used = std::mem::take(&mut self.used);
        let message = self.message_of(value).unwrap_or_default();
        self.used = used;
        match &*class {
            _ if message.is_empty() => class,
            "RuntimeError" => message,
            _ => format!("{message} ({class})"),
        }
    }

    fn message_of(&mut self, value: &Value) -> Eval<String> {
        let message = self.send(value, "message", Vec::new())?;
        self.to_s(&message)
    }
}
