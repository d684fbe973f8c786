//! Why an evaluation stops: as a value that travels up through the evaluator
//! ([`Error`]), and as what is shown in the end ([`Problem`]).

use crate::span::{Place, Span};
use crate::value::Value;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The evaluation stopped there, or could not begin.
    Error,
    /// It went on.
    Warning,
}

/// Something to show, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A short stable word: `syntax`, `ruby` (an exception), `refused`, `unsupported`, `limit`, or one
    /// of the host's.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Where; `None` if no text was read.
    pub place: Option<Place>,
}

/// What leaves an evaluation early. Opaque: a host passes it on with `?`, makes one with
/// [`Interpreter::raise`](crate::Interpreter::raise) or [`refuse`](crate::Interpreter::refuse), and
/// hands it to [`Interpreter::report`](crate::Interpreter::report).
#[derive(Debug, Clone)]
pub struct Error(pub(crate) Box<Flow>);

/// The ways that control takes besides going on.
#[derive(Debug, Clone)]
pub(crate) enum Flow {
    /// An exception, which `rescue` may catch.
    Raise(Raised),
    /// What no `rescue` catches: refused, unsupported, beyond a limit.
    Fatal(Fatal),
    /// `break` out of the call that was given the block made in the frame.
    Break { tag: u64, value: Value },
    /// `next`, or the end of a block by it.
    Next(Value),
    /// `return` from the method with this frame.
    Return { frame: u64, value: Value },
    /// `throw`.
    Throw { tag: Value, value: Value },
    /// `retry` within a `rescue`.
    Retry,
    /// `exit` or `abort`.
    Exit { status: i64 },
}

/// An exception on its way.
#[derive(Debug, Clone)]
pub(crate) struct Raised {
    /// The exception's object.
    pub value: Value,
    /// Where it was raised in the user's files.
    pub span: Option<Span>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// What no `rescue` catches.
#[derive(Debug, Clone)]
pub(crate) struct Fatal {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub span: Option<Span>,
}

impl From<Flow> for Error {
    fn from(flow: Flow) -> Self {
        Self(Box::new(flow))
    }
}

impl Error {
    /// The place, for the first who knows it.
    pub(crate) fn at(mut self, place: Span) -> Self {
        match &mut *self.0 {
            Flow::Raise(Raised { span, .. }) | Flow::Fatal(Fatal { span, .. }) => {
                span.get_or_insert(place);
            }
            _ => {}
        }
        self
    }

    /// The place, whatever was known before.
    pub(crate) fn over(mut self, place: Span) -> Self {
        if let Flow::Raise(Raised { span, .. }) | Flow::Fatal(Fatal { span, .. }) = &mut *self.0 {
            *span = Some(place);
        }
        self
    }

    /// Whether it is an `exit`, which is no problem.
    pub fn is_exit(&self) -> bool {
        matches!(&*self.0, Flow::Exit { status: 0 })
    }

    /// Where it came about in the user's files.
    pub fn span(&self) -> Option<Span> {
        match &*self.0 {
            Flow::Raise(Raised { span, .. }) | Flow::Fatal(Fatal { span, .. }) => *span,
            _ => None,
        }
    }
}

/// A result within the evaluator.
pub(crate) type Eval<T = Value> = Result<T, Error>;

/// The name in `known` that `wanted` was most probably meant to be.
pub fn did_you_mean<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, name)| *likeness > 0.87 && *name != wanted)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// "Did you mean?" as Ruby puts it.
pub(crate) fn suggestion(name: Option<&str>) -> Option<String> {
    name.map(|name| format!("did you mean `{name}`?"))
}
