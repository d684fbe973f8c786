//! How values look: `to_s` and `inspect`.

use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::{Value, Walk};

/// As interpolation shows it.
pub(crate) fn to_s(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<String> {
    match value {
        Value::Nil => Ok(String::new()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Float(value) => Ok(super::float::show(*value)),
        Value::Str(text) => Ok(text.text.borrow().clone()),
        Value::Symbol(name) => Ok(name.to_string()),
        Value::Array(_) | Value::Hash(_) => inspect(ruby, value),
        Value::Class(class) if ruby.find_method(value, "to_s").is_none_or(is_native) => {
            Ok(class.title())
        }
        Value::Foreign(handle) => {
            let call = ruby.new_call("to_s", Vec::new());
            let host = ruby.host;
            let text = host.send(ruby, *handle, call)?;
            Ok(text.as_text().unwrap_or_default())
        }
        value => {
            let text = ruby.send(value, "to_s", Vec::new())?;
            Ok(text.as_text().unwrap_or_else(|| plain(value)))
        }
    }
}

fn is_native(method: std::rc::Rc<crate::class::Method>) -> bool {
    matches!(method.body, crate::class::Body::Native(..))
}

/// As `p` shows it.
pub(crate) fn inspect(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<String> {
    let mut out = String::new();
    write(ruby, value, &mut out, &mut Walk::new())?;
    ruby.room(out.len())?;
    Ok(out)
}

fn write(ruby: &mut Interpreter<'_>, value: &Value, out: &mut String, walk: &mut Walk) -> Eval<()> {
    ruby.step(1)?;
    if !walk.enter() {
        out.push_str("...");
        return Ok(());
    }
    match value {
        Value::Array(array) => {
            let items = array.items.borrow().clone();
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(ruby, item, out, walk)?;
            }
            out.push(']');
        }
        Value::Hash(hash) => {
            let entries = hash.entries();
            if entries.is_empty() {
                out.push_str("{}");
            } else {
                out.push('{');
                for (index, (key, item)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    write_pair(ruby, key, item, out, walk)?;
                }
                out.push('}');
            }
        }
        Value::Object(_) | Value::Class(_) | Value::Range(_) => {
            let text = ruby.send(value, "inspect", Vec::new())?;
            out.push_str(&text.as_text().unwrap_or_default());
        }
        value => out.push_str(&plain(value)),
    }
    walk.leave();
    ruby.room(0)?;
    if out.len() > ruby.limits.string {
        ruby.room(out.len())?;
    }
    Ok(())
}

/// As Ruby up to 3.3 shows it, which is what Vagrant brings along.
fn write_pair(
    ruby: &mut Interpreter<'_>,
    key: &Value,
    value: &Value,
    out: &mut String,
    walk: &mut Walk,
) -> Eval<()> {
    write(ruby, key, out, walk)?;
    out.push_str("=>");
    write(ruby, value, out, walk)
}

/// Without asking any method, for messages.
pub(crate) fn plain(value: &Value) -> String {
    let mut out = String::new();
    write_plain(value, &mut out, 4);
    out
}

fn write_plain(value: &Value, out: &mut String, depth: usize) {
    if depth == 0 || out.len() > 1000 {
        out.push_str("...");
        return;
    }
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&super::float::show(*value)),
        Value::Str(text) => out.push_str(&quote(&text.text.borrow())),
        Value::Symbol(name) => out.push_str(&symbol(name)),
        Value::Array(array) => {
            out.push('[');
            for (index, item) in array.items.borrow().iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_plain(item, out, depth - 1);
            }
            out.push(']');
        }
        Value::Hash(hash) => {
            out.push('{');
            for (index, (key, item)) in hash.map.borrow().iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_plain(&key.value, out, depth - 1);
                out.push_str("=>");
                write_plain(item, out, depth - 1);
            }
            out.push('}');
        }
        Value::Range(range) => {
            if !range.first.is_nil() {
                write_plain(&range.first, out, depth - 1);
            }
            out.push_str(if range.exclusive { "..." } else { ".." });
            if !range.last.is_nil() {
                write_plain(&range.last, out, depth - 1);
            }
        }
        Value::Proc(block) if block.lambda => out.push_str("#<Proc (lambda)>"),
        Value::Proc(_) => out.push_str("#<Proc>"),
        Value::Class(class) => out.push_str(&class.title()),
        Value::Object(object) => out.push_str(&format!("#<{}>", object.class.title())),
        Value::Regex(pattern) => out.push_str(&super::regexp::show(pattern)),
        Value::Match(found) => {
            out.push_str("#<MatchData ");
            out.push_str(&quote(found.group(0).unwrap_or_default()));
            out.push('>');
        }
        Value::Method(bound) => out.push_str(&format!("#<Method: {}>", bound.name)),
        Value::Foreign(handle) => out.push_str(&format!("#<Foreign {}>", handle.0)),
    }
}

/// A string in its quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '#' if matches!(chars.peek(), Some('{' | '$' | '@')) => out.push_str("\\#"),
            char if (char as u32) < 0x20 || char == '\u{7f}' => {
                out.push_str(&format!("\\x{:02X}", char as u32));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A symbol as it is written.
pub(crate) fn symbol(name: &str) -> String {
    if is_plain_symbol(name) {
        format!(":{name}")
    } else {
        format!(":{}", quote(name))
    }
}

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "**", "==", "!=", "<", ">", "<=", ">=", "<=>", "===", "[]", "[]=",
    "<<", ">>", "!", "=~", "!~", "&", "|", "^", "~", "+@", "-@",
];

fn is_plain_symbol(name: &str) -> bool {
    if OPERATORS.contains(&name) {
        return true;
    }
    let bare = name.trim_start_matches('@').trim_start_matches('$');
    let bare = bare.strip_suffix(['?', '!', '=']).unwrap_or(bare);
    let mut chars = bare.chars();
    let starts = |char: char| char.is_alphabetic() || char == '_' || !char.is_ascii();
    chars.next().is_some_and(starts)
        && chars.all(|char| char.is_alphanumeric() || char == '_' || !char.is_ascii())
}
