//! `YAML`, with scalars as Psych takes them: YAML 1.1, symbols, merge keys.

use crate::class::{ANY, Entry};
use crate::error::{Error, Eval};
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Key, Map, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let yaml = super::add(ruby, "YAML", true);
    super::set(ruby, "Psych", Value::Class(yaml.clone()));
    yaml.meta().natives(METHODS);
    let above = ruby.classes.standard_error.clone();
    let error = crate::class::Class::new(Some("Psych::SyntaxError"), Some(above), false);
    yaml.constants
        .borrow_mut()
        .insert("SyntaxError".into(), Value::Class(error));
    super::yaml_out::install(ruby);
}

const METHODS: &[Entry] = &[
    ("load", 1, ANY, |ruby, _, call| load(ruby, call, None)),
    ("safe_load", 1, ANY, |ruby, _, call| load(ruby, call, None)),
    ("unsafe_load", 1, ANY, |ruby, _, call| {
        load(ruby, call, None)
    }),
    ("load_file", 1, ANY, load_file),
    ("safe_load_file", 1, ANY, load_file),
    ("unsafe_load_file", 1, ANY, load_file),
    ("parse_file", 1, ANY, load_file),
    ("load_stream", 1, ANY, |ruby, _, call| {
        let text = ruby.str(&call.args[0])?;
        let documents = documents(ruby, &text, "(stream)", false)?;
        ruby.array(documents)
    }),
    ("dump", 1, ANY, |ruby, _, call| {
        ruby.send(&call.args[0], "to_yaml", Vec::new())
    }),
];

/// Sequences and mappings within each other.
const DEPTH: usize = 100;

fn load_file(ruby: &mut Interpreter<'_>, _: &Value, mut call: Call) -> Eval {
    let path = ruby.full_path(&call.args[0])?;
    let text = ruby.read_text(&path)?;
    let name = path.to_string_lossy().into_owned();
    call.args[0] = ruby.string(text)?;
    load(ruby, call, Some(name))
}

fn load(ruby: &mut Interpreter<'_>, mut call: Call, name: Option<String>) -> Eval {
    let options = call.take_options();
    let option = |name: &str| options.as_ref().and_then(|options| options.get_name(name));
    let symbols = option("symbolize_names").is_some_and(|names| names.is_truthy());
    let text = match call.at(0) {
        io if ruby.responds(&io, "read") => {
            let text = ruby.send(&io, "read", Vec::new())?;
            ruby.str(&text)?
        }
        text => ruby.str(&text)?,
    };
    let name = name.unwrap_or_else(|| "<unknown>".to_owned());
    let documents = documents(ruby, &text, &name, symbols)?;
    let nothing = option("fallback").unwrap_or(match call.name.contains("safe") {
        true => Value::Nil,
        false => Value::Bool(false),
    });
    Ok(documents.into_iter().next().unwrap_or(nothing))
}

fn documents(
    ruby: &mut Interpreter<'_>,
    text: &str,
    name: &str,
    symbols: bool,
) -> Eval<Vec<Value>> {
    ruby.step(text.len() as u64 / 4)?;
    ruby.allocate(text.len() * 4)?;
    let mut builder = Builder {
        symbols,
        stack: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, _)) => builder.event(ruby, event)?,
            Err(error) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                let message = format!("({name}): {} at line {line} column {column}", error.info());
                return Err(ruby.raise("YAML::SyntaxError", message));
            }
        }
    }
    Ok(builder.documents)
}

/// What is open while a document is read.
struct Builder {
    symbols: bool,
    stack: Vec<Open>,
    anchors: HashMap<usize, Value>,
    documents: Vec<Value>,
}

enum Open {
    List(usize, Vec<Value>),
    /// With the key that waits for its value.
    Table(usize, Vec<(Value, Value)>, Option<Value>),
}

