//! What a user has said once, for all labs: the keys of `config.yaml`. It is no lab file, but
//! its mistakes are found and told in the same way.

use crate::Loaded;
use crate::fields::Fields;
use crate::keys::{Key, Object, Shape};
use crate::report::{Mark, Problem, Report};
use crate::yaml::{self, Tree, Value};
use std::collections::BTreeMap;
use std::path::Path;

static CONFIG: Object = Object {
    name: "configuration",
    doc: "What holds for all labs of a user.",
    keys: &[Key {
        name: "box_aliases",
        shape: Shape::Map("box", &Shape::Name),
        required: false,
        default: "",
        doc: "The image that is taken where a Vagrantfile names a box.",
    }],
};

/// What a user has said for all labs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Images by the names of the boxes that they stand for.
    pub box_aliases: BTreeMap<String, String>,
}

impl Config {
    /// Reads the text of a configuration. The second value has no lab, but whatever is wrong
    /// with the text.
    pub fn read(path: &Path, text: &str) -> (Self, Loaded) {
        let mut report = Report::default();
        let number = report.file(path, text);
        let tree = yaml::parse(text, number, &mut report);
        let config = tree.and_then(|tree| Self::of(&tree, number, &mut report));
        let (diagnostics, sources) = report.finish();
        let loaded = Loaded {
            lab: None,
            diagnostics,
            sources,
            ..Loaded::default()
        };
        (config.unwrap_or_default(), loaded)
    }

    fn of(tree: &Tree, number: usize, report: &mut Report) -> Option<Self> {
        let fields = Fields::read(tree, &CONFIG, Mark::top(number), report)?;
        let aliases = fields.get("box_aliases");
        Some(Self {
            box_aliases: aliases.map_or_else(BTreeMap::new, |tree| box_aliases(tree, report)),
        })
    }
}

fn box_aliases(tree: &Tree, report: &mut Report) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    let entries = match &tree.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Null => &[],
        _ => {
            wrong(tree, "a map of boxes to images", report);
            &[]
        }
    };
    for entry in entries {
        match &entry.value.value {
            Value::Scalar(image) => drop(aliases.insert(entry.key.clone(), image.clone())),
            _ => wrong(&entry.value, "the name of an image", report),
        }
    }
    aliases
}

fn wrong(tree: &Tree, expected: &str, report: &mut Report) {
    let message = format!("Expected {expected}, found {}", tree.kind());
    let problem = Problem::error("wrong-type", tree.mark, message);
    report.add(problem.hint("written `generic/ubuntu2404: ubuntu`"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let (config, loaded) = Config::read(Path::new("config.yaml"), text);
        let aliases = config.box_aliases.iter();
        let aliases: Vec<_> = aliases
            .map(|(name, image)| format!("{name}={image}"))
            .collect();
        format!(
            "{}\n{}",
            aliases.join(" "),
            loaded.render(Path::new(""), false)
        )
    }

    #[test]
    fn aliases_are_read() {
        let text = "box_aliases:\n  generic/ubuntu2404: ubuntu\n  me/box: mine\n";
        assert_eq!(check(text), "generic/ubuntu2404=ubuntu me/box=mine\n");
        assert_eq!(check(""), "\n");
        assert_eq!(check("# nothing yet\n"), "\n");
        assert_eq!(check("box_aliases:\n"), "\n");
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        insta::assert_snapshot!(check("box_aliases: { a/b: c, d/e: [] }\nbox_alias: x\n"), @r"
        a/b=c
        error[wrong-type]: Expected the name of an image, found a list
         --> config.yaml:1:29
          |
        1 | box_aliases: { a/b: c, d/e: [] }
          |                             ^^^
          = hint: written `generic/ubuntu2404: ubuntu`

        error[unknown-key]: Unknown key `box_alias` in a configuration
         --> config.yaml:2:1
          |
        2 | box_alias: x
          | ^^^^^^^^^ not a key of the lab file here
          = hint: did you mean `box_aliases`?
        ");
        insta::assert_snapshot!(check("box_aliases: ubuntu\n"), @r"

        error[wrong-type]: Expected a map of boxes to images, found a single value
         --> config.yaml:1:14
          |
        1 | box_aliases: ubuntu
          |              ^^^^^^
          = hint: written `generic/ubuntu2404: ubuntu`
        ");
    }
}
