//! Control flow: conditions, loops, `case`, `begin`.

use super::Lowering;
use crate::span::Span;
use crate::tree::{Begin, Kind, Node, Rescue, When};
use ruby_prism::{ArgumentsNode, BeginNode, ElseNode, Node as Prism, RescueNode};

impl Lowering<'_> {
    pub(super) fn controlling(&self, prism: &Prism<'_>) -> Option<Kind> {
        let span = self.span(&prism.location());
        Some(match prism {
            Prism::ProgramNode { .. } => {
                let statements = prism.as_program_node()?.statements();
                self.sequence(&statements.body(), span).kind
            }
            Prism::StatementsNode { .. } => {
                self.sequence(&prism.as_statements_node()?.body(), span)
                    .kind
            }
            Prism::ParenthesesNode { .. } => {
                let node = prism.as_parentheses_node()?;
                Kind::Sequence(vec![self.body(node.body(), span)])
            }
            Prism::IfNode { .. } => {
                let node = prism.as_if_node()?;
                let otherwise = node.subsequent();
                Kind::If(
                    self.boxed(&node.predicate()),
                    Box::new(self.statements(node.statements(), span)),
                    Box::new(self.body(otherwise, span)),
                )
            }
            Prism::UnlessNode { .. } => {
                let node = prism.as_unless_node()?;
                Kind::If(
                    self.boxed(&node.predicate()),
                    Box::new(self.otherwise(node.else_clause(), span)),
                    Box::new(self.statements(node.statements(), span)),
                )
            }
            Prism::ElseNode { .. } => {
                let statements = prism.as_else_node()?.statements();
                self.statements(statements, span).kind
            }
            Prism::WhileNode { .. } => {
                let node = prism.as_while_node()?;
                Kind::While {
                    condition: self.boxed(&node.predicate()),
                    body: Box::new(self.statements(node.statements(), span)),
                    until: false,
                    body_first: node.is_begin_modifier(),
                }
            }
            Prism::UntilNode { .. } => {
                let node = prism.as_until_node()?;
                Kind::While {
                    condition: self.boxed(&node.predicate()),
                    body: Box::new(self.statements(node.statements(), span)),
                    until: true,
                    body_first: node.is_begin_modifier(),
                }
            }
            Prism::ForNode { .. } => {
                let node = prism.as_for_node()?;
                Kind::For(
                    Box::new(self.target(&node.index())),
                    self.boxed(&node.collection()),
                    Box::new(self.statements(node.statements(), span)),
                )
            }
            Prism::CaseNode { .. } => self.case(prism, span)?,
            Prism::BeginNode { .. } => self.begin(&prism.as_begin_node()?, span),
            Prism::RescueModifierNode { .. } => {
                let node = prism.as_rescue_modifier_node()?;
                Kind::Begin(Box::new(Begin {
                    body: self.node(&node.expression()),
                    rescues: vec![Rescue {
                        classes: Vec::new(),
                        target: None,
                        body: self.node(&node.rescue_expression()),
                    }],
                    otherwise: None,
                    ensure: None,
                }))
            }
            Prism::AndNode { .. } => {
                let node = prism.as_and_node()?;
                Kind::And(self.boxed(&node.left()), self.boxed(&node.right()))
            }
            Prism::OrNode { .. } => {
                let node = prism.as_or_node()?;
                Kind::Or(self.boxed(&node.left()), self.boxed(&node.right()))
            }
            Prism::DefinedNode { .. } => {
                Kind::Defined(self.boxed(&prism.as_defined_node()?.value()))
            }
            Prism::ReturnNode { .. } => {
                Kind::Return(self.leaving(prism.as_return_node()?.arguments(), span))
            }
            Prism::BreakNode { .. } => {
                Kind::Break(self.leaving(prism.as_break_node()?.arguments(), span))
            }
            Prism::NextNode { .. } => {
                Kind::Next(self.leaving(prism.as_next_node()?.arguments(), span))
            }
            Prism::RedoNode { .. } => Kind::Redo,
            Prism::RetryNode { .. } => Kind::Retry,
            _ => return None,
        })
    }

    /// The value of `return`, `break` or `next`: several become an array.
    fn leaving(&self, arguments: Option<ArgumentsNode<'_>>, span: Span) -> Option<Box<Node>> {
        let mut nodes = self.nodes(&arguments?.arguments());
        let alone = nodes.len() == 1 && !matches!(nodes[0].kind, Kind::Splat(_));
        let node = if alone {
            nodes.remove(0)
        } else {
            Node {
                kind: Kind::Array(nodes),
                span,
            }
        };
        Some(Box::new(node))
    }

    pub(super) fn otherwise(&self, node: Option<ElseNode<'_>>, span: Span) -> Node {
        self.statements(node.and_then(|node| node.statements()), span)
    }

    fn case(&self, prism: &Prism<'_>, span: Span) -> Option<Kind> {
        let node = prism.as_case_node()?;
        let conditions = node.conditions();
        let whens = conditions.iter().filter_map(|when| {
            let when = when.as_when_node()?;
            let span = self.span(&when.location());
            Some(When {
                conditions: self.nodes(&when.conditions()),
                body: self.statements(when.statements(), span),
            })
        });
        Some(Kind::Case(
            node.predicate().map(|node| self.boxed(&node)),
            whens.collect(),
            Box::new(self.otherwise(node.else_clause(), span)),
        ))
    }

    fn begin(&self, node: &BeginNode<'_>, span: Span) -> Kind {
        let body = self.statements(node.statements(), span);
        let mut rescues = Vec::new();
        let mut next = node.rescue_clause();
        while let Some(rescue) = next {
            rescues.push(self.rescue(&rescue));
            next = rescue.subsequent();
        }
        let otherwise = node.else_clause();
        let ensure = node.ensure_clause();
        if rescues.is_empty() && otherwise.is_none() && ensure.is_none() {
            return Kind::Sequence(vec![body]);
        }
        Kind::Begin(Box::new(Begin {
            body,
            rescues,
            otherwise: otherwise.map(|node| self.otherwise(Some(node), span)),
            ensure: ensure.map(|node| self.statements(node.statements(), span)),
        }))
    }

    fn rescue(&self, node: &RescueNode<'_>) -> Rescue {
        let span = self.span(&node.location());
        Rescue {
            classes: self.nodes(&node.exceptions()),
            target: node.reference().map(|target| self.target(&target)),
            body: self.statements(node.statements(), span),
        }
    }
}
