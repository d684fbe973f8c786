//! The look of a diagnostic: a headline, the place, the line with a caret, the
//! hint. Colour never carries meaning alone.

use crate::{Diagnostic, Severity};
use std::fmt::Write;
use std::path::Path;

/// Longer source lines are cut: they are no help on a terminal.
const MAX_EXCERPT: usize = 160;

struct Paint(bool);

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn severity(&self, severity: Severity, text: &str) -> String {
        self.wrap(
            match severity {
                Severity::Error => "1;31",
                Severity::Warning => "1;33",
                Severity::Note => "1;36",
            },
            text,
        )
    }
}

pub(crate) fn render(diagnostic: &Diagnostic, source: &str, name: &Path, color: bool) -> String {
    let paint = Paint(color);
    let gutter = diagnostic.line.to_string().len();
    let bar = paint.wrap("34", "|");
    let head = format!("{}[{}]", diagnostic.severity, diagnostic.code);
    let mut text = format!(
        "{}: {}\n{:gutter$}{} {}:{}:{}\n",
        paint.severity(diagnostic.severity, &head),
        paint.wrap("1", &clean(&diagnostic.message)),
        "",
        paint.wrap("34", "-->"),
        name.display(),
        diagnostic.line,
        diagnostic.column,
    );
    if let Some(excerpt) = Excerpt::of(diagnostic, source) {
        let number = paint.wrap("34", &diagnostic.line.to_string());
        let carets = paint.severity(diagnostic.severity, &"^".repeat(excerpt.width));
        let label = diagnostic.label.as_deref().map(clean).unwrap_or_default();
        let space = if label.is_empty() { "" } else { " " };
        let label = paint.severity(diagnostic.severity, &label);
        let _ = writeln!(text, "{:gutter$} {bar}", "");
        let _ = writeln!(text, "{number} {bar} {}", excerpt.line);
        let _ = writeln!(
            text,
            "{:gutter$} {bar} {}{carets}{space}{label}",
            "",
            " ".repeat(excerpt.indent)
        );
    }
    if let Some(hint) = &diagnostic.hint {
        let word = paint.wrap("1;32", "hint");
        let _ = writeln!(
            text,
            "{:gutter$} {} {word}: {}",
            "",
            paint.wrap("34", "="),
            clean(hint)
        );
    }
    text
}

/// The source line with the columns of the text at fault.
struct Excerpt {
    line: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn of(diagnostic: &Diagnostic, source: &str) -> Option<Self> {
        let line = source.lines().nth(diagnostic.line.checked_sub(1)?)?;
        let length = line.chars().count();
        let indent = diagnostic.column.saturating_sub(1).min(length);
        if indent > MAX_EXCERPT {
            return None;
        }
        let end = if diagnostic.end.line == diagnostic.line {
            diagnostic.end.column.saturating_sub(1).min(length)
        } else {
            line.trim_end().chars().count()
        };
        let shown: String = line.chars().take(MAX_EXCERPT).map(printable).collect();
        Some(Self {
            line: shown,
            indent,
            width: end.min(MAX_EXCERPT).saturating_sub(indent).max(1),
        })
    }
}

/// A lab file may come from a stranger: no control character reaches the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn clean(text: &str) -> String {
    text.chars().map(printable).collect()
}
