//! `String`: what makes new strings of one, or asks about it.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let string = ruby.classes.string.clone();
    string.natives(METHODS);
    string.natives(CASES);
    string.natives(PARTS);
    string.natives(NUMBERS);
    string.meta().natives(&[("new", 0, 2, |ruby, _, mut call| {
        call.take_options();
        let text = match call.args.first() {
            Some(text) => ruby.str(text)?,
            None => String::new(),
        };
        ruby.string(text)
    })]);
}

/// The text of the string that a method belongs to.
pub(super) fn text(me: &Value) -> String {
    me.as_text().unwrap_or_default()
}

const METHODS: &[Entry] = &[
    ("to_s", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_str", 0, 0, |_, me, _| Ok(me.clone())),
    ("inspect", 0, 0, |ruby, me, _| {
        ruby.string(super::inspect::quote(&text(me)))
    }),
    ("dump", 0, 0, |ruby, me, _| {
        ruby.string(super::inspect::quote(&text(me)))
    }),
    ("to_sym", 0, 0, |_, me, _| Ok(Value::symbol(&text(me)))),
    ("intern", 0, 0, |_, me, _| Ok(Value::symbol(&text(me)))),
    ("+", 1, 1, |ruby, me, call| {
        let mut joined = text(me);
        joined.push_str(&ruby.str(&call.args[0])?);
        ruby.string(joined)
    }),
    ("*", 1, 1, |ruby, me, call| {
        let (text, count) = (text(me), ruby.count(&call.args[0])?);
        ruby.room(text.len().saturating_mul(count))?;
        Ok(Value::text(text.repeat(count)))
    }),
    ("%", 1, 1, |ruby, me, call| {
        let mut args = vec![me.clone()];
        match &call.args[0] {
            Value::Array(array) => args.extend(array.items.borrow().iter().cloned()),
            other => args.push(other.clone()),
        }
        let text = super::format::format(ruby, &args)?;
        ruby.string(text)
    }),
    ("+@", 0, 0, |ruby, me, _| match me {
        Value::Str(text) if !text.frozen.get() => Ok(me.clone()),
        _ => super::object::copy(ruby, me),
    }),
    ("-@", 0, 0, |_, me, _| Ok(me.clone())),
    ("length", 0, 0, |_, me, _| {
        Ok(Value::Int(text(me).chars().count() as i64))
    }),
    ("size", 0, 0, |_, me, _| {
        Ok(Value::Int(text(me).chars().count() as i64))
    }),
    ("bytesize", 0, 0, |_, me, _| {
        Ok(Value::Int(text(me).len() as i64))
    }),
    ("empty?", 0, 0, |_, me, _| {
        Ok(Value::Bool(text(me).is_empty()))
    }),
    ("casecmp", 1, 1, |ruby, me, call| {
        let other = ruby.str(&call.args[0])?.to_ascii_lowercase();
        Ok(Value::Int(text(me).to_ascii_lowercase().cmp(&other) as i64))
    }),
    ("casecmp?", 1, 1, |ruby, me, call| {
        let other = ruby.str(&call.args[0])?.to_lowercase();
        Ok(Value::Bool(text(me).to_lowercase() == other))
    }),
    ("eql?", 1, 1, |_, me, call| {
        Ok(Value::Bool(call.args[0].as_text() == me.as_text()))
    }),
    ("===", 1, 1, |_, me, call| {
        Ok(Value::Bool(call.args[0].as_text() == me.as_text()))
    }),
    ("ord", 0, 0, |ruby, me, _| match text(me).chars().next() {
        Some(char) => Ok(Value::Int(i64::from(char as u32))),
        None => Err(ruby.raise("ArgumentError", "empty string")),
    }),
    ("sum", 0, 1, |_, me, _| {
        let sum: u32 = text(me).bytes().map(u32::from).sum();
        Ok(Value::Int(i64::from(sum & 0xffff)))
    }),
    ("crypt", 1, 1, |ruby, _, _| {
        Err(ruby.unsupported("`crypt`", None))
    }),
    ("encoding", 0, 0, |_, _, _| Ok(Value::text("UTF-8"))),
    ("force_encoding", 1, 1, |_, me, _| Ok(me.clone())),
    ("encode", 0, ANY, |ruby, me, _| {
        super::object::copy(ruby, me)
    }),
    ("unicode_normalize", 0, 1, |ruby, me, _| {
        super::object::copy(ruby, me)
    }),
    ("shellescape", 0, 0, words),
    ("shellsplit", 0, 0, words),
    ("valid_encoding?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    ("ascii_only?", 0, 0, |_, me, _| {
        Ok(Value::Bool(text(me).is_ascii()))
    }),
    ("b", 0, 0, |ruby, me, _| super::object::copy(ruby, me)),
    ("scrub", 0, 1, |ruby, me, _| super::object::copy(ruby, me)),
    ("unpack", 1, 1, |ruby, _, _| {
        Err(ruby.unsupported("`unpack`", None))
    }),
    ("unpack1", 1, 1, |ruby, _, _| {
        Err(ruby.unsupported("`unpack1`", None))
    }),
    ("hash", 0, 0, |_, me, _| {
        use std::hash::{Hash as _, Hasher as _};
        let mut hasher = std::hash::DefaultHasher::new();
        text(me).hash(&mut hasher);
        Ok(Value::Int((hasher.finish() >> 2) as i64))
    }),
];

