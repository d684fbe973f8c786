//! Assignments of every kind, and what they assign to.

use super::Lowering;
use crate::tree::{Base, Kind, Operator, Path, Target, Targets, Variable};
use ruby_prism::{ArgumentsNode, ConstantId, Node as Prism, NodeList};

impl Lowering<'_> {
    pub(super) fn assignment(&self, prism: &Prism<'_>) -> Option<Kind> {
        self.plain(prism)
            .or_else(|| self.or_write(prism))
            .or_else(|| self.and_write(prism))
            .or_else(|| self.operator_write(prism))
    }

    /// `target = value`
    fn plain(&self, prism: &Prism<'_>) -> Option<Kind> {
        let (target, value) = match prism {
            Prism::LocalVariableWriteNode { .. } => {
                let node = prism.as_local_variable_write_node()?;
                let target = Target::Local(self.name(&node.name()), node.depth());
                (target, node.value())
            }
            Prism::InstanceVariableWriteNode { .. } => {
                let node = prism.as_instance_variable_write_node()?;
                (self.instance(&node.name()), node.value())
            }
            Prism::ClassVariableWriteNode { .. } => {
                let node = prism.as_class_variable_write_node()?;
                (self.class_variable(&node.name()), node.value())
            }
            Prism::GlobalVariableWriteNode { .. } => {
                let node = prism.as_global_variable_write_node()?;
                (self.global(&node.name()), node.value())
            }
            Prism::ConstantWriteNode { .. } => {
                let node = prism.as_constant_write_node()?;
                (self.constant(&node.name(), prism), node.value())
            }
            Prism::ConstantPathWriteNode { .. } => {
                let node = prism.as_constant_path_write_node()?;
                (Target::Constant(self.path(&node.target())), node.value())
            }
            Prism::ShareableConstantNode { .. } => {
                return self.assignment(&prism.as_shareable_constant_node()?.write());
            }
            Prism::MultiWriteNode { .. } => {
                let node = prism.as_multi_write_node()?;
                let targets = self.targets(&node.lefts(), node.rest(), &node.rights());
                let value = self.boxed(&node.value());
                return Some(Kind::MultiAssign(Box::new(targets), value));
            }
            _ => return None,
        };
        Some(Kind::Assign(Box::new(target), self.boxed(&value)))
    }

    /// `target ||= value`
    fn or_write(&self, prism: &Prism<'_>) -> Option<Kind> {
        let (target, value) = match prism {
            Prism::LocalVariableOrWriteNode { .. } => {
                let node = prism.as_local_variable_or_write_node()?;
                let target = Target::Local(self.name(&node.name()), node.depth());
                (target, node.value())
            }
            Prism::InstanceVariableOrWriteNode { .. } => {
                let node = prism.as_instance_variable_or_write_node()?;
                (self.instance(&node.name()), node.value())
            }
            Prism::ClassVariableOrWriteNode { .. } => {
                let node = prism.as_class_variable_or_write_node()?;
                (self.class_variable(&node.name()), node.value())
            }
            Prism::GlobalVariableOrWriteNode { .. } => {
                let node = prism.as_global_variable_or_write_node()?;
                (self.global(&node.name()), node.value())
            }
            Prism::ConstantOrWriteNode { .. } => {
                let node = prism.as_constant_or_write_node()?;
                (self.constant(&node.name(), prism), node.value())
            }
            Prism::ConstantPathOrWriteNode { .. } => {
                let node = prism.as_constant_path_or_write_node()?;
                (Target::Constant(self.path(&node.target())), node.value())
            }
            Prism::CallOrWriteNode { .. } => {
                let node = prism.as_call_or_write_node()?;
                let safe = node.is_safe_navigation();
                let target = self.attribute(node.receiver(), &node.read_name(), safe, prism);
                (target, node.value())
            }
            Prism::IndexOrWriteNode { .. } => {
                let node = prism.as_index_or_write_node()?;
                let target = self.index(node.receiver(), node.arguments(), prism);
                (target, node.value())
            }
            _ => return None,
        };
        Some(self.op(target, Operator::Or, &value))
    }

    /// `target &&= value`
    fn and_write(&self, prism: &Prism<'_>) -> Option<Kind> {
        let (target, value) = match prism {
            Prism::LocalVariableAndWriteNode { .. } => {
                let node = prism.as_local_variable_and_write_node()?;
                let target = Target::Local(self.name(&node.name()), node.depth());
                (target, node.value())
            }
            Prism::InstanceVariableAndWriteNode { .. } => {
                let node = prism.as_instance_variable_and_write_node()?;
                (self.instance(&node.name()), node.value())
            }
            Prism::ClassVariableAndWriteNode { .. } => {
                let node = prism.as_class_variable_and_write_node()?;
                (self.class_variable(&node.name()), node.value())
            }
            Prism::GlobalVariableAndWriteNode { .. } => {
                let node = prism.as_global_variable_and_write_node()?;
                (self.global(&node.name()), node.value())
            }
            Prism::ConstantAndWriteNode { .. } => {
                let node = prism.as_constant_and_write_node()?;
                (self.constant(&node.name(), prism), node.value())
            }
            Prism::CallAndWriteNode { .. } => {
                let node = prism.as_call_and_write_node()?;
                let safe = node.is_safe_navigation();
                let target = self.attribute(node.receiver(), &node.read_name(), safe, prism);
                (target, node.value())
            }
            Prism::IndexAndWriteNode { .. } => {
                let node = prism.as_index_and_write_node()?;
                let target = self.index(node.receiver(), node.arguments(), prism);
                (target, node.value())
            }
            _ => return None,
        };
        Some(self.op(target, Operator::And, &value))
    }

    /// `target += value`
    fn operator_write(&self, prism: &Prism<'_>) -> Option<Kind> {
        let (target, operator, value) = match prism {
            Prism::LocalVariableOperatorWriteNode { .. } => {
                let node = prism.as_local_variable_operator_write_node()?;
                let target = Target::Local(self.name(&node.name()), node.depth());
                (target, node.binary_operator(), node.value())
            }
            Prism::InstanceVariableOperatorWriteNode { .. } => {
                let node = prism.as_instance_variable_operator_write_node()?;
                let target = self.instance(&node.name());
                (target, node.binary_operator(), node.value())
            }
            Prism::ClassVariableOperatorWriteNode { .. } => {
                let node = prism.as_class_variable_operator_write_node()?;
                let target = self.class_variable(&node.name());
                (target, node.binary_operator(), node.value())
            }
            Prism::GlobalVariableOperatorWriteNode { .. } => {
                let node = prism.as_global_variable_operator_write_node()?;
                let target = self.global(&node.name());
                (target, node.binary_operator(), node.value())
            }
            Prism::ConstantOperatorWriteNode { .. } => {
                let node = prism.as_constant_operator_write_node()?;
                let target = self.constant(&node.name(), prism);
                (target, node.binary_operator(), node.value())
            }
            Prism::CallOperatorWriteNode { .. } => {
                let node = prism.as_call_operator_write_node()?;
                let safe = node.is_safe_navigation();
                let target = self.attribute(node.receiver(), &node.read_name(), safe, prism);
                (target, node.binary_operator(), node.value())
            }
            Prism::IndexOperatorWriteNode { .. } => {
                let node = prism.as_index_operator_write_node()?;
                let target = self.index(node.receiver(), node.arguments(), prism);
                (target, node.binary_operator(), node.value())
            }
            _ => return None,
        };
        Some(self.op(target, Operator::Call(self.name(&operator)), &value))
    }

    fn op(&self, target: Target, operator: Operator, value: &Prism<'_>) -> Kind {
        Kind::OpAssign(Box::new(target), operator, self.boxed(value))
    }

    fn instance(&self, name: &ConstantId<'_>) -> Target {
        Target::Variable(Variable::Instance(self.name(name)))
    }

    fn class_variable(&self, name: &ConstantId<'_>) -> Target {
        Target::Variable(Variable::Class(self.name(name)))
    }

    fn global(&self, name: &ConstantId<'_>) -> Target {
        Target::Variable(Variable::Global(self.name(name)))
    }

    fn constant(&self, name: &ConstantId<'_>, around: &Prism<'_>) -> Target {
        Target::Constant(Path {
            base: Base::Lexical,
            name: self.name(name),
            span: self.span(&around.location()),
        })
    }

    fn attribute(
        &self,
        receiver: Option<Prism<'_>>,
        name: &ConstantId<'_>,
        safe: bool,
        around: &Prism<'_>,
    ) -> Target {
        let span = self.span(&around.location());
        Target::Attribute {
            receiver: self.receiver(receiver, span),
            name: self.name(name),
            safe,
            span,
        }
    }

    fn index(
        &self,
        receiver: Option<Prism<'_>>,
        arguments: Option<ArgumentsNode<'_>>,
        around: &Prism<'_>,
    ) -> Target {
        let span = self.span(&around.location());
        Target::Index {
            receiver: self.receiver(receiver, span),
            arguments: self.arguments(arguments),
            span,
        }
    }

    fn receiver(&self, receiver: Option<Prism<'_>>, span: crate::span::Span) -> crate::tree::Node {
        match receiver {
            Some(receiver) => self.node(&receiver),
            None => crate::tree::Node {
                kind: Kind::Me,
                span,
            },
        }
    }

    /// One of several targets, or the variable of `for` or `rescue`.
    pub(super) fn target(&self, prism: &Prism<'_>) -> Target {
        let span = self.span(&prism.location());
        self.nested(span, || self.target_of(prism))
            .flatten()
            .unwrap_or(Target::Unsupported("this target", span))
    }

    fn target_of(&self, prism: &Prism<'_>) -> Option<Target> {
        Some(match prism {
            Prism::LocalVariableTargetNode { .. } => {
                let node = prism.as_local_variable_target_node()?;
                Target::Local(self.name(&node.name()), node.depth())
            }
            Prism::RequiredParameterNode { .. } => {
                Target::Local(self.name(&prism.as_required_parameter_node()?.name()), 0)
            }
            Prism::InstanceVariableTargetNode { .. } => {
                self.instance(&prism.as_instance_variable_target_node()?.name())
            }
            Prism::ClassVariableTargetNode { .. } => {
                self.class_variable(&prism.as_class_variable_target_node()?.name())
            }
            Prism::GlobalVariableTargetNode { .. } => {
                self.global(&prism.as_global_variable_target_node()?.name())
            }
            Prism::ConstantTargetNode { .. } => {
                self.constant(&prism.as_constant_target_node()?.name(), prism)
            }
            Prism::CallTargetNode { .. } => {
                let node = prism.as_call_target_node()?;
                let name = self.name(&node.name());
                Target::Attribute {
                    receiver: self.node(&node.receiver()),
                    name: name.trim_end_matches('=').into(),
                    safe: node.is_safe_navigation(),
                    span: self.span(&prism.location()),
                }
            }
            Prism::IndexTargetNode { .. } => {
                let node = prism.as_index_target_node()?;
                self.index(Some(node.receiver()), node.arguments(), prism)
            }
            Prism::MultiTargetNode { .. } => {
                let node = prism.as_multi_target_node()?;
                Target::Several(self.targets(&node.lefts(), node.rest(), &node.rights()))
            }
            Prism::SplatNode { .. } => {
                let inner = prism.as_splat_node()?.expression();
                Target::Splat(inner.map(|node| Box::new(self.target(&node))))
            }
            Prism::ImplicitRestNode { .. } => Target::Splat(None),
            _ => return None,
        })
    }

    fn targets(
        &self,
        lefts: &NodeList<'_>,
        rest: Option<Prism<'_>>,
        rights: &NodeList<'_>,
    ) -> Targets {
        let all = |list: &NodeList<'_>| list.iter().map(|node| self.target(&node)).collect();
        Targets {
            before: all(lefts),
            rest: rest.map(|rest| match self.target(&rest) {
                Target::Splat(inner) => inner,
                other => Some(Box::new(other)),
            }),
            after: all(rights),
        }
    }
}
