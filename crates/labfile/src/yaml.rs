//! YAML as a tree in which every key and value knows its place. Structure
//! only: what the keys mean is not known here. Nothing recurses over the text,
//! and aliases cannot blow the tree up.

use crate::Position;
use crate::report::{Mark, Problem, Report};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// Nested lists and maps beyond this are refused: the resolver recurses.
const MAX_DEPTH: usize = 96;
/// Lists, maps and scalars, aliases expanded.
const MAX_NODES: usize = 100_000;

/// A value at its place.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub mark: Mark,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    /// Any scalar, as text: the key's type decides what it is.
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_mark: Mark,
    pub value: Tree,
}

impl Tree {
    /// What it is, for "expected …, found …".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Tree::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Tree::depth).max().unwrap_or(0),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| entry.value.depth())
                .max()
                .unwrap_or(0),
        }
    }
}

/// Parses the text of a file. `None` if it is no YAML at all; smaller mistakes
/// are reported and left out of the tree.
pub(crate) fn parse(text: &str, file: usize, report: &mut Report) -> Option<Tree> {
    let mut builder = Builder {
        file,
        lines: text.lines().collect(),
        report,
        stack: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        nodes: 0,
        documents: 0,
        last: Position { line: 1, column: 1 },
    };
    // A NUL ends the text for the scanner, silently.
    if let Some(mark) = find_control(text, file) {
        let problem = Problem::error("syntax", mark, "A control character stands in the file");
        builder.report.add(problem.label("not allowed in YAML"));
        return None;
    }
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    builder.root
}

fn find_control(text: &str, file: usize) -> Option<Mark> {
    let bad = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n' | '\u{85}');
    let (line, content) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains(bad))?;
    let column = content.chars().position(bad)?;
    let start = Position {
        line: line + 1,
        column: column + 1,
    };
    Some(Mark {
        file,
        start,
        end: start,
    })
}

/// A list or map that is still open.
struct Frame {
    start: Position,
    anchor: usize,
    content: Open,
}

enum Open {
    List(Vec<Tree>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Mark>,
        key: Key,
        /// It is a template without quotes, which was reported.
        template: bool,
    },
}

/// What the next value of an open map is.
enum Key {
    /// A key.
    Awaited,
    /// The value of this key.
    Read(String, Mark),
    /// The value of a key that was no text, or stood there before.
    Dropped,
}

struct Builder<'a> {
    file: usize,
    lines: Vec<&'a str>,
    report: &'a mut Report,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Tree>,
    root: Option<Tree>,
    nodes: usize,
    documents: usize,
    last: Position,
}

