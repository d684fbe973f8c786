//! Literals: numbers, strings, symbols, arrays, hashes, ranges.

use super::Lowering;
use crate::tree::{Kind, Node, Pair};
use crate::value::{Name, Options};
use ruby_prism::{Integer, Node as Prism, NodeList};

impl Lowering<'_> {
    pub(super) fn literal(&self, prism: &Prism<'_>) -> Option<Kind> {
        Some(match prism {
            Prism::NilNode { .. } => Kind::Nil,
            Prism::TrueNode { .. } => Kind::True,
            Prism::FalseNode { .. } => Kind::False,
            Prism::SelfNode { .. } => Kind::Me,
            Prism::IntegerNode { .. } => integer(&prism.as_integer_node()?.value()),
            Prism::FloatNode { .. } => Kind::Float(prism.as_float_node()?.value()),
            Prism::StringNode { .. } => Kind::Str(lossy(prism.as_string_node()?.unescaped())),
            Prism::SymbolNode { .. } => {
                Kind::Symbol(Name::from(lossy(prism.as_symbol_node()?.unescaped())))
            }
            Prism::InterpolatedStringNode { .. } => {
                Kind::Text(self.parts(&prism.as_interpolated_string_node()?.parts()))
            }
            Prism::InterpolatedSymbolNode { .. } => {
                Kind::TextSymbol(self.parts(&prism.as_interpolated_symbol_node()?.parts()))
            }
            Prism::XStringNode { .. } => {
                let span = self.span(&prism.location());
                let kind = Kind::Str(lossy(prism.as_x_string_node()?.unescaped()));
                Kind::Command(vec![Node { kind, span }])
            }
            Prism::InterpolatedXStringNode { .. } => {
                Kind::Command(self.parts(&prism.as_interpolated_x_string_node()?.parts()))
            }
            Prism::RegularExpressionNode { .. } => self.regex(prism)?,
            Prism::InterpolatedRegularExpressionNode { .. } => self.interpolated_regex(prism)?,
            Prism::ArrayNode { .. } => {
                Kind::Array(self.elements(&prism.as_array_node()?.elements()))
            }
            Prism::HashNode { .. } => Kind::Hash(self.pairs(&prism.as_hash_node()?.elements())),
            Prism::KeywordHashNode { .. } => {
                Kind::Hash(self.pairs(&prism.as_keyword_hash_node()?.elements()))
            }
            Prism::RangeNode { .. } => {
                let range = prism.as_range_node()?;
                let end = |node: Option<Prism<'_>>| node.map(|node| self.boxed(&node));
                Kind::Range(
                    end(range.left()),
                    end(range.right()),
                    range.is_exclude_end(),
                )
            }
            Prism::SplatNode { .. } => {
                let inner = prism.as_splat_node()?.expression();
                Kind::Splat(inner.map(|node| self.boxed(&node)))
            }
            Prism::ImplicitNode { .. } => self.node(&prism.as_implicit_node()?.value()).kind,
            Prism::SourceFileNode { .. } => Kind::File,
            Prism::SourceLineNode { .. } => Kind::Line,
            Prism::SourceEncodingNode { .. } => Kind::Str("UTF-8".to_owned()),
            _ => return None,
        })
    }

    fn regex(&self, prism: &Prism<'_>) -> Option<Kind> {
        let regex = prism.as_regular_expression_node()?;
        let options = Options {
            ignore_case: regex.is_ignore_case(),
            extended: regex.is_extended(),
            multi_line: regex.is_multi_line(),
        };
        let span = self.span(&prism.location());
        let kind = Kind::Str(lossy(regex.unescaped()));
        Some(Kind::Regex(vec![Node { kind, span }], options))
    }

    fn interpolated_regex(&self, prism: &Prism<'_>) -> Option<Kind> {
        let regex = prism.as_interpolated_regular_expression_node()?;
        let options = Options {
            ignore_case: regex.is_ignore_case(),
            extended: regex.is_extended(),
            multi_line: regex.is_multi_line(),
        };
        Some(Kind::Regex(self.parts(&regex.parts()), options))
    }

    /// The pieces of an interpolated string.
    pub(super) fn parts(&self, list: &NodeList<'_>) -> Vec<Node> {
        list.iter().map(|part| self.part(&part)).collect()
    }

    fn part(&self, prism: &Prism<'_>) -> Node {
        let span = self.span(&prism.location());
        if let Some(embedded) = prism.as_embedded_statements_node() {
            return self.statements(embedded.statements(), span);
        }
        match prism.as_embedded_variable_node() {
            Some(embedded) => self.node(&embedded.variable()),
            None => self.node(prism),
        }
    }

    /// The elements of an array.
    fn elements(&self, list: &NodeList<'_>) -> Vec<Node> {
        self.nodes(list)
    }

    pub(super) fn pairs(&self, list: &NodeList<'_>) -> Vec<Pair> {
        list.iter().filter_map(|pair| self.pair(&pair)).collect()
    }

    fn pair(&self, prism: &Prism<'_>) -> Option<Pair> {
        if let Some(splat) = prism.as_assoc_splat_node() {
            return Some(Pair::Splat(splat.value().map(|node| self.node(&node))));
        }
        let pair = prism.as_assoc_node()?;
        Some(Pair::Entry(
            self.node(&pair.key()),
            self.node(&pair.value()),
        ))
    }
}

fn integer(value: &Integer<'_>) -> Kind {
    let (negative, digits) = value.to_u32_digits();
    let mut sum: i128 = 0;
    for digit in digits.iter().rev() {
        sum = match sum.checked_mul(1 << 32) {
            Some(sum) => sum + i128::from(*digit),
            None => return Kind::Unsupported("a number beyond 64 bits"),
        };
    }
    let sum = if negative { -sum } else { sum };
    i64::try_from(sum).map_or(Kind::Unsupported("a number beyond 64 bits"), Kind::Int)
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
