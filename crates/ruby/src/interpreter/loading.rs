//! Evaluating files: the first one, and what it requires.

use super::Interpreter;
use crate::env::Env;
use crate::error::{Error, Eval, Flow, Problem, Severity};
use crate::host::Kind;
use crate::parse::{SyntaxError, parse};
use crate::span::FileId;
use crate::value::Value;
use std::path::{Component, Path, PathBuf};

impl Interpreter<'_> {
    /// Evaluates a file at an absolute path.
    ///
    /// # Errors
    /// What it raised and nobody rescued; mistakes of syntax, all of which are
    /// [reported](Interpreter::report) but the last, which is the error.
    pub fn evaluate_file(&mut self, path: &Path) -> Result<Value, Error> {
        let path = clean(path);
        self.globals
            .entry("$0".into())
            .or_insert_with(|| Value::text(path.to_string_lossy()));
        let text = self.read_text(&path)?;
        self.evaluate_text(&path, &text)
    }

    /// Evaluates a text as if it were the file at a path.
    ///
    /// # Errors
    /// As [`Interpreter::evaluate_file`].
    pub fn evaluate_text(&mut self, path: &Path, text: &str) -> Result<Value, Error> {
        self.loaded.push(path.to_owned());
        self.used.files += 1;
        if self.used.files > self.limits.files {
            let message = format!("More than {} files are loaded", self.limits.files);
            return Err(self.fail("limit", message, None, None));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file = self.sources.add(path, text, false);
        let env = self.file_env();
        self.evaluate_in(file, text, &env)
    }

    /// Evaluates a part of the library that is written in Ruby.
    pub(crate) fn evaluate_builtin(&mut self, name: &str, text: &str) -> Eval {
        let file = self.sources.add(Path::new(name), text, true);
        let env = self.file_env();
        self.evaluate_in(file, text, &env)
    }

    /// Evaluates a text with the variables of `env`.
    pub(crate) fn evaluate_in(&mut self, file: FileId, text: &str, env: &Env) -> Eval {
        self.step(text.len() as u64 / 16)?;
        self.allocate(text.len() * 8)?;
        let function = match parse(file, text, &env.scope.names()) {
            Ok(function) => function,
            Err(errors) => return Err(self.syntax_errors(errors)),
        };
        let value = self.eval(&function.body, env);
        self.keep(env);
        match value.map_err(|error| *error.0) {
            Err(Flow::Return { frame, value }) if frame == env.frame.id => Ok(value),
            other => other.map_err(Error::from),
        }
    }

    /// Reports all but the last, which is returned.
    fn syntax_errors(&mut self, mut errors: Vec<SyntaxError>) -> Error {
        let last = errors.pop();
        for error in errors.into_iter().take(50) {
            let problem = Problem {
                severity: Severity::Error,
                code: "syntax",
                message: error.message,
                hint: None,
                place: Some(self.sources.place(error.span)),
            };
            self.problems.push(problem);
        }
        match last {
            Some(error) => self.fail("syntax", error.message, None, Some(error.span)),
            None => self.fail("syntax", "syntax error", None, None),
        }
    }

    /// The text of a file, or `Errno::ENOENT` and its like.
    pub(crate) fn read_text(&mut self, path: &Path) -> Eval<String> {
        let limit = self.limits.file;
        let bytes = match self.host.read(path, limit) {
            Ok(bytes) if bytes.len() as u64 <= limit => bytes,
            Ok(_) => {
                let message = format!("{} is larger than {limit} bytes", path.display());
                return Err(self.fail("limit", message, None, None));
            }
            Err(error) => return Err(self.file_error(path, &error)),
        };
        self.step(bytes.len() as u64 / 64)?;
        self.allocate(bytes.len())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn file_error(&mut self, path: &Path, error: &std::io::Error) -> Error {
        let path = path.display();
        let (class, message) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                "Errno::ENOENT",
                format!("No such file or directory @ rb_sysopen - {path}"),
            ),
            std::io::ErrorKind::PermissionDenied => (
                "Errno::EACCES",
                format!("Permission denied @ rb_sysopen - {path}"),
            ),
            std::io::ErrorKind::IsADirectory => (
                "Errno::EISDIR",
                format!("Is a directory @ io_fread - {path}"),
            ),
            _ => ("IOError", format!("{error} - {path}")),
        };
        self.raise(class, message)
    }

    /// `require_relative` and `load`, and `require` of a path. True if something was evaluated.
    pub(crate) fn load(&mut self, name: &str, base: &Path, again: bool) -> Eval<bool> {
        let Some(path) = self.find_file(name, base) else {
            let message = format!("cannot load such file -- {name}");
            return Err(self.raise("LoadError", message));
        };
        if !again && self.loaded.contains(&path) {
            return Ok(false);
        }
        let text = self.read_text(&path)?;
        self.evaluate_text(&path, &text)?;
        Ok(true)
    }

    fn find_file(&self, name: &str, base: &Path) -> Option<PathBuf> {
        let path = clean(&base.join(self.expand_home(name)));
        let with_end = PathBuf::from(format!("{}.rb", path.display()));
        [with_end, path]
            .into_iter()
            .find(|path| self.host.kind(path) == Some(Kind::File))
    }

    pub(crate) fn expand_home(&self, path: &str) -> PathBuf {
        let home = self.host.platform().home;
        match path.strip_prefix('~') {
            Some("") => home,
            Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(path),
        }
    }
}

/// A path without `.` and `..`.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            part => cleaned.push(part),
        }
    }
    cleaned
}
