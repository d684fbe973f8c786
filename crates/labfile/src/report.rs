//! Collects problems while a lab file is read: where each stands ([`Mark`]),
//! what it is ([`Problem`]), and the texts of the files read so far.

use crate::{Diagnostic, Position, Severity};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// A place in one of the files of a [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// The number of the file.
    pub file: usize,
    /// The first character.
    pub start: Position,
    /// Just behind the last.
    pub end: Position,
}

impl Mark {
    /// The first character of a file.
    pub fn top(file: usize) -> Self {
        let start = Position { line: 1, column: 1 };
        Self {
            file,
            start,
            end: start,
        }
    }

    /// `length` characters from `offset` on, if the mark is on one line.
    pub fn part(self, offset: usize, length: usize) -> Self {
        let column = self.start.column + offset;
        Self {
            start: Position {
                column,
                ..self.start
            },
            end: Position {
                column: column + length,
                ..self.start
            },
            ..self
        }
    }
}

/// One problem, before it becomes a [`Diagnostic`].
pub(crate) struct Problem {
    severity: Severity,
    pub code: &'static str,
    mark: Mark,
    message: String,
    label: Option<String>,
    hint: Option<String>,
}

impl Problem {
    fn new(severity: Severity, code: &'static str, mark: Mark, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            mark,
            message: message.into(),
            label: None,
            hint: None,
        }
    }

    pub fn error(code: &'static str, mark: Mark, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, mark, message)
    }

    pub fn warning(code: &'static str, mark: Mark, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, mark, message)
    }

    pub fn note(code: &'static str, mark: Mark, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, mark, message)
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// Everything found so far.
#[derive(Default)]
pub(crate) struct Report {
    files: Vec<(PathBuf, String)>,
    problems: Vec<Problem>,
    /// A group of nodes says the same thing once per node: once is enough.
    seen: HashSet<(Mark, &'static str)>,
}

impl Report {
    /// Adds a file and says its number.
    pub fn file(&mut self, path: &Path, text: &str) -> usize {
        self.files.push((path.to_owned(), text.to_owned()));
        self.files.len() - 1
    }

    pub fn add(&mut self, problem: Problem) {
        if self.seen.insert((problem.mark, problem.code)) {
            self.problems.push(problem);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The diagnostics by file and place, and the texts.
    pub fn finish(mut self) -> (Vec<Diagnostic>, BTreeMap<PathBuf, String>) {
        self.problems.sort_by_key(|problem| {
            (
                problem.mark.file,
                problem.mark.start,
                problem.severity,
                problem.code,
            )
        });
        let files = &self.files;
        let diagnostics = self.problems.into_iter().map(|problem| Diagnostic {
            severity: problem.severity,
            code: problem.code,
            file: files[problem.mark.file].0.clone(),
            line: problem.mark.start.line,
            column: problem.mark.start.column,
            end: problem.mark.end,
            message: problem.message,
            label: problem.label,
            hint: problem.hint,
        });
        (diagnostics.collect(), self.files.iter().cloned().collect())
    }
}

/// "did you mean" for a word that is not among the known ones.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, known).map(|best| format!("did you mean `{best}`?"))
}

/// The known word that is most like `word`, if any is like it at all.
fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes time in the square of the length.
    let word: String = word.chars().take(64).flat_map(char::to_lowercase).collect();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The word with its article.
pub(crate) fn article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

/// `a`, `b` and `c` in backticks, at most twelve.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".into(),
        many if many.len() > 12 => format!("{}, …", many[..12].join(", ")),
        some => some.join(", "),
    }
}
