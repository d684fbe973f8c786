//! Calls, their arguments and blocks; reading variables and constants.

use super::Lowering;
use crate::tree::{Arguments, Base, Invocation, Kind, Node, Passed, Path, Variable};
use crate::value::Name;
use ruby_prism::{ArgumentsNode, CallNode, ConstantPathNode, Node as Prism};

impl Lowering<'_> {
    pub(super) fn calling(&self, prism: &Prism<'_>) -> Option<Kind> {
        Some(match prism {
            Prism::CallNode { .. } => self.call(&prism.as_call_node()?),
            Prism::LocalVariableReadNode { .. } => {
                let node = prism.as_local_variable_read_node()?;
                Kind::Local(self.name(&node.name()), node.depth())
            }
            Prism::ItLocalVariableReadNode { .. } => Kind::Local(Name::from("it"), 0),
            Prism::InstanceVariableReadNode { .. } => {
                let name = self.name(&prism.as_instance_variable_read_node()?.name());
                Kind::Variable(Variable::Instance(name))
            }
            Prism::ClassVariableReadNode { .. } => {
                let name = self.name(&prism.as_class_variable_read_node()?.name());
                Kind::Variable(Variable::Class(name))
            }
            Prism::GlobalVariableReadNode { .. } => {
                let name = self.name(&prism.as_global_variable_read_node()?.name());
                Kind::Variable(Variable::Global(name))
            }
            Prism::NumberedReferenceReadNode { .. } => {
                Kind::Group(prism.as_numbered_reference_read_node()?.number())
            }
            Prism::BackReferenceReadNode { .. } => {
                let name = self.name(&prism.as_back_reference_read_node()?.name());
                Kind::BackReference(name.chars().last().unwrap_or('&'))
            }
            Prism::ConstantReadNode { .. } => Kind::Constant(Box::new(Path {
                base: Base::Lexical,
                name: self.name(&prism.as_constant_read_node()?.name()),
                span: self.span(&prism.location()),
            })),
            Prism::ConstantPathNode { .. } => {
                Kind::Constant(Box::new(self.path(&prism.as_constant_path_node()?)))
            }
            Prism::SuperNode { .. } => {
                let node = prism.as_super_node()?;
                let block = node.block().and_then(|block| self.passed(&block));
                Kind::Super(Some(self.arguments(node.arguments())), block.map(Box::new))
            }
            Prism::ForwardingSuperNode { .. } => {
                let block = prism.as_forwarding_super_node()?.block();
                let block = block.map(|block| Box::new(Passed::Literal(self.block(&block))));
                Kind::Super(None, block)
            }
            Prism::YieldNode { .. } => {
                Kind::Yield(self.arguments(prism.as_yield_node()?.arguments()))
            }
            Prism::MatchWriteNode { .. } => {
                let node = prism.as_match_write_node()?;
                let targets = node.targets();
                let targets = targets.iter().filter_map(|target| {
                    let target = target.as_local_variable_target_node()?;
                    Some((self.name(&target.name()), target.depth()))
                });
                let call = node.call();
                let span = self.span(&call.location());
                let kind = self.call(&call);
                Kind::MatchAssign(Box::new(Node { kind, span }), targets.collect())
            }
            _ => return None,
        })
    }

    fn call(&self, call: &CallNode<'_>) -> Kind {
        let span = self.span(&call.location());
        let name = self.name(&call.name());
        let receiver = call.receiver().map(|receiver| self.node(&receiver));
        Kind::Call(Box::new(Invocation {
            receiver,
            name,
            name_span: call.message_loc().map_or(span, |place| self.span(&place)),
            arguments: self.arguments(call.arguments()),
            block: call.block().and_then(|block| self.passed(&block)),
            safe: call.is_safe_navigation(),
            bare: call.is_variable_call(),
            assignment: call.is_attribute_write(),
        }))
    }

    pub(super) fn passed(&self, block: &Prism<'_>) -> Option<Passed> {
        if let Some(block) = block.as_block_node() {
            return Some(Passed::Literal(self.block(&block)));
        }
        let argument = block.as_block_argument_node()?;
        let expression = argument.expression().map(|node| self.node(&node));
        Some(Passed::Argument(expression))
    }

    pub(super) fn arguments(&self, node: Option<ArgumentsNode<'_>>) -> Arguments {
        let mut arguments = Arguments::default();
        let Some(node) = node else { return arguments };
        for argument in &node.arguments() {
            if let Some(keywords) = argument.as_keyword_hash_node() {
                arguments.keywords = self.pairs(&keywords.elements());
            } else if argument.as_forwarding_arguments_node().is_some() {
                arguments.forward = true;
            } else {
                arguments.positional.push(self.node(&argument));
            }
        }
        arguments
    }

    pub(super) fn path(&self, node: &ConstantPathNode<'_>) -> Path {
        Path {
            base: match node.parent() {
                Some(parent) => Base::Of(self.node(&parent)),
                None => Base::Root,
            },
            name: node
                .name()
                .map_or_else(|| Name::from(""), |name| self.name(&name)),
            span: self.span(&node.location()),
        }
    }
}
