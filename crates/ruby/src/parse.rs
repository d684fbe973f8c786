//! From text to the evaluator's tree. The grammar is prism's, Ruby's own
//! parser; here its tree becomes ours, and what the evaluator cannot do becomes
//! a node that says so when it is reached.

mod assignments;
mod blocks;
mod calls;
mod control;
mod definitions;
mod literals;
mod patterns;

use crate::limits::NESTING;
use crate::span::{FileId, Span};
use crate::tree::{Function, Kind, Node, Parameters};
use crate::value::Name;
use ruby_prism::{ConstantId, Location, Node as Prism, NodeList, StatementsNode};
use std::rc::Rc;

/// A mistake of syntax.
pub(crate) struct SyntaxError {
    pub message: String,
    pub span: Span,
}

/// The tree of a text, or all mistakes in it. `locals` are variables that exist already.
pub(crate) fn parse(
    file: FileId,
    text: &str,
    locals: &[Name],
) -> Result<Rc<Function>, Vec<SyntaxError>> {
    if let Some(error) = too_deep(file, text) {
        return Err(vec![error]);
    }
    let scope = ruby_prism::Scope::default()
        .locals(locals.iter().map(|name| name.as_bytes().to_vec()).collect());
    let scopes = if locals.is_empty() {
        vec![]
    } else {
        vec![scope]
    };
    let options = ruby_prism::Options::default().scopes(scopes).build();
    let parsed = ruby_prism::parse_with_options(text.as_bytes(), &options);
    let lowering = Lowering {
        file,
        text,
        depth: 0.into(),
        too_deep: None.into(),
    };
    let errors: Vec<SyntaxError> = parsed
        .errors()
        .map(|error| SyntaxError {
            message: String::from_utf8_lossy(error.message()).into_owned(),
            span: lowering.span(&error.location()),
        })
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let body = lowering.node(&parsed.node());
    if let Some(span) = lowering.too_deep.take() {
        return Err(vec![nesting_error(span)]);
    }
    Ok(Rc::new(Function {
        name: Name::from("<main>"),
        parameters: Parameters::default(),
        body,
    }))
}

fn nesting_error(span: Span) -> SyntaxError {
    SyntaxError {
        message: format!("nested more than {NESTING} levels deep"),
        span,
    }
}

/// Finds what the parser would need too much stack or time for: brackets nested in thousands, and the
/// same sign or word thousands of times in a row. It looks at strings, too, where that is as rare.
fn too_deep(file: FileId, text: &str) -> Option<SyntaxError> {
    let mut depth = 0_usize;
    let mut run = 0_usize;
    let mut before = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let again = byte == before && byte.is_ascii_punctuation();
        run = if again || is_prefix(byte) { run + 1 } else { 0 };
        before = byte;
        if depth.max(run) > 20 * NESTING {
            return Some(nesting_error(span_at(file, at)));
        }
    }
    let mut run = 0_usize;
    let mut before = "";
    for word in text.split_ascii_whitespace() {
        let prefix = matches!(word, "not" | "defined?") || word.bytes().all(is_prefix);
        run = if prefix || word == before { run + 1 } else { 0 };
        before = word;
        if run > 10 * NESTING {
            let at = word.as_ptr() as usize - text.as_ptr() as usize;
            return Some(nesting_error(span_at(file, at)));
        }
    }
    None
}

/// Signs that may stand before an operand.
fn is_prefix(byte: u8) -> bool {
    b"!-~+*&".contains(&byte)
}

fn span_at(file: FileId, at: usize) -> Span {
    let at = u32::try_from(at).unwrap_or(u32::MAX - 1);
    Span {
        file,
        start: at,
        end: at + 1,
    }
}

/// What all parts of the lowering share.
struct Lowering<'t> {
    file: FileId,
    text: &'t str,
    depth: std::cell::Cell<usize>,
    too_deep: std::cell::Cell<Option<Span>>,
}

impl Lowering<'_> {
    fn span(&self, location: &Location<'_>) -> Span {
        let length = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: location.start().min(length),
            end: location.end().min(length),
        }
    }

    fn name(&self, id: &ConstantId<'_>) -> Name {
        Name::from(String::from_utf8_lossy(id.as_slice()).as_ref())
    }

    /// One node, which may be any.
    fn node(&self, prism: &Prism<'_>) -> Node {
        let span = self.span(&prism.location());
        let kind = self.nested(span, || self.kind(prism));
        Node {
            kind: kind.unwrap_or(Kind::Nil),
            span,
        }
    }

    /// Goes one level down; `None` where that is too deep, which is noted.
    fn nested<T>(&self, span: Span, work: impl FnOnce() -> T) -> Option<T> {
        if self.depth.get() >= NESTING {
            self.too_deep.set(Some(span));
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        Some(result)
    }

    fn kind(&self, prism: &Prism<'_>) -> Kind {
        self.literal(prism)
            .or_else(|| self.assignment(prism))
            .or_else(|| self.calling(prism))
            .or_else(|| self.controlling(prism))
            .or_else(|| self.defining(prism))
            .or_else(|| self.matching(prism))
            .unwrap_or_else(|| Kind::Unsupported(unsupported(prism)))
    }

    fn boxed(&self, prism: &Prism<'_>) -> Box<Node> {
        Box::new(self.node(prism))
    }

    fn nodes(&self, list: &NodeList<'_>) -> Vec<Node> {
        list.iter().map(|node| self.node(&node)).collect()
    }

    /// Statements in a row; `around` is the place if there are none.
    fn statements(&self, statements: Option<StatementsNode<'_>>, around: Span) -> Node {
        match statements {
            Some(statements) => self.sequence(&statements.body(), around),
            None => Node {
                kind: Kind::Nil,
                span: around,
            },
        }
    }

    fn sequence(&self, list: &NodeList<'_>, span: Span) -> Node {
        let mut nodes = self.nodes(list);
        match nodes.len() {
            1 => nodes.remove(0),
            _ => Node {
                kind: Kind::Sequence(nodes),
                span,
            },
        }
    }

    fn body(&self, body: Option<Prism<'_>>, around: Span) -> Node {
        match body {
            Some(body) => self.node(&body),
            None => Node {
                kind: Kind::Nil,
                span: around,
            },
        }
    }
}

/// How a construct is called that the evaluator does not know.
fn unsupported(prism: &Prism<'_>) -> &'static str {
    match prism {
        Prism::FlipFlopNode { .. } => "a flip-flop",
        Prism::ImaginaryNode { .. } => "an imaginary number",
        Prism::RationalNode { .. } => "a rational number",
        Prism::MatchLastLineNode { .. } | Prism::InterpolatedMatchLastLineNode { .. } => {
            "a regular expression as a condition"
        }
        Prism::PreExecutionNode { .. } => "BEGIN",
        Prism::PostExecutionNode { .. } => "END",
        Prism::AliasGlobalVariableNode { .. } => "alias of a global variable",
        _ => "this construct",
    }
}
