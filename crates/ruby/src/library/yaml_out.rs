//! `to_yaml` of everything.

use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes
        .object
        .clone()
        .natives(&[("to_yaml", 0, 1, |ruby, me, _| {
            let mut out = String::from("---");
            write(ruby, me, 0, false, &mut out)?;
            ruby.string(out)
        })]);
}

/// Writes a value behind what stands on the line already.
fn write(
    ruby: &mut Interpreter<'_>,
    value: &Value,
    depth: usize,
    in_list: bool,
    out: &mut String,
) -> Eval<()> {
    ruby.step(1)?;
    if depth > 100 {
        let message = "a structure is too deep for YAML";
        return Err(ruby.fail("limit", message, None, None));
    }
    match value {
        Value::Array(array) if !array.items.borrow().is_empty() => {
            let items = array.items.borrow().clone();
            for (index, item) in items.iter().enumerate() {
                line(out, depth, in_list && index == 0);
                out.push('-');
                write(ruby, item, depth + 1, true, out)?;
            }
        }
        Value::Hash(hash) if !hash.map.borrow().is_empty() => {
            for (index, (key, item)) in hash.entries().iter().enumerate() {
                line(out, depth, in_list && index == 0);
                out.push_str(&scalar(ruby, key)?);
                out.push(':');
                // A list stands below its key without being moved to the right.
                let inner = if matches!(item, Value::Array(_)) {
                    depth
                } else {
                    depth + 1
                };
                write(ruby, item, inner, false, out)?;
            }
        }
        Value::Array(_) => out.push_str(" []\n"),
        Value::Hash(_) => out.push_str(" {}\n"),
        Value::Str(text) if text.text.borrow().trim_end_matches('\n').contains('\n') => {
            let text = text.text.borrow().clone();
            out.push_str(if text.ends_with('\n') {
                " |\n"
            } else {
                " |-\n"
            });
            for row in text.lines() {
                if !row.is_empty() {
                    out.push_str(&"  ".repeat(depth.max(1)));
                }
                out.push_str(row);
                out.push('\n');
            }
        }
        value => {
            let text = scalar(ruby, value)?;
            if !text.is_empty() {
                out.push(' ');
            }
            out.push_str(&text);
            out.push('\n');
        }
    }
    if out.len() > ruby.limits.string {
        ruby.room(out.len())?;
    }
    Ok(())
}

/// Begins a line, unless what is written continues one: `- key: value`.
fn line(out: &mut String, depth: usize, continues: bool) {
    if continues {
        out.push(' ');
        return;
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&"  ".repeat(depth));
}

fn scalar(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<String> {
    Ok(match value {
        Value::Nil => String::new(),
        Value::Symbol(name) => format!(":{name}"),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        Value::Str(text) => quoted(&text.text.borrow()),
        value => ruby.to_s(value)?,
    })
}

fn quoted(text: &str) -> String {
    let first = text.chars().next().unwrap_or(' ');
    let odd = "!&*-?|>@`'\"%{}[]#,: ".contains(first)
        && !(text.len() > 1 && first == '-' && !text.starts_with("- "));
    let plain = !odd
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([' ', ':'])
        && !text.chars().any(char::is_control);
    if super::yaml::is_special(text) {
        return format!("'{text}'");
    }
    if plain {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        return super::inspect::quote(text);
    }
    format!("'{}'", text.replace('\'', "''"))
}
