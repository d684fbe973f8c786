//! `Regexp` and `MatchData`. Ruby's syntax is turned into that of a matcher
//! that takes linear time; what it cannot express is an error by name.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Match, Options, Pattern, Value};
use std::rc::Rc;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let regexp = ruby.classes.regexp.clone();
    regexp.natives(METHODS);
    regexp.meta().natives(CLASS);
    let mut constants = regexp.constants.borrow_mut();
    for (name, value) in [("IGNORECASE", 1), ("EXTENDED", 2), ("MULTILINE", 4)] {
        constants.insert(name.into(), Value::Int(value));
    }
    drop(constants);
    ruby.classes.match_data.clone().natives(MATCH);
}

const CLASS: &[Entry] = &[
    ("new", 1, 2, make),
    ("compile", 1, 2, make),
    ("escape", 1, 1, escape),
    ("quote", 1, 1, escape),
    ("union", 0, ANY, |ruby, _, call| {
        let parts = match call.args.first() {
            Some(Value::Array(array)) => array.items.borrow().clone(),
            _ => call.args.clone(),
        };
        let mut sources = Vec::new();
        for part in &parts {
            sources.push(match part {
                Value::Regex(pattern) => embedded(pattern),
                part => escaped(&ruby.str(part)?),
            });
        }
        let pattern = ruby.pattern(&sources.join("|"), Options::default())?;
        Ok(Value::Regex(pattern))
    }),
    ("last_match", 0, 1, |ruby, _, call| {
        let found = ruby.caller().map(|env| env.frame.found.borrow().clone());
        match (found.unwrap_or_default(), call.args.first()) {
            (found @ Value::Match(_), Some(group)) => ruby.send(&found, "[]", vec![group.clone()]),
            (found, _) => Ok(found),
        }
    }),
];

const METHODS: &[Entry] = &[
    ("=~", 1, 1, |ruby, me, call| {
        let found = search(ruby, me, &call.args[0])?;
        Ok(found.map_or(Value::Nil, |found| start(&found)))
    }),
    ("match", 1, 2, |ruby, me, call| {
        let found = search(ruby, me, &call.args[0])?.map(Value::Match);
        match (found, &call.block) {
            (Some(found), Some(block)) => ruby.ask(block, &found),
            (found, _) => Ok(found.unwrap_or_default()),
        }
    }),
    ("match?", 1, 2, |ruby, me, call| {
        let Some(text) = call.args[0].as_name() else {
            return Ok(Value::Bool(false));
        };
        Ok(Value::Bool(
            ruby.pattern_of_value(me)?.regex.is_match(&text),
        ))
    }),
    ("===", 1, 1, |ruby, me, call| match call.args[0].as_name() {
        Some(text) => Ok(Value::Bool(search(ruby, me, &Value::text(text))?.is_some())),
        None => Ok(Value::Bool(false)),
    }),
    ("source", 0, 0, |ruby, me, _| {
        let source = ruby.pattern_of_value(me)?.source.clone();
        ruby.string(source)
    }),
    ("to_s", 0, 0, |ruby, me, _| {
        let text = embedded(&*ruby.pattern_of_value(me)?);
        ruby.string(text)
    }),
    ("names", 0, 0, |ruby, me, _| {
        let pattern = ruby.pattern_of_value(me)?;
        let names = pattern
            .regex
            .capture_names()
            .flatten()
            .map(Value::text)
            .collect();
        ruby.array(names)
    }),
    ("options", 0, 0, |ruby, me, _| {
        let options = ruby.pattern_of_value(me)?.options;
        let bits = i64::from(options.ignore_case)
            | i64::from(options.extended) << 1
            | i64::from(options.multi_line) << 2;
        Ok(Value::Int(bits))
    }),
];

