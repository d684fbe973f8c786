//! `case … in` and its one-line relatives.

use super::Lowering;
use crate::tree::{HashRest, In, Kind, Pattern};
use crate::value::Name;
use ruby_prism::{ArrayPatternNode, HashPatternNode, InNode, Node as Prism};

impl Lowering<'_> {
    pub(super) fn matching(&self, prism: &Prism<'_>) -> Option<Kind> {
        Some(match prism {
            Prism::CaseMatchNode { .. } => {
                let node = prism.as_case_match_node()?;
                let conditions = node.conditions();
                let ins = conditions
                    .iter()
                    .filter_map(|node| Some(self.in_clause(&node.as_in_node()?)))
                    .collect();
                let span = self.span(&prism.location());
                let otherwise = node.else_clause();
                let otherwise = otherwise.map(|node| Box::new(self.otherwise(Some(node), span)));
                Kind::CaseIn(self.boxed(&node.predicate()?), ins, otherwise)
            }
            Prism::MatchPredicateNode { .. } => {
                let node = prism.as_match_predicate_node()?;
                let pattern = self.pattern(&node.pattern());
                Kind::Matches(self.boxed(&node.value()), Box::new(pattern), false)
            }
            Prism::MatchRequiredNode { .. } => {
                let node = prism.as_match_required_node()?;
                let pattern = self.pattern(&node.pattern());
                Kind::Matches(self.boxed(&node.value()), Box::new(pattern), true)
            }
            _ => return None,
        })
    }

    /// A guard arrives as an `if` around the pattern.
    fn in_clause(&self, node: &InNode<'_>) -> In {
        let span = self.span(&node.location());
        let body = self.statements(node.statements(), span);
        let pattern = node.pattern();
        let only = |statements: Option<ruby_prism::StatementsNode<'_>>| {
            statements.and_then(|statements| {
                let first = statements.body().first()?;
                Some(self.pattern(&first))
            })
        };
        if let Some(guarded) = pattern.as_if_node()
            && let Some(pattern) = only(guarded.statements())
        {
            let guard = Some(self.node(&guarded.predicate()));
            return In {
                pattern,
                guard,
                body,
            };
        }
        In {
            pattern: self.pattern(&pattern),
            guard: None,
            body,
        }
    }

    fn pattern(&self, prism: &Prism<'_>) -> Pattern {
        let span = self.span(&prism.location());
        self.nested(span, || self.pattern_of(prism))
            .flatten()
            .unwrap_or(Pattern::Unsupported("this pattern", span))
    }

    fn pattern_of(&self, prism: &Prism<'_>) -> Option<Pattern> {
        Some(match prism {
            Prism::LocalVariableTargetNode { .. } => {
                let node = prism.as_local_variable_target_node()?;
                Pattern::Bind(self.name(&node.name()), node.depth())
            }
            Prism::AlternationPatternNode { .. } => {
                let node = prism.as_alternation_pattern_node()?;
                Pattern::Either(vec![
                    self.pattern(&node.left()),
                    self.pattern(&node.right()),
                ])
            }
            Prism::CapturePatternNode { .. } => {
                let node = prism.as_capture_pattern_node()?;
                let target = node.target();
                let inner = Box::new(self.pattern(&node.value()));
                Pattern::Capture(inner, self.name(&target.name()), target.depth())
            }
            Prism::ArrayPatternNode { .. } => self.array_pattern(&prism.as_array_pattern_node()?),
            Prism::HashPatternNode { .. } => self.hash_pattern(&prism.as_hash_pattern_node()?),
            Prism::PinnedVariableNode { .. } => {
                Pattern::Value(self.node(&prism.as_pinned_variable_node()?.variable()))
            }
            Prism::PinnedExpressionNode { .. } => {
                Pattern::Value(self.node(&prism.as_pinned_expression_node()?.expression()))
            }
            Prism::ParenthesesNode { .. } => {
                let body = prism.as_parentheses_node()?.body()?;
                match body.as_statements_node() {
                    Some(statements) => self.pattern(&statements.body().first()?),
                    None => self.pattern(&body),
                }
            }
            Prism::FindPatternNode { .. } => return None,
            _ => Pattern::Value(self.node(prism)),
        })
    }

    fn array_pattern(&self, node: &ArrayPatternNode<'_>) -> Pattern {
        let all =
            |list: &ruby_prism::NodeList<'_>| list.iter().map(|node| self.pattern(&node)).collect();
        Pattern::Array {
            constant: node.constant().map(|node| self.node(&node)),
            before: all(&node.requireds()),
            rest: node.rest().map(|rest| self.splat_name(&rest)),
            after: all(&node.posts()),
        }
    }

    fn splat_name(&self, prism: &Prism<'_>) -> Option<(Name, u32)> {
        let inner = prism.as_splat_node()?.expression()?;
        let target = inner.as_local_variable_target_node()?;
        Some((self.name(&target.name()), target.depth()))
    }

    fn hash_pattern(&self, node: &HashPatternNode<'_>) -> Pattern {
        let elements = node.elements();
        let entries = elements.iter().filter_map(|pair| {
            let pair = pair.as_assoc_node()?;
            let key = pair.key();
            let key = String::from_utf8_lossy(key.as_symbol_node()?.unescaped()).into_owned();
            let value = pair.value();
            let value = match value.as_implicit_node() {
                Some(implicit) => self.pattern(&implicit.value()),
                None => self.pattern(&value),
            };
            Some((Name::from(key), Some(value)))
        });
        let entries = entries.collect();
        Pattern::Hash {
            constant: node.constant().map(|node| self.node(&node)),
            entries,
            rest: self.hash_rest(node.rest()),
        }
    }

    fn hash_rest(&self, rest: Option<Prism<'_>>) -> HashRest {
        let Some(rest) = rest else {
            return HashRest::Any;
        };
        if rest.as_no_keywords_parameter_node().is_some() {
            return HashRest::None;
        }
        let target = rest
            .as_assoc_splat_node()
            .and_then(|splat| splat.value())
            .and_then(|value| value.as_local_variable_target_node());
        match target {
            Some(target) => HashRest::Bind(self.name(&target.name()), target.depth()),
            None => HashRest::Any,
        }
    }
}
