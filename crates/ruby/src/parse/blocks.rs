//! Blocks, lambdas and parameters.

use super::Lowering;
use crate::tree::{Function, Parameters, Target};
use crate::value::Name;
use ruby_prism::{BlockNode, LambdaNode, Node as Prism, ParametersNode};
use std::rc::Rc;

impl Lowering<'_> {
    pub(super) fn block(&self, node: &BlockNode<'_>) -> Rc<Function> {
        Rc::new(Function {
            name: Name::from("block"),
            parameters: self.block_parameters(node.parameters()),
            body: self.body(node.body(), self.span(&node.location())),
        })
    }

    pub(super) fn lambda(&self, node: &LambdaNode<'_>) -> Rc<Function> {
        Rc::new(Function {
            name: Name::from("lambda"),
            parameters: self.block_parameters(node.parameters()),
            body: self.body(node.body(), self.span(&node.location())),
        })
    }

    /// `|a, b|`, or the numbered ones, or `it`.
    fn block_parameters(&self, node: Option<Prism<'_>>) -> Parameters {
        let Some(node) = node else {
            return Parameters::default();
        };
        if let Some(named) = node.as_block_parameters_node() {
            return self.parameters(named.parameters());
        }
        let local = |name: String| Target::Local(Name::from(name), 0);
        let required = match node.as_numbered_parameters_node() {
            Some(numbered) => (1..=numbered.maximum())
                .map(|number| local(format!("_{number}")))
                .collect(),
            None => vec![local("it".to_owned())],
        };
        Parameters {
            required,
            ..Parameters::default()
        }
    }

    pub(super) fn parameters(&self, node: Option<ParametersNode<'_>>) -> Parameters {
        let mut parameters = Parameters::default();
        let Some(node) = node else { return parameters };
        let target = |prism: Prism<'_>| self.target(&prism);
        parameters.required = node.requireds().iter().map(target).collect();
        parameters.after = node.posts().iter().map(target).collect();
        for optional in &node.optionals() {
            if let Some(optional) = optional.as_optional_parameter_node() {
                let name = self.name(&optional.name());
                parameters
                    .optional
                    .push((name, self.node(&optional.value())));
            }
        }
        match node.rest() {
            Some(Prism::ImplicitRestNode { .. }) => parameters.trailing_comma = true,
            Some(rest) => {
                let rest = rest.as_rest_parameter_node().and_then(|rest| rest.name());
                parameters.rest = Some(rest.map(|name| self.name(&name)));
            }
            None => {}
        }
        self.keywords(&node, &mut parameters);
        if let Some(block) = node
            .block()
            .and_then(|block| block.as_block_parameter_node())
        {
            let name = block.name().map(|name| self.name(&name));
            parameters.block = Some(name.unwrap_or_else(|| Name::from("&")));
        }
        parameters
    }

    fn keywords(&self, node: &ParametersNode<'_>, parameters: &mut Parameters) {
        for keyword in &node.keywords() {
            if let Some(required) = keyword.as_required_keyword_parameter_node() {
                parameters
                    .keywords
                    .push((self.name(&required.name()), None));
            } else if let Some(optional) = keyword.as_optional_keyword_parameter_node() {
                let value = self.node(&optional.value());
                parameters
                    .keywords
                    .push((self.name(&optional.name()), Some(value)));
            }
        }
        match node.keyword_rest() {
            Some(Prism::ForwardingParameterNode { .. }) => parameters.forward = true,
            Some(rest) => {
                let rest = rest
                    .as_keyword_rest_parameter_node()
                    .and_then(|rest| rest.name());
                parameters.keyword_rest = Some(rest.map(|name| self.name(&name)));
            }
            None => {}
        }
    }
}
