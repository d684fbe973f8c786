//! `String`: replacing, and changing one in its place.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::library::string::text;
use crate::value::{Match, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let string = ruby.classes.string.clone();
    string.natives(METHODS);
    string.natives(IN_PLACE);
    string.natives(BANGS);
}

const METHODS: &[Entry] = &[
    ("sub", 1, 2, |ruby, me, call| {
        let text = replaced(ruby, me, &call, false)?;
        ruby.string(text)
    }),
    ("gsub", 1, 2, |ruby, me, call| {
        let text = replaced(ruby, me, &call, true)?;
        ruby.string(text)
    }),
    ("tr", 2, 2, |ruby, me, call| {
        let (from, to) = (ruby.str(&call.args[0])?, ruby.str(&call.args[1])?);
        ruby.string(translate(&text(me), &from, &to))
    }),
    ("tr_s", 2, 2, |ruby, me, call| {
        let (from, to) = (ruby.str(&call.args[0])?, ruby.str(&call.args[1])?);
        let set = Set::new(&from);
        let mut out = String::new();
        for char in text(me).chars() {
            let new = translate(&char.to_string(), &from, &to);
            if !(set.has(char) && out.ends_with(&*new)) {
                out.push_str(&new);
            }
        }
        ruby.string(out)
    }),
    ("delete", 1, ANY, |ruby, me, call| {
        let set = Set::new(&ruby.str(&call.args[0])?);
        ruby.string(
            text(me)
                .chars()
                .filter(|char| !set.has(*char))
                .collect::<String>(),
        )
    }),
];

const IN_PLACE: &[Entry] = &[
    ("<<", 1, 1, append),
    ("concat", 0, ANY, |ruby, me, call| {
        for more in call.args {
            let call = ruby.new_call("<<", vec![more]);
            append(ruby, me, call)?;
        }
        Ok(me.clone())
    }),
    ("prepend", 0, ANY, |ruby, me, call| {
        let mut new = String::new();
        for more in &call.args {
            new.push_str(&ruby.str(more)?);
        }
        new.push_str(&text(me));
        put(ruby, me, new)
    }),
    ("replace", 1, 1, |ruby, me, call| {
        let new = ruby.str(&call.args[0])?;
        put(ruby, me, new)
    }),
    ("clear", 0, 0, |ruby, me, _| put(ruby, me, String::new())),
    ("insert", 2, 2, |ruby, me, call| {
        let (old, more) = (text(me), ruby.str(&call.args[1])?);
        let length = old.chars().count();
        let index = ruby.int(&call.args[0])?;
        let index = if index < 0 {
            index + length as i64 + 1
        } else {
            index
        };
        let at = usize::try_from(index).ok().filter(|at| *at <= length);
        let Some(at) = at else {
            return Err(ruby.raise("IndexError", format!("index {index} out of string")));
        };
        let head: String = old.chars().take(at).collect();
        let tail: String = old.chars().skip(at).collect();
        put(ruby, me, format!("{head}{more}{tail}"))
    }),
    ("[]=", 2, 3, |ruby, me, mut call| {
        let old = text(me);
        let value = call.args.pop().unwrap_or_default();
        let new = ruby.str(&value)?;
        match super::string_find::slice_span(ruby, &old, &call)? {
            Some((start, end)) => {
                put(ruby, me, format!("{}{new}{}", &old[..start], &old[end..]))?;
                Ok(value)
            }
            None => Err(ruby.raise("IndexError", "string not matched")),
        }
    }),
    ("slice!", 1, 2, |ruby, me, call| {
        let old = text(me);
        match super::string_find::slice_span(ruby, &old, &call)? {
            Some((start, end)) => {
                put(ruby, me, format!("{}{}", &old[..start], &old[end..]))?;
                ruby.string(&old[start..end])
            }
            None => Ok(Value::Nil),
        }
    }),
];

/// Each does what the one without `!` does, in place; `nil` if nothing changed.
const BANGS: &[Entry] = &[
    ("upcase!", 0, 1, bang),
    ("downcase!", 0, 1, bang),
    ("capitalize!", 0, 1, bang),
    ("swapcase!", 0, 1, bang),
    ("strip!", 0, 0, bang),
    ("lstrip!", 0, 0, bang),
    ("rstrip!", 0, 0, bang),
    ("chomp!", 0, 1, bang),
    ("chop!", 0, 0, bang),
    ("reverse!", 0, 0, bang),
    ("squeeze!", 0, 1, bang),
    ("sub!", 1, 2, bang),
    ("gsub!", 1, 2, bang),
    ("tr!", 2, 2, bang),
    ("delete!", 1, ANY, bang),
    ("succ!", 0, 0, bang),
    ("next!", 0, 0, bang),
    ("delete_prefix!", 1, 1, bang),
    ("delete_suffix!", 1, 1, bang),
    ("encode!", 0, ANY, bang),
    ("scrub!", 0, 1, bang),
];

fn bang(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    call.name = call.name.trim_end_matches('!').into();
    let new = ruby.dispatch(me, call, false)?;
    let new = text(&new);
    if new == text(me) {
        ruby.own_str(me)?;
        return Ok(Value::Nil);
    }
    put(ruby, me, new)
}

