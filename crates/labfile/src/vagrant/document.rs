//! The lab file that a Vagrantfile amounts to, before it is anything: a tree with marks for
//! the resolver, or YAML for people. Both come from the same document, so they cannot differ.

use crate::report::Mark;
use crate::yaml::{Entry, Tree, Value};
use std::fmt::Write;

/// A value at the place in the Vagrantfile that it comes from, with comments for readers.
#[derive(Debug, Clone)]
pub(super) struct Node {
    mark: Mark,
    comments: Vec<String>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Mark, Node)>),
}

impl Node {
    /// A text that must arrive letter by letter: it came from Ruby, where `{{` means nothing.
    pub fn text(mark: Mark, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().replace("{{", "\\{{");
        Self::new(mark, Content::Text(text))
    }

    pub fn list(mark: Mark, items: Vec<Self>) -> Self {
        Self::new(mark, Content::List(items))
    }

    pub fn map(mark: Mark) -> Self {
        Self::new(mark, Content::Map(Vec::new()))
    }

    fn new(mark: Mark, content: Content) -> Self {
        Self {
            mark,
            comments: Vec::new(),
            content,
        }
    }

    /// The same with a comment above it.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comments.push(text.into());
        self
    }

    /// Adds a key to a map.
    pub fn set(&mut self, key: impl Into<String>, key_mark: Mark, value: Self) {
        if let Content::Map(entries) = &mut self.content {
            entries.push((key.into(), key_mark, value));
        }
    }

    /// Adds a key whose place is that of its value.
    pub fn put(&mut self, key: impl Into<String>, value: Self) {
        self.set(key, value.mark, value);
    }

    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Text(_) => false,
            Content::List(items) => items.is_empty(),
            Content::Map(entries) => entries.is_empty(),
        }
    }

    /// What the resolver reads.
    pub fn tree(&self) -> Tree {
        let value = match &self.content {
            Content::Text(text) => Value::Scalar(text.clone()),
            Content::List(items) => Value::List(items.iter().map(Self::tree).collect()),
            Content::Map(entries) => Value::Map(entries.iter().map(entry).collect()),
        };
        Tree {
            mark: self.mark,
            value,
        }
    }

    /// The same as YAML, ended by a newline.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        for comment in &self.comments {
            write_comment(&mut out, 0, comment);
        }
        match &self.content {
            Content::Map(entries) => write_map(&mut out, 0, entries, true),
            _ => write_value(&mut out, 0, self),
        }
        out
    }

    /// How much of a line it takes written in brackets; `None` if it should not be.
    fn flow(&self) -> Option<String> {
        if !self.comments.is_empty() {
            return None;
        }
        match &self.content {
            Content::Text(text) if text.contains('\n') => None,
            Content::Text(text) => Some(scalar(text, true)),
            Content::List(items) => {
                let items: Option<Vec<_>> = items.iter().map(Self::flow).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Content::Map(entries) if entries.is_empty() => Some("{}".into()),
            Content::Map(entries) => {
                let pair = |(key, _, value): &(String, Mark, Self)| {
                    Some(format!("{}: {}", scalar(key, true), value.flow()?))
                };
                let pairs: Option<Vec<_>> = entries.iter().map(pair).collect();
                Some(format!("{{ {} }}", pairs?.join(", ")))
            }
        }
    }
}

fn entry((key, key_mark, value): &(String, Mark, Node)) -> Entry {
    Entry {
        key: key.clone(),
        key_mark: *key_mark,
        value: value.tree(),
    }
}

/// A list or map that fits into so many columns is written on one line.
const WIDTH: usize = 100;

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write_comment(out: &mut String, level: usize, comment: &str) {
    for line in comment.lines() {
        indent(out, level);
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(out, "# {line}");
    }
}

fn write_map(out: &mut String, level: usize, entries: &[(String, Mark, Node)], first: bool) {
    for (number, (key, _, value)) in entries.iter().enumerate() {
        for comment in &value.comments {
            write_comment(out, level, comment);
        }
        // The first key of a map in a list stands behind the dash.
        if number > 0 || first || !value.comments.is_empty() {
            indent(out, level);
        }
        let _ = write!(out, "{}:", scalar(key, false));
        write_value(out, level, value);
    }
}

/// What stands behind `key:` or a dash, with the end of its line.
fn write_value(out: &mut String, level: usize, node: &Node) {
    match &node.content {
        Content::Text(text) if is_block(text) => write_block(out, level + 1, text),
        Content::Text(text) => {
            let _ = writeln!(out, " {}", scalar(text, false));
        }
        Content::List(items) => match in_line(node, level) {
            Some(flow) => {
                let _ = writeln!(out, " {flow}");
            }
            None => {
                out.push('\n');
                items
                    .iter()
                    .for_each(|item| write_item(out, level + 1, item));
            }
        },
        Content::Map(entries) => match in_line(node, level) {
            Some(flow) => {
                let _ = writeln!(out, " {flow}");
            }
            None => {
                out.push('\n');
                write_map(out, level + 1, entries, true);
            }
        },
    }
}

fn write_item(out: &mut String, level: usize, item: &Node) {
    for comment in &item.comments {
        write_comment(out, level, comment);
    }
    indent(out, level);
    out.push('-');
    let commented = |entries: &[(String, Mark, Node)]| {
        entries
            .first()
            .is_some_and(|(_, _, value)| !value.comments.is_empty())
    };
    match &item.content {
        Content::Map(entries) if flow_in(item, level).is_none() && !commented(entries) => {
            out.push(' ');
            write_map(out, level + 1, entries, false);
        }
        _ => write_value(out, level, item),
    }
}