impl Builder<'_> {
    /// Takes one event; `None` ends the parse.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let mark = self.mark(span);
        match event {
            Event::DocumentStart(_) => self.document(mark)?,
            Event::Alias(anchor) => {
                let tree = self.anchors.get(&anchor).cloned();
                let tree = tree.unwrap_or(Tree {
                    mark,
                    value: Value::Null,
                });
                let depth = self.stack.len() + tree.depth();
                self.grow(tree.size(), depth, mark)?;
                self.last = mark.end;
                self.value(tree);
            }
            Event::Scalar(text, style, anchor, _) => {
                self.grow(1, self.stack.len(), mark)?;
                let null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                if mark.end > self.last {
                    self.last = mark.end;
                }
                self.keep(anchor, Tree { mark, value });
            }
            Event::SequenceStart(anchor, _) => {
                self.open(mark, anchor, Open::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.open(
                    mark,
                    anchor,
                    Open::Map {
                        entries,
                        seen,
                        key: Key::Awaited,
                        template: false,
                    },
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn document(&mut self, mark: Mark) -> Option<()> {
        self.documents += 1;
        if self.documents < 2 {
            return Some(());
        }
        let problem = Problem::error("syntax", mark, "A second document begins here");
        self.report
            .add(problem.label("a lab file is one YAML document"));
        None
    }

    fn mark(&self, span: Span) -> Mark {
        let position = |marker: saphyr_parser::Marker| Position {
            line: marker.line().max(1),
            column: marker.col() + 1,
        };
        let start = position(span.start);
        Mark {
            file: self.file,
            start,
            end: position(span.end).max(start),
        }
    }

    fn grow(&mut self, by: usize, depth: usize, mark: Mark) -> Option<()> {
        self.nodes = self.nodes.saturating_add(by);
        if self.nodes > MAX_NODES {
            let problem = Problem::error("too-large", mark, "The file has too many values");
            self.report
                .add(problem.label(format!("more than {MAX_NODES}, aliases included")));
            return None;
        }
        if depth > MAX_DEPTH {
            let problem = Problem::error("too-deep", mark, "The file is nested too deeply");
            self.report
                .add(problem.label(format!("more than {MAX_DEPTH} lists and maps")));
            return None;
        }
        Some(())
    }

    fn open(&mut self, mark: Mark, anchor: usize, content: Open) -> Option<()> {
        self.grow(1, self.stack.len() + 1, mark)?;
        self.stack.push(Frame {
            start: mark.start,
            anchor,
            content,
        });
        Some(())
    }

    fn close(&mut self, span: Span) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        // A block ends where the next token begins, which may be lines below:
        // the end of its last scalar is what a reader takes for its end.
        if !span.is_empty() {
            self.last = self.mark(span).end;
        }
        let end = self.last.max(frame.start);
        let mark = Mark {
            file: self.file,
            start: frame.start,
            end,
        };
        let value = match frame.content {
            Open::List(items) => Value::List(items),
            Open::Map { template: true, .. } => Value::Null,
            Open::Map { entries, .. } => Value::Map(self.merge(entries)),
        };
        self.keep(frame.anchor, Tree { mark, value });
    }

    fn keep(&mut self, anchor: usize, tree: Tree) {
        if anchor != 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        self.value(tree);
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, tree: Tree) {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(tree);
            return;
        };
        match &mut frame.content {
            Open::List(items) => items.push(tree),
            Open::Map {
                entries,
                seen,
                key,
                template,
            } => match std::mem::replace(key, Key::Awaited) {
                Key::Read(key, key_mark) => entries.push(Entry {
                    key,
                    key_mark,
                    value: tree,
                }),
                Key::Dropped => {}
                Key::Awaited => {
                    *key = match new_key(tree, seen, &self.lines) {
                        Ok((text, mark)) => Key::Read(text, mark),
                        Err(problem) => {
                            *template |= problem.code == "unquoted-template";
                            self.report.add(*problem);
                            Key::Dropped
                        }
                    }
                }
            },
        }
    }

    /// Takes in what `<<: *anchor` names; keys of the map itself win.
    fn merge(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let (merges, mut entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.key == "<<");
        for entry in merges {
            let maps = match entry.value.value {
                Value::List(items) => items,
                _ => vec![entry.value],
            };
            for map in maps {
                let Value::Map(others) = map.value else {
                    let problem =
                        Problem::error("wrong-type", map.mark, "`<<` does not name a map");
                    self.report
                        .add(problem.label("expected an alias such as `*base`"));
                    continue;
                };
                for other in others {
                    if entries.iter().all(|entry| entry.key != other.key) {
                        entries.push(other);
                    }
                }
            }
        }
        entries
    }

    fn syntax(&mut self, error: &saphyr_parser::ScanError) {
        let marker = error.marker();
        let start = Position {
            line: marker.line().max(1),
            column: marker.col() + 1,
        };
        let mark = Mark {
            file: self.file,
            start,
            end: start,
        };
        let line = self.lines.get(start.line - 1).copied().unwrap_or_default();
        let hint = if line.contains("{{") {
            Some("put a value that begins with `{{` in quotes: \"{{ name }}\"".to_owned())
        } else if line.starts_with([' ', '\t']) && line.trim_start_matches(' ').starts_with('\t') {
            Some("indent with spaces, not tabs".to_owned())
        } else {
            None
        };
        let problem = Problem::error("syntax", mark, format!("Not valid YAML: {}", error.info()));
        self.report.add(problem.maybe_hint(hint));
    }
}

/// Makes a key of what stands in a key's place.
fn new_key(
    tree: Tree,
    seen: &mut HashMap<String, Mark>,
    lines: &[&str],
) -> Result<(String, Mark), Box<Problem>> {
    let mark = tree.mark;
    let text = match tree.value {
        Value::Scalar(text) => text,
        Value::Null => "null".to_owned(),
        Value::List(_) | Value::Map(_) => return Err(Box::new(no_key(mark, lines))),
    };
    if let Some(first) = seen.get(&text) {
        let message = format!("Key `{text}` stands here twice");
        let label = format!("first on line {}", first.start.line);
        return Err(Box::new(
            Problem::error("duplicate-key", mark, message).label(label),
        ));
    }
    seen.insert(text.clone(), mark);
    Ok((text, mark))
}

/// `count: {{ servers }}` is a map whose key is a map, says YAML.
fn no_key(mark: Mark, lines: &[&str]) -> Problem {
    let line = lines.get(mark.start.line - 1).copied().unwrap_or_default();
    let from = mark.start.column.saturating_sub(2);
    let near: String = line.chars().skip(from).take(2).collect();
    if near == "{{" {
        return Problem::error("unquoted-template", mark, "A template without quotes")
            .label("YAML takes this for a map")
            .hint("put quotes around it: \"{{ name }}\"");
    }
    Problem::error(
        "wrong-type",
        mark,
        "A list or map stands in the place of a key",
    )
    .label("expected a word")
}