/// The string gets another text.
fn put(ruby: &mut Interpreter<'_>, me: &Value, new: String) -> Eval {
    ruby.room(new.len())?;
    let own = ruby.own_str(me)?;
    *own.text.borrow_mut() = new;
    Ok(me.clone())
}

fn append(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let more = match &call.args[0] {
        Value::Int(code) => {
            let char = u32::try_from(*code).ok().and_then(char::from_u32);
            char.map(String::from).unwrap_or_default()
        }
        more => ruby.str(more)?,
    };
    let own = ruby.own_str(me)?;
    let length = own.text.borrow().len() + more.len();
    if length > ruby.limits.string {
        ruby.room(length)?;
    }
    ruby.allocate(more.len())?;
    own.text.borrow_mut().push_str(&more);
    Ok(me.clone())
}

/// `sub` and `gsub`: by a text, a hash or a block.
fn replaced(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, all: bool) -> Eval<String> {
    let text = text(me);
    let pattern = ruby.literal_pattern_of(&call.args[0])?;
    let mut out = String::new();
    let mut end = 0;
    let matches = match all {
        true => ruby.all_matches(&pattern, &text)?,
        false => ruby.find_match(&pattern, &text, 0)?.into_iter().collect(),
    };
    if matches.is_empty() {
        ruby.set_found(None);
    }
    for found in matches {
        let Some((start, stop)) = found.groups[0] else {
            continue;
        };
        out.push_str(&text[end..start]);
        end = stop;
        let new = replacement(ruby, &found, call)?;
        out.push_str(&new);
        if out.len() > ruby.limits.string {
            ruby.room(out.len())?;
        }
        ruby.set_found(Some(found));
    }
    out.push_str(&text[end..]);
    Ok(out)
}

fn replacement(ruby: &mut Interpreter<'_>, found: &Match, call: &Call) -> Eval<String> {
    let whole = found.group(0).unwrap_or_default();
    match (call.args.get(1), &call.block) {
        (Some(Value::Hash(hash)), _) => {
            let new = hash.get(&Value::text(whole)).unwrap_or_default();
            ruby.to_s(&new)
        }
        (Some(template), _) => {
            let template = ruby.str(template)?;
            Ok(expand(&template, found))
        }
        (None, Some(block)) => {
            ruby.set_found(Some(Match {
                text: found.text.clone(),
                groups: found.groups.clone(),
                names: found.names.clone(),
            }));
            let new = ruby.ask(block, &Value::text(whole))?;
            ruby.to_s(&new)
        }
        (None, None) => Err(ruby.wrong_count(1, "2")),
    }
}

/// `\1`, `\0`, `\k<name>` in a replacement.
fn expand(template: &str, found: &Match) -> String {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some(digit @ '0'..='9') => {
                let group = digit as usize - '0' as usize;
                out.push_str(found.group(group).unwrap_or_default());
            }
            Some('&') => out.push_str(found.group(0).unwrap_or_default()),
            Some('k') if chars.peek() == Some(&'<') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|char| *char != '>').collect();
                let group = found.named(&name).and_then(|group| found.group(group));
                out.push_str(group.unwrap_or_default());
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// A set of characters as `tr`, `delete` and `count` take it: `a-z`, `^0-9`.
pub(super) struct Set {
    chars: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    pub fn new(text: &str) -> Self {
        let negated = text.len() > 1 && text.starts_with('^');
        let text = if negated { &text[1..] } else { text };
        Self {
            chars: ranges(text),
            negated,
        }
    }

    pub fn has(&self, char: char) -> bool {
        let listed = self
            .chars
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&char));
        listed != self.negated
    }

    /// The place of a character among those listed.
    fn index(&self, char: char) -> Option<usize> {
        let mut before = 0;
        for (first, last) in &self.chars {
            if (*first..=*last).contains(&char) {
                return Some(before + (char as usize - *first as usize));
            }
            before += (*last as usize).saturating_sub(*first as usize) + 1;
        }
        None
    }

    fn nth(&self, mut index: usize) -> Option<char> {
        for (first, last) in &self.chars {
            let count = (*last as usize).saturating_sub(*first as usize) + 1;
            if index < count {
                return char::from_u32(*first as u32 + index as u32);
            }
            index -= count;
        }
        self.chars.last().map(|(_, last)| *last)
    }
}

fn ranges(text: &str) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(mut first) = chars.next() {
        if first == '\\' {
            first = chars.next().unwrap_or('\\');
        }
        if chars.peek() == Some(&'-') {
            chars.next();
            match chars.next() {
                Some(last) => ranges.push((first, last)),
                None => ranges.extend([(first, first), ('-', '-')]),
            }
        } else {
            ranges.push((first, first));
        }
    }
    ranges
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let (from, to) = (
        Set::new(from),
        Set {
            chars: ranges(to),
            negated: false,
        },
    );
    let change = |char: char| {
        if !from.has(char) {
            return Some(char);
        }
        match from.negated {
            true => to.chars.last().map(|(_, last)| *last),
            false => to.nth(from.index(char).unwrap_or(0)),
        }
    };
    text.chars().filter_map(change).collect()
}
