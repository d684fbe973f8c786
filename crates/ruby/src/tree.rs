//! A file as the evaluator walks it: smaller than the parser's tree, and free
//! of its lifetime, so that blocks can be kept for as long as they are needed.

use crate::span::Span;
use crate::value::{Name, Options};
use std::rc::Rc;

/// A piece of the file.
#[derive(Debug)]
pub(crate) struct Node {
    pub kind: Kind,
    pub span: Span,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum Kind {
    Nil,
    True,
    False,
    Me,
    Int(i64),
    Float(f64),
    Str(String),
    Symbol(Name),
    Text(Vec<Node>),
    TextSymbol(Vec<Node>),
    Regex(Vec<Node>, Options),
    Array(Vec<Node>),
    Hash(Vec<Pair>),
    Range(Option<Box<Node>>, Option<Box<Node>>, bool),
    /// `*x` among elements or arguments.
    Splat(Option<Box<Node>>),
    Local(Name, u32),
    Variable(Variable),
    Constant(Box<Path>),
    Group(u32),
    BackReference(char),
    Assign(Box<Target>, Box<Node>),
    OpAssign(Box<Target>, Operator, Box<Node>),
    MultiAssign(Box<Targets>, Box<Node>),
    Call(Box<Invocation>),
    Super(Option<Arguments>, Option<Box<Passed>>),
    Yield(Arguments),
    Sequence(Vec<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    While {
        condition: Box<Node>,
        body: Box<Node>,
        until: bool,
        body_first: bool,
    },
    For(Box<Target>, Box<Node>, Box<Node>),
    Case(Option<Box<Node>>, Vec<When>, Box<Node>),
    CaseIn(Box<Node>, Vec<In>, Option<Box<Node>>),
    /// `value in pattern`, and with true `value => pattern`.
    Matches(Box<Node>, Box<Pattern>, bool),
    Begin(Box<Begin>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Defined(Box<Node>),
    Return(Option<Box<Node>>),
    Break(Option<Box<Node>>),
    Next(Option<Box<Node>>),
    Redo,
    Retry,
    Def(Option<Box<Node>>, Rc<Function>),
    Lambda(Rc<Function>),
    Class(Box<Path>, Option<Box<Node>>, Rc<Function>),
    Module(Box<Path>, Rc<Function>),
    Singleton(Box<Node>, Rc<Function>),
    Alias(Name, Name),
    Undef(Vec<Name>),
    /// `/(?<name>…)/ =~ text`, which sets variables.
    MatchAssign(Box<Node>, Vec<(Name, u32)>),
    File,
    Line,
    /// Backticks.
    Command(Vec<Node>),
    Unsupported(&'static str),
}

/// A variable that is not local.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    Instance(Name),
    Class(Name),
    Global(Name),
}

/// A constant: `A`, `::A`, `expression::A`.
#[derive(Debug)]
pub(crate) struct Path {
    pub base: Base,
    pub name: Name,
    pub span: Span,
}

#[derive(Debug)]
pub(crate) enum Base {
    Lexical,
    Root,
    Of(Node),
}

/// An entry of a hash.
#[derive(Debug)]
pub(crate) enum Pair {
    Entry(Node, Node),
    Splat(Option<Node>),
}

/// What is assigned to.
#[derive(Debug)]
pub(crate) enum Target {
    Local(Name, u32),
    Variable(Variable),
    Constant(Path),
    Attribute {
        receiver: Node,
        name: Name,
        safe: bool,
        span: Span,
    },
    Index {
        receiver: Node,
        arguments: Arguments,
        span: Span,
    },
    Several(Targets),
    Splat(Option<Box<Target>>),
    Unsupported(&'static str, Span),
}

/// `a, (b, *c), d`.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub before: Vec<Target>,
    pub rest: Option<Option<Box<Target>>>,
    pub after: Vec<Target>,
}

#[derive(Debug, Clone)]
pub(crate) enum Operator {
    And,
    Or,
    Call(Name),
}

/// A call of a method.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub receiver: Option<Node>,
    pub name: Name,
    pub name_span: Span,
    pub arguments: Arguments,
    pub block: Option<Passed>,
    /// `&.`
    pub safe: bool,
    /// It might be a variable: neither arguments nor parentheses.
    pub bare: bool,
    /// `x.y = 1` and `x[1] = 2` have the value of what is assigned.
    pub assignment: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub positional: Vec<Node>,
    pub keywords: Vec<Pair>,
    /// `...`
    pub forward: bool,
}

/// The block of a call.
#[derive(Debug)]
pub(crate) enum Passed {
    Literal(Rc<Function>),
    /// `&expression`; `&` alone passes the method's own.
    Argument(Option<Node>),
}

#[derive(Debug)]
pub(crate) struct When {
    pub conditions: Vec<Node>,
    pub body: Node,
}

#[derive(Debug)]
pub(crate) struct In {
    pub pattern: Pattern,
    pub guard: Option<Node>,
    pub body: Node,
}

/// A pattern of `case … in`.
#[derive(Debug)]
pub(crate) enum Pattern {
    Value(Node),
    Bind(Name, u32),
    Either(Vec<Pattern>),
    Capture(Box<Pattern>, Name, u32),
    Array {
        constant: Option<Node>,
        before: Vec<Pattern>,
        /// `*rest`, with a name or without.
        rest: Option<Option<(Name, u32)>>,
        after: Vec<Pattern>,
    },
    Hash {
        constant: Option<Node>,
        entries: Vec<(Name, Option<Pattern>)>,
        rest: HashRest,
    },
    Unsupported(&'static str, Span),
}

#[derive(Debug)]
pub(crate) enum HashRest {
    Any,
    None,
    Bind(Name, u32),
}

#[derive(Debug)]
pub(crate) struct Begin {
    pub body: Node,
    pub rescues: Vec<Rescue>,
    pub otherwise: Option<Node>,
    pub ensure: Option<Node>,
}

#[derive(Debug)]
pub(crate) struct Rescue {
    pub classes: Vec<Node>,
    pub target: Option<Target>,
    pub body: Node,
}

/// What a method, a block, a class body or a file consists of.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: Name,
    pub parameters: Parameters,
    pub body: Node,
}

#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pub required: Vec<Target>,
    pub optional: Vec<(Name, Node)>,
    /// `*rest`, with a name or without.
    pub rest: Option<Option<Name>>,
    pub after: Vec<Target>,
    pub keywords: Vec<(Name, Option<Node>)>,
    /// `**rest`, with a name or without.
    pub keyword_rest: Option<Option<Name>>,
    pub block: Option<Name>,
    /// `|a,|`: takes an array apart although there is one parameter.
    pub trailing_comma: bool,
    /// `...`
    pub forward: bool,
}

impl Parameters {
    /// How many arguments by position a call may have.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let least = self.required.len() + self.after.len();
        let most = self.rest.is_none() && !self.forward;
        (least, most.then_some(least + self.optional.len()))
    }

    pub fn takes_keywords(&self) -> bool {
        !self.keywords.is_empty() || self.keyword_rest.is_some() || self.forward
    }
}