const MATCH: &[Entry] = &[
    ("[]", 1, 2, |ruby, me, call| {
        let found = own(ruby, me)?;
        let group = super::string_find::group_of(ruby, &found, call.args.first())?;
        Ok(group.map_or(Value::Nil, |group| text_of(&found, group)))
    }),
    ("to_a", 0, 0, |ruby, me, _| groups(ruby, me, 0)),
    ("captures", 0, 0, |ruby, me, _| groups(ruby, me, 1)),
    ("deconstruct", 0, 0, |ruby, me, _| groups(ruby, me, 1)),
    ("values_at", 0, ANY, |ruby, me, call| {
        let found = own(ruby, me)?;
        let mut values = Vec::new();
        for group in &call.args {
            let group = super::string_find::group_of(ruby, &found, Some(group))?;
            values.push(group.map_or(Value::Nil, |group| text_of(&found, group)));
        }
        ruby.array(values)
    }),
    ("named_captures", 0, 1, |ruby, me, _| {
        let found = own(ruby, me)?;
        let names = found.names.iter().enumerate();
        let entries = names
            .filter_map(|(group, name)| Some((Value::text(name.clone()?), text_of(&found, group))));
        ruby.hash(entries.collect())
    }),
    ("names", 0, 0, |ruby, me, _| {
        let names = own(ruby, me)?
            .names
            .iter()
            .flatten()
            .cloned()
            .map(Value::text)
            .collect();
        ruby.array(names)
    }),
    ("pre_match", 0, 0, |ruby, me, _| {
        let found = own(ruby, me)?;
        let end = found.groups[0].map_or(0, |(start, _)| start);
        ruby.string(&found.text[..end])
    }),
    ("post_match", 0, 0, |ruby, me, _| {
        let found = own(ruby, me)?;
        let start = found.groups[0].map_or(0, |(_, end)| end);
        ruby.string(&found.text[start..])
    }),
    ("to_s", 0, 0, |ruby, me, _| Ok(text_of(&*own(ruby, me)?, 0))),
    ("begin", 1, 1, |ruby, me, _| Ok(start(&*own(ruby, me)?))),
    ("size", 0, 0, |ruby, me, _| {
        Ok(Value::Int(own(ruby, me)?.groups.len() as i64))
    }),
];

fn own(ruby: &mut Interpreter<'_>, me: &Value) -> Eval<Rc<Match>> {
    match me {
        Value::Match(found) => Ok(found.clone()),
        other => Err(ruby.no_conversion(other, "MatchData")),
    }
}

fn text_of(found: &Match, group: usize) -> Value {
    found.group(group).map_or(Value::Nil, Value::text)
}

fn groups(ruby: &mut Interpreter<'_>, me: &Value, first: usize) -> Eval {
    let found = own(ruby, me)?;
    let values = (first..found.groups.len()).map(|group| text_of(&found, group));
    ruby.array(values.collect())
}

fn start(found: &Match) -> Value {
    let start = found.groups[0].map_or(0, |(start, _)| start);
    Value::Int(found.text[..start].chars().count() as i64)
}

/// Looks for a pattern and sets `$~`.
fn search(ruby: &mut Interpreter<'_>, me: &Value, text: &Value) -> Eval<Option<Rc<Match>>> {
    if text.is_nil() {
        ruby.set_found(None);
        return Ok(None);
    }
    let text = match text {
        Value::Symbol(name) => name.to_string(),
        text => ruby.str(text)?,
    };
    let pattern = ruby.pattern_of_value(me)?;
    let found = ruby.find_match(&pattern, &text, 0)?.map(Rc::new);
    if let Some(env) = ruby.callers.last() {
        let value = found.clone().map_or(Value::Nil, Value::Match);
        *env.frame.found.borrow_mut() = value;
    }
    Ok(found)
}

fn make(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    if let Value::Regex(_) = &call.args[0] {
        return Ok(call.at(0));
    }
    let source = ruby.str(&call.args[0])?;
    let options = match call.at(1) {
        Value::Nil | Value::Bool(false) => 0,
        Value::Int(options) => options,
        _ => 1,
    };
    let options = Options {
        ignore_case: options & 1 != 0,
        extended: options & 2 != 0,
        multi_line: options & 4 != 0,
    };
    Ok(Value::Regex(ruby.pattern(&source, options)?))
}