const CASES: &[Entry] = &[
    ("upcase", 0, 1, |ruby, me, _| {
        ruby.string(text(me).to_uppercase())
    }),
    ("downcase", 0, 1, |ruby, me, _| {
        ruby.string(text(me).to_lowercase())
    }),
    ("capitalize", 0, 1, |ruby, me, _| {
        ruby.string(capitalized(&text(me)))
    }),
    ("swapcase", 0, 1, |ruby, me, _| {
        ruby.string(swapped(&text(me)))
    }),
    ("strip", 0, 0, |ruby, me, _| {
        ruby.string(text(me).trim_matches(is_blank))
    }),
    ("lstrip", 0, 0, |ruby, me, _| {
        ruby.string(text(me).trim_start_matches(is_blank))
    }),
    ("rstrip", 0, 0, |ruby, me, _| {
        ruby.string(text(me).trim_end_matches(is_blank))
    }),
    ("chomp", 0, 1, |ruby, me, call| {
        let text = text(me);
        let chomped = match call.args.first() {
            None => chomp(&text).to_owned(),
            Some(end) => {
                let end = ruby.str(end)?;
                match end.is_empty() {
                    true => text.trim_end_matches('\n').to_owned(),
                    false => text.strip_suffix(&*end).unwrap_or(&text).to_owned(),
                }
            }
        };
        ruby.string(chomped)
    }),
    ("chop", 0, 0, |ruby, me, _| {
        let mut text = text(me);
        text.pop();
        ruby.string(text)
    }),
    ("chr", 0, 0, |ruby, me, _| {
        ruby.string(text(me).chars().take(1).collect::<String>())
    }),
    ("reverse", 0, 0, |ruby, me, _| {
        ruby.string(text(me).chars().rev().collect::<String>())
    }),
    ("squeeze", 0, 1, |ruby, me, call| {
        let set = match call.args.first() {
            Some(set) => Some(super::string_change::Set::new(&ruby.str(set)?)),
            None => None,
        };
        let mut out = String::new();
        for char in text(me).chars() {
            let counts = set.as_ref().is_none_or(|set| set.has(char));
            if !(counts && out.ends_with(char)) {
                out.push(char);
            }
        }
        ruby.string(out)
    }),
    ("ljust", 1, 2, |ruby, me, call| {
        justify(ruby, me, &call, |_, all| (0, all))
    }),
    ("rjust", 1, 2, |ruby, me, call| {
        justify(ruby, me, &call, |_, all| (all, 0))
    }),
    ("center", 1, 2, |ruby, me, call| {
        justify(ruby, me, &call, |_, all| (all / 2, all - all / 2))
    }),
    ("succ", 0, 0, |ruby, me, _| {
        ruby.string(super::string_find::successor(&text(me)))
    }),
    ("next", 0, 0, |ruby, me, _| {
        ruby.string(super::string_find::successor(&text(me)))
    }),
    ("delete_prefix", 1, 1, |ruby, me, call| {
        let (text, prefix) = (text(me), ruby.str(&call.args[0])?);
        ruby.string(text.strip_prefix(&*prefix).unwrap_or(&text))
    }),
    ("delete_suffix", 1, 1, |ruby, me, call| {
        let (text, suffix) = (text(me), ruby.str(&call.args[0])?);
        ruby.string(text.strip_suffix(&*suffix).unwrap_or(&text))
    }),
];

const PARTS: &[Entry] = &[
    ("chars", 0, 0, |ruby, me, _| {
        let text = text(me);
        ruby.allocate(text.len() * 64)?;
        ruby.array(
            text.chars()
                .map(|char| Value::text(char.to_string()))
                .collect(),
        )
    }),
    ("bytes", 0, 0, |ruby, me, _| {
        ruby.array(
            text(me)
                .bytes()
                .map(|byte| Value::Int(i64::from(byte)))
                .collect(),
        )
    }),
    ("codepoints", 0, 0, |ruby, me, _| {
        ruby.array(
            text(me)
                .chars()
                .map(|char| Value::Int(i64::from(char as u32)))
                .collect(),
        )
    }),
    ("lines", 0, 2, |ruby, me, mut call| {
        let chomp = call.take_options().is_some_and(|options| {
            options
                .get_name("chomp")
                .is_some_and(|chomp| chomp.is_truthy())
        });
        let lines = lines(&text(me), chomp);
        ruby.array(lines)
    }),
    ("each_line", 0, 2, |ruby, me, mut call| {
        let chomp = call.take_options().is_some_and(|options| {
            options
                .get_name("chomp")
                .is_some_and(|chomp| chomp.is_truthy())
        });
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "each_line", Vec::new());
        };
        for line in lines(&text(me), chomp) {
            ruby.ask(&block, &line)?;
        }
        Ok(me.clone())
    }),
    ("each_char", 0, 0, |ruby, me, call| {
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "each_char", Vec::new());
        };
        for char in text(me).chars() {
            ruby.ask(&block, &Value::text(char.to_string()))?;
        }
        Ok(me.clone())
    }),
    ("each_byte", 0, 0, |ruby, me, call| {
        let block = ruby.block(&call)?;
        for byte in text(me).bytes() {
            ruby.ask(&block, &Value::Int(i64::from(byte)))?;
        }
        Ok(me.clone())
    }),
    ("upto", 1, 2, |ruby, me, call| {
        let range = ruby.new_range(me.clone(), call.at(0), call.at(1).is_truthy())?;
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, &range, "each", Vec::new());
        };
        for item in ruby.iterate(&range)? {
            ruby.ask(&block, &item)?;
        }
        Ok(me.clone())
    }),
];

