//! Definitions: methods, classes, modules, aliases.

use super::Lowering;
use super::literals::lossy;
use crate::tree::{Base, Function, Kind, Parameters, Path};
use crate::value::Name;
use ruby_prism::Node as Prism;
use std::rc::Rc;

impl Lowering<'_> {
    pub(super) fn defining(&self, prism: &Prism<'_>) -> Option<Kind> {
        Some(match prism {
            Prism::DefNode { .. } => {
                let node = prism.as_def_node()?;
                let receiver = node.receiver().map(|node| self.boxed(&node));
                let span = self.span(&prism.location());
                let function = Function {
                    name: self.name(&node.name()),
                    parameters: self.parameters(node.parameters()),
                    body: self.body(node.body(), span),
                };
                Kind::Def(receiver, Rc::new(function))
            }
            Prism::LambdaNode { .. } => Kind::Lambda(self.lambda(&prism.as_lambda_node()?)),
            Prism::ClassNode { .. } => {
                let node = prism.as_class_node()?;
                Kind::Class(
                    Box::new(self.class_path(&node.constant_path())),
                    node.superclass().map(|node| self.boxed(&node)),
                    self.class_body(node.body(), prism),
                )
            }
            Prism::ModuleNode { .. } => {
                let node = prism.as_module_node()?;
                Kind::Module(
                    Box::new(self.class_path(&node.constant_path())),
                    self.class_body(node.body(), prism),
                )
            }
            Prism::SingletonClassNode { .. } => {
                let node = prism.as_singleton_class_node()?;
                Kind::Singleton(
                    self.boxed(&node.expression()),
                    self.class_body(node.body(), prism),
                )
            }
            Prism::AliasMethodNode { .. } => {
                let node = prism.as_alias_method_node()?;
                Kind::Alias(
                    symbol_name(&node.new_name())?,
                    symbol_name(&node.old_name())?,
                )
            }
            Prism::UndefNode { .. } => {
                let names = prism.as_undef_node()?.names();
                Kind::Undef(names.iter().filter_map(|name| symbol_name(&name)).collect())
            }
            _ => return None,
        })
    }

    fn class_path(&self, prism: &Prism<'_>) -> Path {
        if let Some(path) = prism.as_constant_path_node() {
            return self.path(&path);
        }
        let name = prism
            .as_constant_read_node()
            .map_or_else(|| Name::from(""), |node| self.name(&node.name()));
        Path {
            base: Base::Lexical,
            name,
            span: self.span(&prism.location()),
        }
    }

    fn class_body(&self, body: Option<Prism<'_>>, around: &Prism<'_>) -> Rc<Function> {
        Rc::new(Function {
            name: Name::from("<class>"),
            parameters: Parameters::default(),
            body: self.body(body, self.span(&around.location())),
        })
    }
}

fn symbol_name(prism: &Prism<'_>) -> Option<Name> {
    Some(Name::from(lossy(prism.as_symbol_node()?.unescaped())))
}