fn escape(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    let text = ruby.name_of(&call.args[0])?;
    ruby.string(escaped(&text))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            char => {
                if "[]{}()|-*.\\?+^$# ".contains(char) {
                    out.push('\\');
                }
                out.push(char);
            }
        }
    }
    out
}

/// A pattern as it is written.
pub(crate) fn show(pattern: &Pattern) -> String {
    format!("/{}/{}", pattern.source, letters(pattern.options))
}

/// A pattern within another, with its own options.
pub(crate) fn embedded(pattern: &Pattern) -> String {
    let on = letters(pattern.options);
    let off: String = "mix"
        .chars()
        .filter(|letter| !on.contains(*letter))
        .collect();
    let dash = if off.is_empty() { "" } else { "-" };
    format!("(?{on}{dash}{off}:{})", pattern.source)
}

fn letters(options: Options) -> String {
    let mut letters = String::new();
    for (on, letter) in [
        (options.multi_line, 'm'),
        (options.ignore_case, 'i'),
        (options.extended, 'x'),
    ] {
        if on {
            letters.push(letter);
        }
    }
    letters
}

impl Interpreter<'_> {
    /// The pattern of a source, compiled once.
    pub(crate) fn pattern(&mut self, source: &str, options: Options) -> Eval<Rc<Pattern>> {
        let key = (source.to_owned(), options);
        if let Some(known) = self.regexes.get(&key) {
            return Ok(known.clone());
        }
        self.step(1000)?;
        self.allocate(64 << 10)?;
        let compiled = regex::RegexBuilder::new(&translate(source))
            .multi_line(true)
            .case_insensitive(options.ignore_case)
            .ignore_whitespace(options.extended)
            .dot_matches_new_line(options.multi_line)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .nest_limit(50)
            .build();
        let regex = match compiled {
            Ok(regex) => regex,
            Err(error) => return Err(self.no_pattern_of(source, &error)),
        };
        let pattern = Rc::new(Pattern {
            source: source.to_owned(),
            options,
            regex,
        });
        self.regexes.insert(key, pattern.clone());
        Ok(pattern)
    }

    fn no_pattern_of(&mut self, source: &str, error: &regex::Error) -> crate::error::Error {
        let what = match source {
            source if source.contains("(?=") || source.contains("(?!") => "look-ahead",
            source if source.contains("(?<=") || source.contains("(?<!") => "look-behind",
            source if source.contains("(?>") => "an atomic group",
            _ if error.to_string().contains("backreference") => "a backreference",
            _ => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("invalid");
                return self.raise("RegexpError", format!("{reason}: /{source}/"));
            }
        };
        let what = format!("{what} in a regular expression");
        self.unsupported(&what, None)
    }

    /// A pattern, or a string as one.
    pub(crate) fn pattern_of_value(&mut self, value: &Value) -> Eval<Rc<Pattern>> {
        match value {
            Value::Regex(pattern) => Ok(pattern.clone()),
            value => {
                let source = self.str(value)?;
                self.pattern(&source, Options::default())
            }
        }
    }

    /// A pattern, or one that finds a string as it is.
    pub(crate) fn literal_pattern_of(&mut self, value: &Value) -> Eval<Rc<Pattern>> {
        match value {
            Value::Regex(pattern) => Ok(pattern.clone()),
            value => {
                let text = self.str(value)?;
                self.pattern(&escaped(&text), Options::default())
            }
        }
    }

    /// The first find at or behind a byte.
    pub(crate) fn find_match(
        &mut self,
        pattern: &Pattern,
        text: &str,
        from: usize,
    ) -> Eval<Option<Match>> {
        self.step(text.len() as u64 / 64)?;
        Ok(pattern
            .regex
            .captures_at(text, from)
            .map(|found| self.match_of(pattern, &Rc::from(text), &found)))
    }

    /// All finds.
    pub(crate) fn all_matches(&mut self, pattern: &Pattern, text: &str) -> Eval<Vec<Match>> {
        self.step(text.len() as u64 / 16)?;
        let shared: Rc<str> = Rc::from(text);
        let mut all = Vec::new();
        for found in pattern.regex.captures_iter(text) {
            self.step(1)?;
            self.allocate(128)?;
            all.push(self.match_of(pattern, &shared, &found));
        }
        Ok(all)
    }

    fn match_of(&self, pattern: &Pattern, text: &Rc<str>, found: &regex::Captures<'_>) -> Match {
        let place = |group: Option<regex::Match<'_>>| group.map(|at| (at.start(), at.end()));
        Match {
            text: text.clone(),
            groups: found.iter().map(place).collect(),
            names: pattern
                .regex
                .capture_names()
                .map(|name| name.map(str::to_owned))
                .collect(),
        }
    }
}

