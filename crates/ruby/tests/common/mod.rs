//! A host in memory, whose objects write down what is called on them.

use nestlab_ruby::{
    Call, Error, Handle, Host, Interpreter, Kind, Limits, Outcome, Platform, Stream, Value, run,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Files, and what was called and printed.
#[derive(Default)]
pub struct Memory {
    pub files: BTreeMap<PathBuf, String>,
    pub called: RefCell<Vec<String>>,
    pub printed: RefCell<Vec<String>>,
    pub ignores_writes: bool,
}

impl Memory {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
        Self {
            files: files.collect(),
            ..Self::default()
        }
    }
}

impl Host for Memory {
    fn read(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        if self.files.contains_key(path) {
            return Some(Kind::File);
        }
        let holds = |file: &PathBuf| file.starts_with(path);
        self.files.keys().any(holds).then_some(Kind::Folder)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |file: &PathBuf| {
            let rest = file.strip_prefix(path).ok()?;
            let first = rest.components().next()?;
            Some(first.as_os_str().to_string_lossy().into_owned())
        };
        let mut names: Vec<String> = self.files.keys().filter_map(name).collect();
        names.dedup();
        match names.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(names),
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("HOME".to_owned(), "/home/me".to_owned()),
            ("NODES".to_owned(), "3".to_owned()),
        ]
    }

    fn platform(&self) -> Platform {
        Platform {
            folder: PathBuf::from("/lab"),
            home: PathBuf::from("/home/me"),
            arguments: vec!["up".to_owned()],
            ..Platform::default()
        }
    }

    fn constant(&self, name: &str) -> Option<Value> {
        (name == "Foreign").then_some(Value::Foreign(Handle(0)))
    }

    fn send(&self, ruby: &mut Interpreter<'_>, me: Handle, call: Call) -> Result<Value, Error> {
        if matches!(
            &*call.name,
            "inspect" | "to_s" | "respond_to?" | "==" | "nil?" | "is_a?" | "tap"
        ) {
            return ruby.universal(me, call);
        }
        if &*call.name == "missing" {
            return Err(ruby.undefined(me, &call, &["configure", "machine"]));
        }
        let mut shown = Vec::new();
        for arg in &call.args {
            shown.push(ruby.inspect(arg)?);
        }
        for (key, value) in &call.keywords {
            let name = key.as_name().unwrap_or_default();
            shown.push(format!("{name}: {}", ruby.inspect(value)?));
        }
        let line = format!("{}.{}({})", me.0, call.name, shown.join(", "));
        self.called.borrow_mut().push(line);
        match &call.block {
            Some(block) => ruby.call_block(block, vec![Value::Foreign(Handle(me.0 + 1))]),
            None => Ok(Value::Foreign(me)),
        }
    }

    fn ignores_writes(&self) -> bool {
        self.ignores_writes
    }

    fn command(&self, line: &str) -> Option<String> {
        (line == "uname -m").then(|| "x86_64\n".to_owned())
    }

    fn say(&self, stream: Stream, line: &str) {
        let line = match stream {
            Stream::Out => line.to_owned(),
            Stream::Err => format!("! {line}"),
        };
        self.printed.borrow_mut().push(line);
    }
}

/// What a text evaluates to, inspected; or its problems, each with line and column.
pub fn evaluate(host: &Memory, text: &str, limits: Limits) -> Outcome<Option<String>> {
    run(host, limits, |ruby| {
        let result = ruby
            .evaluate_text(Path::new("/lab/file.rb"), text)
            .and_then(|value| ruby.inspect(&value));
        match result {
            Ok(shown) => Some(shown),
            Err(error) => {
                ruby.report(error);
                None
            }
        }
    })
}

/// The same as one text.
pub fn shown(host: &Memory, text: &str) -> String {
    let outcome = evaluate(host, text, Limits::default());
    let mut lines: Vec<String> = Vec::new();
    for problem in &outcome.problems {
        let place = problem.place.as_ref().map_or_else(String::new, |place| {
            format!("{}:{}: ", place.line, place.column)
        });
        let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})"));
        lines.push(format!(
            "{place}{}: {}{}",
            problem.code,
            problem.message,
            hint.unwrap_or_default()
        ));
    }
    lines.extend(outcome.value);
    lines.join("\n")
}
