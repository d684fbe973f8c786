//! `File`: paths, and reading by way of the host. Writing is refused.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::{Call, Kind};
use crate::interpreter::{Interpreter, clean};
use crate::value::Value;
use std::path::{Path, PathBuf};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let file = super::add(ruby, "File", false);
    let meta = file.meta();
    meta.natives(PATHS);
    meta.natives(READS);
    for name in REFUSED {
        meta.natives(&[(name, 0, ANY, |ruby, _, call| {
            ruby.no_write(&format!("File.{}", call.name), &call)
        })]);
    }
    let mut constants = file.constants.borrow_mut();
    constants.insert("SEPARATOR".into(), Value::text("/"));
    constants.insert("PATH_SEPARATOR".into(), Value::text(":"));
    constants.insert("ALT_SEPARATOR".into(), Value::Nil);
}

const REFUSED: &[&str] = &[
    "write",
    "binwrite",
    "delete",
    "unlink",
    "rename",
    "chmod",
    "chown",
    "symlink",
    "link",
    "mkfifo",
    "truncate",
    "utime",
    "new",
    "popen",
    "copy_stream",
];

const PATHS: &[Entry] = &[
    ("join", 0, ANY, |ruby, _, call| {
        let joined = join(ruby, &call.args, 0)?;
        ruby.string(joined)
    }),
    ("expand_path", 1, 2, expand),
    ("absolute_path", 1, 2, expand),
    ("realpath", 1, 2, expand),
    ("absolute_path?", 1, 1, |ruby, _, call| {
        Ok(Value::Bool(ruby.path(&call.args[0])?.starts_with('/')))
    }),
    ("dirname", 1, 2, |ruby, _, call| {
        let path = ruby.path(&call.args[0])?;
        ruby.string(dirname(&path))
    }),
    ("basename", 1, 2, |ruby, _, call| {
        let path = ruby.path(&call.args[0])?;
        let name = basename(&path);
        let name = match call.args.get(1) {
            Some(end) => match &*ruby.str(end)? {
                ".*" => match name.rfind('.').filter(|at| *at > 0) {
                    Some(at) => &name[..at],
                    None => name,
                },
                end => name
                    .strip_suffix(end)
                    .filter(|rest| !rest.is_empty())
                    .unwrap_or(name),
            },
            None => name,
        };
        ruby.string(name)
    }),
    ("extname", 1, 1, |ruby, _, call| {
        let path = ruby.path(&call.args[0])?;
        ruby.string(extname(&path))
    }),
    ("split", 1, 1, |ruby, _, call| {
        let path = ruby.path(&call.args[0])?;
        ruby.array(vec![
            Value::text(dirname(&path)),
            Value::text(basename(&path)),
        ])
    }),
    ("fnmatch", 2, 3, matches),
    ("fnmatch?", 2, 3, matches),
    ("path", 1, 1, |ruby, _, call| {
        let path = ruby.path(&call.args[0])?;
        ruby.string(path)
    }),
];

const READS: &[Entry] = &[
    ("exist?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind.is_some())
    }),
    ("exists?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind.is_some())
    }),
    ("file?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind == Some(Kind::File))
    }),
    ("directory?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind == Some(Kind::Folder))
    }),
    ("readable?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind.is_some())
    }),
    ("writable?", 1, 1, |_, _, _| Ok(Value::Bool(false))),
    ("executable?", 1, 1, |ruby, _, call| {
        is(ruby, &call, |kind| kind.is_some())
    }),
    ("symlink?", 1, 1, |_, _, _| Ok(Value::Bool(false))),
    ("zero?", 1, 1, |ruby, _, call| {
        let text = read(ruby, &call)?;
        Ok(Value::Bool(text.is_empty()))
    }),
    ("size", 1, 1, |ruby, _, call| {
        Ok(Value::Int(read(ruby, &call)?.len() as i64))
    }),
    ("size?", 1, 1, |ruby, _, call| {
        let path = ruby.full_path(&call.args[0])?;
        if ruby.host.kind(&path) != Some(Kind::File) {
            return Ok(Value::Nil);
        }
        let size = read(ruby, &call)?.len() as i64;
        Ok(if size == 0 {
            Value::Nil
        } else {
            Value::Int(size)
        })
    }),
    ("read", 1, ANY, |ruby, _, call| {
        let text = read(ruby, &call)?;
        ruby.string(text)
    }),
    ("binread", 1, ANY, |ruby, _, call| {
        let text = read(ruby, &call)?;
        ruby.string(text)
    }),
    ("readlines", 1, ANY, |ruby, _, call| {
        let text = Value::text(read(ruby, &call)?);
        let options = call
            .args
            .into_iter()
            .skip(1)
            .filter(|arg| matches!(arg, Value::Hash(_)));
        ruby.send(&text, "lines", options.collect())
    }),
    ("foreach", 1, ANY, |ruby, _, call| {
        let text = Value::text(read(ruby, &call)?);
        ruby.send_with(&text, "each_line", Vec::new(), call.block)
    }),
    ("open", 1, ANY, open),
    ("mtime", 1, 1, |ruby, _, call| {
        read(ruby, &call)?;
        let class = ruby.root_constant("Time")?.unwrap_or_default();
        ruby.send(&class, "at", vec![Value::Int(0)])
    }),
];

