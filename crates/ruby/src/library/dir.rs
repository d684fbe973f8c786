//! `Dir`, by way of the host.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::{Call, Kind};
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let dir = super::add(ruby, "Dir", false);
    let meta = dir.meta();
    meta.natives(METHODS);
    for name in ["mkdir", "rmdir", "delete", "unlink", "mktmpdir"] {
        meta.natives(&[(name, 0, ANY, changed)]);
    }
    for name in ["chroot", "new", "open"] {
        meta.natives(&[(name, 0, ANY, |ruby, _, call| {
            Err(ruby.refuse(&format!("Dir.{}", call.name)))
        })]);
    }
}

const METHODS: &[Entry] = &[
    ("glob", 1, 4, glob),
    ("[]", 1, ANY, glob),
    ("exist?", 1, 1, exists),
    ("exists?", 1, 1, exists),
    ("empty?", 1, 1, |ruby, _, call| {
        let names = names(ruby, &call)?;
        Ok(Value::Bool(names.is_empty()))
    }),
    ("pwd", 0, 0, pwd),
    ("getwd", 0, 0, pwd),
    ("home", 0, 1, |ruby, _, _| {
        let home = ruby.host.platform().home;
        ruby.string(home.to_string_lossy())
    }),
    ("tmpdir", 0, 0, |_, _, _| Ok(Value::text("/tmp"))),
    ("entries", 1, 2, |ruby, _, call| {
        let mut names = names(ruby, &call)?;
        names.splice(0..0, [".".to_owned(), "..".to_owned()]);
        ruby.array(names.into_iter().map(Value::text).collect())
    }),
    ("children", 1, 2, children),
    ("each_child", 1, 2, |ruby, me, mut call| {
        let block = call.block.take();
        let children = children(ruby, me, call)?;
        ruby.send_with(&children, "each", Vec::new(), block)
    }),
    ("foreach", 1, 2, |ruby, me, mut call| {
        let block = call.block.take();
        let children = children(ruby, me, call)?;
        ruby.send_with(&children, "each", Vec::new(), block)
    }),
    ("chdir", 0, 1, |ruby, _, call| {
        let folder = match call.args.first() {
            Some(folder) => ruby.full_path(folder)?,
            None => ruby.host.platform().home,
        };
        let before = std::mem::replace(&mut ruby.folder, folder);
        let Some(block) = call.block else {
            return Ok(Value::Int(0));
        };
        let shown = Value::text(ruby.folder.to_string_lossy());
        let result = ruby.ask(&block, &shown);
        ruby.folder = before;
        result
    }),
];

/// What would change folders. A block gets the name of one that is not made.
fn changed(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    ruby.no_write(&format!("Dir.{}", call.name), &call)?;
    let folder = Value::text("/tmp/ruby");
    match &call.block {
        Some(block) => ruby.ask(block, &folder),
        None => Ok(folder),
    }
}

fn glob(ruby: &mut Interpreter<'_>, _: &Value, mut call: Call) -> Eval {
    let options = call.take_options();
    let base = match options.and_then(|options| options.get_name("base")) {
        Some(base) => ruby.full_path(&base)?,
        None => ruby.folder.clone(),
    };
    let mut found = Vec::new();
    for pattern in &call.args {
        let patterns = match pattern {
            Value::Array(array) => array.items.borrow().clone(),
            // Flags
            Value::Int(_) => continue,
            pattern => vec![pattern.clone()],
        };
        for pattern in patterns {
            let pattern = ruby.path(&pattern)?;
            found.extend(super::glob::glob(ruby, &pattern, &base)?);
        }
    }
    let found = ruby.array(found.into_iter().map(Value::text).collect())?;
    match call.block {
        Some(block) => {
            ruby.send_with(&found, "each", Vec::new(), Some(block))?;
            Ok(Value::Nil)
        }
        None => Ok(found),
    }
}

fn exists(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let path = ruby.full_path(&call.args[0])?;
    Ok(Value::Bool(
        super::file::kind(ruby, &path) == Some(Kind::Folder),
    ))
}

fn pwd(ruby: &mut Interpreter<'_>, _: &Value, _: Call) -> Eval {
    let folder = ruby.folder.clone();
    ruby.string(folder.to_string_lossy())
}

fn names(ruby: &mut Interpreter<'_>, call: &Call) -> Eval<Vec<String>> {
    let path = ruby.full_path(&call.args[0])?;
    match ruby.host.list(&path) {
        Ok(mut names) => {
            ruby.step(names.len() as u64)?;
            names.sort_unstable();
            Ok(names)
        }
        Err(error) => Err(ruby.file_error(&path, &error)),
    }
}

fn children(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let names = names(ruby, &call)?;
    ruby.array(names.into_iter().map(Value::text).collect())
}
