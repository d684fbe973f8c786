//! `String`: looking for something in one, and taking parts of it.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::string::text;
use crate::value::{Match, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    ruby.classes.string.clone().natives(METHODS);
}

const METHODS: &[Entry] = &[
    ("[]", 1, 2, slice),
    ("slice", 1, 2, slice),
    ("byteslice", 1, 2, slice),
    ("include?", 1, 1, |ruby, me, call| {
        let wanted = ruby.str(&call.args[0])?;
        Ok(Value::Bool(text(me).contains(&*wanted)))
    }),
    ("start_with?", 0, ANY, |ruby, me, call| {
        let text = text(me);
        for prefix in &call.args {
            let starts = match prefix {
                Value::Regex(pattern) => pattern
                    .regex
                    .find(&text)
                    .is_some_and(|found| found.start() == 0),
                prefix => text.starts_with(&*ruby.str(prefix)?),
            };
            if starts {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    ("end_with?", 0, ANY, |ruby, me, call| {
        let text = text(me);
        for suffix in &call.args {
            if text.ends_with(&*ruby.str(suffix)?) {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    ("index", 1, 2, |ruby, me, call| {
        let text = text(me);
        let from = match call.args.get(1) {
            Some(from) => {
                let from = ruby.int(from)?;
                char_offset(
                    &text,
                    resolve(from, text.chars().count()).unwrap_or(usize::MAX),
                )
            }
            None => 0,
        };
        let Some(rest) = text.get(from..) else {
            return Ok(Value::Nil);
        };
        let found = match &call.args[0] {
            Value::Regex(pattern) => pattern.regex.find(rest).map(|found| found.start()),
            wanted => rest.find(&*ruby.str(wanted)?),
        };
        Ok(position(&text, found.map(|at| at + from)))
    }),
    ("rindex", 1, 1, |ruby, me, call| {
        let text = text(me);
        let found = match &call.args[0] {
            Value::Regex(pattern) => pattern
                .regex
                .find_iter(&text)
                .last()
                .map(|found| found.start()),
            wanted => text.rfind(&*ruby.str(wanted)?),
        };
        Ok(position(&text, found))
    }),
    ("count", 1, ANY, |ruby, me, call| {
        let set = super::string_change::Set::new(&ruby.str(&call.args[0])?);
        Ok(Value::Int(
            text(me).chars().filter(|char| set.has(*char)).count() as i64,
        ))
    }),
    ("=~", 1, 1, |ruby, me, call| match &call.args[0] {
        Value::Regex(_) => ruby.send(&call.args[0].clone(), "=~", vec![me.clone()]),
        Value::Str(_) => Err(ruby.raise("TypeError", "type mismatch: String given")),
        _ => Ok(Value::Nil),
    }),
    ("match", 1, 2, |ruby, me, call| {
        let pattern = ruby.pattern_of_value(&call.args[0])?;
        ruby.send_with(
            &Value::Regex(pattern),
            "match",
            vec![me.clone()],
            call.block,
        )
    }),
    ("match?", 1, 2, |ruby, me, call| {
        let pattern = ruby.pattern_of_value(&call.args[0])?;
        Ok(Value::Bool(pattern.regex.is_match(&text(me))))
    }),
    ("scan", 1, 1, scan),
    ("split", 0, 2, split),
    ("partition", 1, 1, |ruby, me, call| {
        let text = text(me);
        let found = find_span(ruby, &text, &call.args[0], false)?;
        parts(ruby, &text, found, false)
    }),
    ("rpartition", 1, 1, |ruby, me, call| {
        let text = text(me);
        let found = find_span(ruby, &text, &call.args[0], true)?;
        parts(ruby, &text, found, true)
    }),
];

/// An index that may count from the end.
pub(super) fn resolve(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The byte that a character begins at.
fn char_offset(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index;
    }
    match text.char_indices().nth(index) {
        Some((offset, _)) => offset,
        None if index == text.chars().count() => text.len(),
        None => usize::MAX,
    }
}

/// A byte as the number of its character.
fn position(text: &str, offset: Option<usize>) -> Value {
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => Value::Int(before.chars().count() as i64),
        None => Value::Nil,
    }
}

/// Where a range begins in something of a length, and how much it has of it.
pub(super) fn range_of(
    ruby: &mut Interpreter<'_>,
    range: &crate::value::Range,
    length: usize,
) -> Eval<Option<(usize, usize)>> {
    let first = match &range.first {
        Value::Nil => 0,
        first => ruby.int(first)?,
    };
    let last = match &range.last {
        Value::Nil => -1,
        last => ruby.int(last)?,
    };
    let Some(start) = resolve(first, length).filter(|start| *start <= length) else {
        return Ok(None);
    };
    let exclusive = range.exclusive && !range.last.is_nil();
    let end = if last < 0 { last + length as i64 } else { last };
    let end = if exclusive {
        end
    } else {
        end.saturating_add(1)
    };
    let end = usize::try_from(end).unwrap_or(0).min(length);
    Ok(Some((start, end.saturating_sub(start))))
}

/// `s[1]`, `s[1, 2]`, `s[1..2]`, `s["x"]`, `s[/x/]`, `s[/(x)/, 1]`
fn slice(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let text = text(me);
    let found = slice_span(ruby, &text, &call)?;
    match found.and_then(|(start, end)| text.get(start..end)) {
        Some(part) => ruby.string(part),
        None => Ok(Value::Nil),
    }
}

/// The bytes that an index means.
pub(super) fn slice_span(
    ruby: &mut Interpreter<'_>,
    text: &str,
    call: &Call,
) -> Eval<Option<(usize, usize)>> {
    let length = text.chars().count();
    let (start, count) = match (&call.args[0], call.args.get(1)) {
        (Value::Regex(pattern), group) => {
            let found = ruby.find_match(pattern, text, 0)?;
            let Some(found) = found else { return Ok(None) };
            let group = group_of(ruby, &found, group)?;
            return Ok(group.and_then(|group| found.groups.get(group).copied().flatten()));
        }
        (Value::Str(wanted), _) => {
            let wanted = wanted.text.borrow().clone();
            return Ok(text.find(&*wanted).map(|at| (at, at + wanted.len())));
        }
        (Value::Range(range), _) => match range_of(ruby, range, length)? {
            Some(found) => found,
            None => return Ok(None),
        },
        (index, count) => {
            let index = ruby.int(index)?;
            let Some(start) = resolve(index, length) else {
                return Ok(None);
            };
            match count {
                Some(count) => {
                    let count = ruby.int(count)?;
                    match usize::try_from(count) {
                        Ok(count) if start <= length => (start, count),
                        _ => return Ok(None),
                    }
                }
                None if start < length => (start, 1),
                None => return Ok(None),
            }
        }
    };
    let end = start.saturating_add(count).min(length);
    Ok(Some((char_offset(text, start), char_offset(text, end))))
}

/// A group by number or name.
pub(super) fn group_of(
    ruby: &mut Interpreter<'_>,
    found: &Match,
    group: Option<&Value>,
) -> Eval<Option<usize>> {
    match group {
        None => Ok(Some(0)),
        Some(Value::Int(group)) => Ok(resolve(*group, found.groups.len())),
        Some(name) => {
            let name = ruby.name_of(name)?;
            match found.named(&name) {
                Some(group) => Ok(Some(group)),
                None => {
                    let message = format!("undefined group name reference: {name}");
                    Err(ruby.raise("IndexError", message))
                }
            }
        }
    }
}

fn scan(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let text = text(me);
    let pattern = ruby.literal_pattern_of(&call.args[0])?;
    let mut found_all = Vec::new();
    for found in ruby.all_matches(&pattern, &text)? {
        let groups = found.groups.len();
        let item = if groups == 1 {
            Value::text(found.group(0).unwrap_or_default())
        } else {
            let group = |group| found.group(group).map_or(Value::Nil, Value::text);
            ruby.array((1..groups).map(group).collect())?
        };
        match &call.block {
            Some(block) => {
                ruby.set_found(Some(found));
                ruby.ask(block, &item)?;
            }
            None => {
                ruby.set_found(Some(found));
                ruby.allocate(64)?;
                found_all.push(item);
            }
        }
    }
    match call.block {
        Some(_) => Ok(me.clone()),
        None => ruby.array(found_all),
    }
}

fn split(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let text = text(me);
    let limit = match call.args.get(1) {
        Some(limit) => ruby.int(limit)?,
        None => 0,
    };
    ruby.allocate(text.len())?;
    let most = usize::try_from(limit)
        .ok()
        .filter(|most| *most > 0)
        .unwrap_or(usize::MAX);
    let mut pieces: Vec<String> = match call.at(0) {
        Value::Regex(pattern) => split_pattern(&pattern.regex, &text, most),
        Value::Nil => split_blank(&text, most),
        by => match &*ruby.str(&by)? {
            " " => split_blank(&text, most),
            "" => split_pattern(
                &regex::Regex::new("").map_err(|_| ruby.too_large())?,
                &text,
                most,
            ),
            by => text.splitn(most, by).map(str::to_owned).collect(),
        },
    };
    if limit == 0 {
        while pieces.last().is_some_and(String::is_empty) {
            pieces.pop();
        }
    }
    ruby.allocate(pieces.len() * 64)?;
    let pieces = pieces.into_iter().map(Value::text).collect();
    let pieces = ruby.array(pieces)?;
    match call.block {
        Some(block) => {
            for piece in ruby.iterate(&pieces)? {
                ruby.ask(&block, &piece)?;
            }
            Ok(me.clone())
        }
        None => Ok(pieces),
    }
}

fn split_blank(text: &str, most: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && pieces.len() + 1 < most {
        match rest.find(char::is_whitespace) {
            Some(end) => {
                pieces.push(rest[..end].to_owned());
                rest = rest[end..].trim_start();
                if rest.is_empty() && most == usize::MAX {
                    return pieces;
                }
            }
            None => break,
        }
    }
    pieces.push(rest.to_owned());
    pieces
}

fn split_pattern(regex: &regex::Regex, text: &str, most: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        if pieces.len() + 1 >= most {
            break;
        }
        let empty = whole.start() == whole.end();
        if empty && (whole.start() == 0 || whole.start() >= text.len()) {
            continue;
        }
        pieces.push(text[start..whole.start()].to_owned());
        pieces.extend(
            found
                .iter()
                .skip(1)
                .flatten()
                .map(|group| group.as_str().to_owned()),
        );
        start = whole.end();
    }
    if !text.is_empty() {
        pieces.push(text[start..].to_owned());
    }
    pieces
}

fn find_span(
    ruby: &mut Interpreter<'_>,
    text: &str,
    wanted: &Value,
    last: bool,
) -> Eval<Option<(usize, usize)>> {
    if let Value::Regex(pattern) = wanted {
        let mut found = pattern
            .regex
            .find_iter(text)
            .map(|found| (found.start(), found.end()));
        return Ok(if last { found.last() } else { found.next() });
    }
    let wanted = ruby.str(wanted)?;
    let at = if last {
        text.rfind(&*wanted)
    } else {
        text.find(&*wanted)
    };
    Ok(at.map(|at| (at, at + wanted.len())))
}

fn parts(
    ruby: &mut Interpreter<'_>,
    text: &str,
    found: Option<(usize, usize)>,
    last: bool,
) -> Eval {
    let parts = match found {
        Some((start, end)) => [&text[..start], &text[start..end], &text[end..]],
        None if last => ["", "", text],
        None => [text, "", ""],
    };
    ruby.array(parts.into_iter().map(Value::text).collect())
}

/// The string after this one: `"a9".succ` is `"b0"`.
pub(crate) fn successor(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let has_letters = chars.iter().any(char::is_ascii_alphanumeric);
    let mut at = chars.len();
    let mut last_changed = None;
    while at > 0 {
        at -= 1;
        let char = chars[at];
        if has_letters && !char.is_ascii_alphanumeric() {
            // What separates letters is skipped, unless the rightmost have been changed already.
            if last_changed.is_some() && !chars[..at].iter().any(char::is_ascii_alphanumeric) {
                break;
            }
            continue;
        }
        last_changed = Some(at);
        let (next, carries) = match char {
            'z' => ('a', true),
            'Z' => ('A', true),
            '9' => ('0', true),
            char => (char::from_u32(char as u32 + 1).unwrap_or('a'), false),
        };
        chars[at] = next;
        if !carries {
            return chars.into_iter().collect();
        }
    }
    if let Some(at) = last_changed {
        let first = match chars[at] {
            '0' => '1',
            char => char,
        };
        chars.insert(at, first);
    }
    chars.into_iter().collect()
}

impl Interpreter<'_> {
    /// Sets `$~` where the call under way stands.
    pub(super) fn set_found(&mut self, found: Option<Match>) {
        if let Some(env) = self.callers.last() {
            let value = found.map_or(Value::Nil, |found| Value::Match(Rc::new(found)));
            *env.frame.found.borrow_mut() = value;
        }
    }
}