/// Leaves (and maps of leaves) go on one line; a map that holds texts of several does not.
fn in_line(node: &Node, level: usize) -> Option<String> {
    let bare = Node {
        comments: Vec::new(),
        ..node.clone()
    };
    flow_in(&bare, level)
}

fn flow_in(node: &Node, level: usize) -> Option<String> {
    let deep = |node: &Node| match &node.content {
        Content::Map(entries) => entries.len() > 3
            || entries.iter().any(
                |(_, _, value)| matches!(&value.content, Content::Map(inner) if !inner.is_empty()),
            ),
        Content::List(items) => items
            .iter()
            .any(|item| matches!(&item.content, Content::Map(_))),
        Content::Text(_) => false,
    };
    if deep(node) {
        return None;
    }
    let bare = Node {
        comments: Vec::new(),
        ..node.clone()
    };
    bare.flow()
        .filter(|flow| flow.chars().count() + 2 * level + 16 <= WIDTH)
}

/// Whether a text can be written as it is below its key.
fn is_block(text: &str) -> bool {
    let plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.contains('\n')
        && !text.trim_matches('\n').is_empty()
        && text
            .chars()
            .all(|c| plain(c) && c != '\u{feff}' && c != '\u{2028}' && c != '\u{2029}')
}

fn write_block(out: &mut String, level: usize, text: &str) {
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    let chomp = match ends {
        0 => "-",
        1 => "",
        _ => "+",
    };
    // Told how far it is indented, YAML does not guess it from a first line that may
    // begin with a space.
    let leading = text.trim_start_matches('\n').starts_with([' ', '\t']) || text.starts_with('\n');
    let told = if leading { "2" } else { "" };
    let _ = writeln!(out, " |{told}{chomp}");
    for line in body.split('\n') {
        if line.is_empty() {
            out.push('\n');
            continue;
        }
        indent(out, level);
        out.push_str(line);
        out.push('\n');
    }
    for _ in 1..ends {
        out.push('\n');
    }
}

/// A single value on one line, in quotes where YAML would take it for something else.
fn scalar(text: &str, flow: bool) -> String {
    if is_plain(text, flow) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn is_plain(text: &str, flow: bool) -> bool {
    const WORDS: [&str; 14] = [
        "null", "Null", "NULL", "~", "<<", "yes", "no", "on", "off", "y", "n", "Yes", "No", "-",
    ];
    let first = text.starts_with(|c: char| c.is_alphanumeric() || "/._".contains(c));
    let inner = |c: char| !c.is_control() && !"\u{feff}\u{2028}\u{2029}\u{85}".contains(c);
    let flow_safe = !flow || !text.contains(|c| "[]{},".contains(c));
    first
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(['"', '\\'])
        && flow_safe
        && !(flow && text.contains(':'))
        && text.chars().all(inner)
        && !WORDS.contains(&text)
        && text != "..."
        && !text.starts_with("... ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::yaml::parse;
    use proptest::prelude::*;

    fn same(one: &Tree, other: &Tree) -> bool {
        match (&one.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
            }
            _ => false,
        }
    }

    fn nodes() -> impl Strategy<Value = Node> {
        let mark = Mark::top(0);
        let word = "[a-z0-9-]{1,8}|[ -~\t]{0,20}|([ -~é]{0,9}\n){0,4}[ -~]{0,5}\n{0,3}";
        let leaf = word.prop_map(move |text| Node::text(mark, text));
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let comment = "[ -~]{0,9}";
            let list = prop::collection::vec(inner.clone(), 0..4);
            let map = prop::collection::btree_map("[a-z_]{1,6}|[ -~]{1,6}", inner, 0..5);
            prop_oneof![
                (list, comment)
                    .prop_map(move |(items, text)| Node::list(mark, items).comment(text)),
                map.prop_map(move |entries| {
                    let mut map = Node::map(mark);
                    for (key, value) in entries.into_iter().filter(|(key, _)| key != "<<") {
                        map.put(key, value);
                    }
                    map
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(inner in nodes()) {
            let mut node = Node::map(Mark::top(0));
            node.put("lab", inner);
            let mut report = Report::default();
            let yaml = node.yaml();
            let tree = parse(&yaml, 0, &mut report);
            let tree = tree.unwrap_or_else(|| panic!("not YAML:\n{yaml}"));
            prop_assert!(same(&tree, &node.tree()), "{yaml}\n{tree:#?}");
        }
    }

    #[test]
    fn people_can_read_it() {
        let mark = Mark::top(0);
        let mut step = Node::map(mark);
        step.put("name", Node::text(mark, "setup"));
        step.put("inline", Node::text(mark, "#!/bin/bash\necho {{ x }}\n"));
        let mut end = Node::map(mark);
        end.put("ip", Node::text(mark, "10.0.0.2"));
        let mut networks = Node::map(mark);
        networks.put("default", end);
        let mut node = Node::map(mark);
        node.put("image", Node::text(mark, "debian").comment("box x"));
        node.put(
            "ports",
            Node::list(mark, vec![Node::text(mark, "127.0.0.1:80:80")]),
        );
        node.put("networks", networks);
        node.put("provision", Node::list(mark, vec![step]));
        let mut nodes = Node::map(mark);
        nodes.put("a", node);
        let mut lab = Node::map(mark).comment("top");
        lab.put("nodes", nodes);
        insta::assert_snapshot!(lab.yaml(), @r##"
# top
nodes:
  a:
    # box x
    image: debian
    ports: ["127.0.0.1:80:80"]
    networks:
      default: { ip: 10.0.0.2 }
    provision:
      - name: setup
        inline: |
          #!/bin/bash
          echo \{{ x }}
"##);
    }
}
