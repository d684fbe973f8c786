//! One mistake at its place, and how it is shown. Nothing here prints: the
//! CLI writes what [`Diagnostic::render`] returns.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Diagnostics of files with their excerpts, one below the other.
pub(crate) fn render_all(
    diagnostics: &[Diagnostic],
    sources: &BTreeMap<PathBuf, String>,
    base: &Path,
    color: bool,
) -> String {
    let render = |diagnostic: &Diagnostic| {
        let source = sources.get(&diagnostic.file).map_or("", String::as_str);
        let name = diagnostic.file.strip_prefix(base);
        diagnostic.render_with(source, name.unwrap_or(&diagnostic.file), color)
    };
    let rendered: Vec<String> = diagnostics.iter().map(render).collect();
    rendered.join("\n")
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The lab cannot be brought up.
    Error,
    /// It can, but probably not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A line and a column, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake in a lab file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short stable word for the kind of mistake, such as `unknown-key`.
    pub code: &'static str,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// Just behind the last character of the text at fault.
    pub end: Position,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// A few words beside the caret: what was expected there.
    pub label: Option<String>,
    /// What to write or type instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Whether it keeps the lab from coming up.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic with an excerpt of `source`, the text of its file, and a
    /// caret under the text at fault. Plain text; several lines, the last one
    /// ended by a newline.
    pub fn render(&self, source: &str) -> String {
        self.render_with(source, &self.file, false)
    }

    /// As [`Diagnostic::render`], with the file called `name` and, if `color`
    /// is set, with ANSI colours.
    pub fn render_with(&self, source: &str, name: &Path, color: bool) -> String {
        crate::render::render(self, source, name, color)
    }
}
