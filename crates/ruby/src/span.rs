//! Where something stands, and the texts it stands in.

use std::path::{Path, PathBuf};

/// Which of the files that were read: an index into [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) u32);

/// A piece of a file, in bytes: cheap to copy. [`Sources::place`] makes lines and columns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// Just behind the last byte.
    pub end: u32,
}

/// A place as people count: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The line of the end.
    pub end_line: usize,
    /// The column just behind the last character.
    pub end_column: usize,
}

/// One file that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path it was read from.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Whether it belongs to the evaluator's own library rather than to the user.
    pub builtin: bool,
}

/// Every file that was evaluated, in the order of reading.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn add(&mut self, path: &Path, text: &str, builtin: bool) -> FileId {
        self.0.push(Source {
            path: path.to_owned(),
            text: text.to_owned(),
            builtin,
        });
        FileId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// A file.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.0.get(file.0 as usize)
    }

    /// The user's files.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter(|source| !source.builtin)
    }

    pub(crate) fn is_builtin(&self, file: FileId) -> bool {
        self.get(file).is_some_and(|source| source.builtin)
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file)
            .and_then(|source| source.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }

    /// The line of a span's beginning, from 1.
    pub fn line(&self, span: Span) -> usize {
        self.get(span.file)
            .map_or(1, |source| position(&source.text, span.start).0)
    }

    /// The span in lines and columns.
    pub fn place(&self, span: Span) -> Place {
        let source = self.get(span.file);
        let text = source.map_or("", |source| &source.text);
        let (line, column) = position(text, span.start);
        let (end_line, end_column) = position(text, span.end);
        Place {
            path: source.map(|source| source.path.clone()).unwrap_or_default(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// Line and column of a byte, from 1, the column in characters.
fn position(text: &str, offset: u32) -> (usize, usize) {
    let before = &text.as_bytes()[..(offset as usize).min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}