const NUMBERS: &[Entry] = &[
    ("to_i", 0, 1, |ruby, me, call| {
        let base = match call.args.first() {
            Some(base) => ruby.int(base)?,
            None => 10,
        };
        if !(2..=36).contains(&base) {
            return Err(ruby.raise("ArgumentError", format!("invalid radix {base}")));
        }
        match leading_int(&text(me), base as u32) {
            Some(value) => Ok(Value::Int(value)),
            None => Err(ruby.too_large()),
        }
    }),
    ("to_f", 0, 0, |_, me, _| {
        Ok(Value::Float(leading_float(&text(me))))
    }),
    ("to_r", 0, 0, |ruby, _, _| {
        Err(ruby.unsupported("a rational number", None))
    }),
    ("to_c", 0, 0, |ruby, _, _| {
        Err(ruby.unsupported("an imaginary number", None))
    }),
    ("hex", 0, 0, |ruby, me, _| {
        match leading_int(&text(me), 16) {
            Some(value) => Ok(Value::Int(value)),
            None => Err(ruby.too_large()),
        }
    }),
    ("oct", 0, 0, |ruby, me, _| match leading_int(&text(me), 8) {
        Some(value) => Ok(Value::Int(value)),
        None => Err(ruby.too_large()),
    }),
];

/// What `Shellwords` makes of it.
fn words(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let module = ruby.root_constant("Shellwords")?.unwrap_or_default();
    ruby.send(&module, &call.name, vec![me.clone()])
}

fn is_blank(char: char) -> bool {
    char == '\0' || char.is_ascii_whitespace() || char == '\u{b}'
}

pub(super) fn chomp(text: &str) -> &str {
    text.strip_suffix("\r\n")
        .or_else(|| text.strip_suffix(['\n', '\r']))
        .unwrap_or(text)
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

pub(super) fn swapped(text: &str) -> String {
    let swap = |char: char| -> String {
        match char.is_uppercase() {
            true => char.to_lowercase().collect(),
            false => char.to_uppercase().collect(),
        }
    };
    text.chars().map(swap).collect()
}

fn lines(text: &str, without_end: bool) -> Vec<Value> {
    text.split_inclusive('\n')
        .map(|line| Value::text(if without_end { chomp(line) } else { line }))
        .collect()
}

/// Fills up to a width: `split` says how much goes before and behind.
fn justify(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
    split: fn(usize, usize) -> (usize, usize),
) -> Eval {
    let text = text(me);
    let width = ruby.int(&call.args[0])?;
    let pad = match call.args.get(1) {
        Some(pad) => ruby.str(pad)?,
        None => " ".to_owned(),
    };
    if pad.is_empty() {
        return Err(ruby.raise("ArgumentError", "zero width padding"));
    }
    let length = text.chars().count();
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(length);
    ruby.room(missing.saturating_mul(4))?;
    let (before, behind) = split(length, missing);
    let fill = |count: usize| pad.chars().cycle().take(count).collect::<String>();
    ruby.string(format!("{}{text}{}", fill(before), fill(behind)))
}

/// The number that a text begins with, 0 if none; `None` if it is too large.
fn leading_int(text: &str, base: u32) -> Option<i64> {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        16 => "0x",
        2 => "0b",
        8 => "0o",
        _ => "",
    };
    let digits = match digits.get(..2) {
        Some(start) if !prefix.is_empty() && start.eq_ignore_ascii_case(prefix) => &digits[2..],
        _ => digits,
    };
    let mut value: i64 = 0;
    let mut before = '_';
    for char in digits.chars() {
        match char.to_digit(base) {
            Some(digit) => {
                value = value
                    .checked_mul(i64::from(base))?
                    .checked_add(i64::from(digit))?;
            }
            None if char == '_' && before != '_' => {}
            None => break,
        }
        before = char;
    }
    Some(if negative { -value } else { value })
}

fn leading_float(text: &str) -> f64 {
    let text = text.trim_start().replace('_', "");
    let mut best = 0.0;
    let number = |char: char| char.is_ascii_digit() || matches!(char, '.' | '-' | '+' | 'e' | 'E');
    let end = text
        .find(|char| !number(char))
        .unwrap_or(text.len())
        .min(400);
    for length in 1..=end {
        if let Ok(value) = text[..length].parse::<f64>()
            && !text[..length].ends_with('.')
        {
            best = value;
        }
    }
    best
}