impl Builder {
    fn event(&mut self, ruby: &mut Interpreter<'_>, event: Event<'_>) -> Eval<()> {
        ruby.step(1)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(ruby, &text, style, tag.as_ref())?;
                self.done(ruby, anchor, value)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.done(ruby, 0, value)
            }
            Event::SequenceStart(anchor, _) => self.open(ruby, Open::List(anchor, Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.open(ruby, Open::Table(anchor, Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List(anchor, items)) => {
                    let value = ruby.array(items)?;
                    self.done(ruby, anchor, value)
                }
                Some(Open::Table(anchor, entries, _)) => {
                    let value = table(ruby, entries)?;
                    self.done(ruby, anchor, value)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, ruby: &mut Interpreter<'_>, open: Open) -> Eval<()> {
        if self.stack.len() >= DEPTH {
            return Err(too_deep(ruby));
        }
        self.stack.push(open);
        Ok(())
    }

    fn done(&mut self, ruby: &mut Interpreter<'_>, anchor: usize, value: Value) -> Eval<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.stack.last_mut() {
            None => self.documents.push(value),
            Some(Open::List(_, items)) => {
                items.push(value);
                ruby.allocate(32)?;
            }
            Some(Open::Table(_, entries, waiting)) => match waiting.take() {
                Some(key) => {
                    entries.push((key, value));
                    ruby.allocate(64)?;
                }
                None => {
                    let key = match &value {
                        Value::Str(text) if self.symbols && *text.text.borrow() != "<<" => {
                            Value::symbol(&text.text.borrow())
                        }
                        _ => value,
                    };
                    *waiting = Some(key);
                }
            },
        }
        Ok(())
    }
}

fn too_deep(ruby: &mut Interpreter<'_>) -> Error {
    let message = format!("YAML is nested more than {DEPTH} levels deep");
    ruby.fail("limit", message, None, None)
}

/// A hash; what `<<` names comes first, so that the entries beside it win.
fn table(ruby: &mut Interpreter<'_>, entries: Vec<(Value, Value)>) -> Eval {
    let mut map = Map::new();
    for (key, value) in entries {
        let merges = key.as_text().as_deref() == Some("<<");
        let sources = match &value {
            Value::Hash(_) if merges => vec![value.clone()],
            Value::Array(array) if merges => array.items.borrow().clone(),
            _ => {
                map.insert(Key::of_own(key), value);
                continue;
            }
        };
        for source in sources {
            for (key, value) in ruby.entries(&source)? {
                ruby.step(1)?;
                map.entry(Key::of_own(key)).or_insert(value);
            }
        }
    }
    Ok(Value::Hash(ruby.new_hash(map)?))
}

fn scalar(
    ruby: &mut Interpreter<'_>,
    text: &str,
    style: ScalarStyle,
    tag: Option<&Cow<'_, Tag>>,
) -> Eval {
    ruby.allocate(text.len() + 32)?;
    match tag.map(|tag| &*tag.suffix) {
        Some("str") => return Ok(Value::text(text)),
        Some("int") => {
            let value = Value::text(text);
            return ruby.send(&value, "to_i", Vec::new());
        }
        Some("float") => {
            let value = Value::text(text);
            return ruby.send(&value, "to_f", Vec::new());
        }
        Some("ruby/symbol" | "ruby/sym") => return Ok(Value::symbol(text)),
        _ => {}
    }
    if style != ScalarStyle::Plain {
        return Ok(match text.strip_prefix(':') {
            Some(name)
                if is_symbol(name)
                    && style != ScalarStyle::Literal
                    && style != ScalarStyle::Folded =>
            {
                Value::symbol(name)
            }
            _ => Value::text(text),
        });
    }
    Ok(plain(text))
}

fn is_symbol(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|char| char.is_alphanumeric() || char == '_')
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Nil,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if let Some(name) = text.strip_prefix(':')
        && !name.is_empty()
        && !name.starts_with([' ', ':'])
    {
        return Value::symbol(name.trim_matches(['"', '\'']));
    }
    integer(text)
        .map(Value::Int)
        .or_else(|| float(text).map(Value::Float))
        .unwrap_or_else(|| Value::text(text))
}

pub(super) fn is_special(text: &str) -> bool {
    !matches!(plain(text), Value::Str(_))
}

/// `12`, `1_000`, `0x1f`, `0b11`, `017`, and `1:30` in base sixty.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let bare = digits.replace(['_', ','], "");
    let value = if let Some(hex) = bare.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if let Some(binary) = bare.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if bare.contains(':') {
        sexagesimal(&bare)?
    } else if bare.len() > 1 && bare.starts_with('0') {
        i64::from_str_radix(&bare[1..], 8).ok()?
    } else {
        bare.parse().ok()?
    };
    Some(sign * value)
}

/// `12:30:00`, and `12:30`, which Psych takes for hours and minutes.
fn sexagesimal(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    let mut value: i64 = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        let first = unit == 3600;
        let fits = first || (1..=2).contains(&part.len());
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let part: i64 = part.parse().ok().filter(|_| fits && digits)?;
        if !first && part >= 60 {
            return None;
        }
        value = value.checked_add(part.checked_mul(unit)?)?;
    }
    Some(value)
}

fn float(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '+']);
    let starts = digits.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    let only = digits.chars().all(|char| {
        char.is_ascii_digit() || matches!(char, '.' | 'e' | 'E' | '-' | '+' | '_' | ',')
    });
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "+0"));
    let real = mantissa.contains('.') && exponent.starts_with(['+', '-']);
    if !(starts && has_digit && only && real) {
        return None;
    }
    text.replace(['_', ','], "").parse().ok()
}