impl Interpreter<'_> {
    /// What would change a file: refused, or left out with a warning if the host prefers that.
    pub(super) fn no_write(&mut self, what: &str, call: &Call) -> Eval {
        if !self.host.ignores_writes() {
            return Err(self.refuse(what));
        }
        let message = format!("`{what}` is ignored: reading a file writes nothing");
        self.warn("ignored", message, None, Some(call.span));
        Ok(Value::Nil)
    }

    /// A path as the host takes it: absolute, without `.` and `..`.
    pub(crate) fn full_path(&mut self, value: &Value) -> Eval<PathBuf> {
        let path = self.path(value)?;
        Ok(self.absolute(&path))
    }

    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        let folder = self.folder.clone();
        clean(&folder.join(self.expand_home(path)))
    }
}

fn is(ruby: &mut Interpreter<'_>, call: &Call, holds: fn(Option<Kind>) -> bool) -> Eval {
    let path = ruby.full_path(&call.args[0])?;
    Ok(Value::Bool(holds(ruby.host.kind(&path))))
}

fn read(ruby: &mut Interpreter<'_>, call: &Call) -> Eval<String> {
    let path = ruby.full_path(&call.args[0])?;
    ruby.read_text(&path)
}

/// `File.open(path)` for reading: the block gets something that can be read.
fn open(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let mode = call
        .args
        .get(1)
        .and_then(Value::as_text)
        .unwrap_or_else(|| "r".to_owned());
    if !mode.starts_with('r') || mode.contains('+') {
        ruby.no_write(&format!("File.open(…, {mode:?})"), &call)?;
    }
    let text = match mode.starts_with('r') {
        true => read(ruby, &call)?,
        false => String::new(),
    };
    let text = ruby.string(text)?;
    let class = ruby.root_constant("StringIO")?.unwrap_or_default();
    let opened = ruby.send(&class, "new", vec![text])?;
    match &call.block {
        Some(block) => ruby.ask(block, &opened),
        None => Ok(opened),
    }
}

fn join(ruby: &mut Interpreter<'_>, parts: &[Value], depth: usize) -> Eval<String> {
    let mut joined = String::new();
    for (index, part) in parts.iter().enumerate() {
        ruby.step(1)?;
        let part = match part {
            Value::Array(array) if depth < 20 => {
                let parts = array.items.borrow().clone();
                join(ruby, &parts, depth + 1)?
            }
            part => ruby.path(part)?,
        };
        if index == 0 {
            joined = part;
            continue;
        }
        let behind = part.trim_start_matches('/');
        if !joined.ends_with('/') {
            joined.push('/');
        }
        joined.push_str(behind);
        ruby.room(joined.len())?;
    }
    Ok(joined)
}

fn expand(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let path = ruby.path(&call.args[0])?;
    let base = match call.args.get(1) {
        Some(Value::Nil) | None => ruby.folder.clone(),
        Some(base) => ruby.full_path(base)?,
    };
    let full = clean(&base.join(ruby.expand_home(&path)));
    ruby.string(full.to_string_lossy())
}

pub(super) fn dirname(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rfind('/') {
        Some(0) => "/".to_owned(),
        Some(at) => trimmed[..at].trim_end_matches('/').to_owned(),
        None if path.starts_with('/') => "/".to_owned(),
        None => ".".to_owned(),
    }
}

fn basename(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() && path.starts_with('/') {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or("")
}

fn extname(path: &str) -> &str {
    let name = basename(path);
    match name.rfind('.') {
        Some(at) if at > 0 && at + 1 < name.len() => &name[at..],
        _ => "",
    }
}

fn matches(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let pattern = ruby.str(&call.args[0])?;
    let path = ruby.path(&call.args[1])?;
    let pattern = super::glob::pattern(ruby, &pattern)?;
    Ok(Value::Bool(pattern.is_match(&path)))
}

/// Whether something stands at a path.
pub(super) fn kind(ruby: &Interpreter<'_>, path: &Path) -> Option<Kind> {
    ruby.host.kind(path)
}