/// Ruby's syntax in the matcher's words.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    let mut in_class = 0_usize;
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('Z') => out.push_str("\\n?\\z"),
                Some('h') if in_class > 0 => out.push_str("0-9a-fA-F"),
                Some('h') => out.push_str("[0-9a-fA-F]"),
                Some('H') => out.push_str("[^0-9a-fA-F]"),
                Some('R') => out.push_str("(?:\\r\\n|[\\n\\r])"),
                Some('e') => out.push_str("\\x1b"),
                Some('/') => out.push('/'),
                Some(escaped @ ('d' | 'w' | 's' | 'b' | 'D' | 'W' | 'S' | 'B')) => {
                    // Without a flag of its own, a class is that of ASCII, as in Ruby.
                    out.push_str(ascii_class(escaped, in_class > 0));
                }
                Some(escaped) => {
                    if !(escaped.is_alphanumeric()
                        || escaped.is_ascii_punctuation()
                        || escaped == ' ')
                    {
                        out.push(escaped);
                        continue;
                    }
                    out.push('\\');
                    out.push(escaped);
                }
                None => out.push('\\'),
            },
            '[' => {
                in_class += 1;
                // A bracket within brackets that is no class is meant as it is.
                out.push('[');
                if in_class > 0 && chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
            }
            ']' => {
                in_class = in_class.saturating_sub(1);
                out.push(']');
            }
            '{' if in_class == 0 => match quantifier(chars.clone()) {
                Some((least, rest)) => {
                    out.push_str(least);
                    out.push_str(&rest);
                    chars.nth(rest.chars().count().saturating_sub(1));
                }
                None => out.push_str("\\{"),
            },
            '(' if in_class == 0 && chars.peek() == Some(&'?') => {
                out.push('(');
                out.push('?');
                chars.next();
                // `m` is what others call `s`.
                while let Some(letter) = chars.peek().copied() {
                    match letter {
                        'm' => out.push('s'),
                        'i' | 'x' | '-' => out.push(letter),
                        _ => break,
                    }
                    chars.next();
                }
            }
            char => out.push(char),
        }
    }
    out
}

/// What stands behind a brace that begins a quantifier; any other brace is meant as it is.
fn quantifier(chars: impl Iterator<Item = char>) -> Option<(&'static str, String)> {
    let mut rest = String::new();
    for char in chars.take(20) {
        rest.push(char);
        match char {
            '}' => {
                let digits = rest.trim_end_matches('}');
                let counts = digits.bytes().any(|byte| byte.is_ascii_digit());
                let least = if digits.starts_with(',') { "{0" } else { "{" };
                return counts.then_some((least, rest));
            }
            '0'..='9' => {}
            ',' if rest.matches(',').count() == 1 => {}
            _ => return None,
        }
    }
    None
}

fn ascii_class(letter: char, in_class: bool) -> &'static str {
    match (letter, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('s', false) => "[ \\t\\r\\n\\x0c\\x0b]",
        ('s', true) => " \\t\\r\\n\\x0c\\x0b",
        ('D', false) => "[^0-9]",
        ('D', true) => "\\D",
        ('W', false) => "[^0-9A-Za-z_]",
        ('W', true) => "\\W",
        ('S', false) => "[^ \\t\\r\\n\\x0c\\x0b]",
        ('S', true) => "\\S",
        ('B', _) => "\\B",
        _ => "\\b",
    }
}
