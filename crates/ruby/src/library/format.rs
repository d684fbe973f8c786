//! `format`: `%05.1f`, `%-10s`, `%<name>d`, `%{name}`.

use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::Value;

/// What stands between `%` and the letter.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

struct Args<'a> {
    values: &'a [Value],
    next: usize,
}

impl Args<'_> {
    fn next(&mut self, ruby: &mut Interpreter<'_>) -> Eval {
        self.next += 1;
        match self.values.get(self.next - 1) {
            Some(value) => Ok(value.clone()),
            None => Err(ruby.raise("ArgumentError", "too few arguments")),
        }
    }

    fn named(&self, ruby: &mut Interpreter<'_>, name: &str) -> Eval {
        let Some(hash @ Value::Hash(_)) = self.values.first() else {
            return Err(ruby.raise("ArgumentError", "one hash required"));
        };
        match super::hash::get(hash, &Value::symbol(name)) {
            Some(value) => Ok(value),
            None => Err(ruby.raise("KeyError", format!("key<{name}> not found"))),
        }
    }
}

/// The first value is the template.
pub(super) fn format(ruby: &mut Interpreter<'_>, values: &[Value]) -> Eval<String> {
    let Some((template, values)) = values.split_first() else {
        return Err(ruby.raise("ArgumentError", "too few arguments"));
    };
    let template: Vec<char> = ruby.str(template)?.chars().collect();
    let mut args = Args { values, next: 0 };
    let mut out = String::new();
    let mut at = 0;
    while at < template.len() {
        if template[at] != '%' {
            out.push(template[at]);
            at += 1;
            continue;
        }
        at = directive(ruby, &template, at + 1, &mut args, &mut out)?;
        if out.len() > ruby.limits.string {
            ruby.room(out.len())?;
        }
    }
    Ok(out)
}

fn directive(
    ruby: &mut Interpreter<'_>,
    template: &[char],
    mut at: usize,
    args: &mut Args<'_>,
    out: &mut String,
) -> Eval<usize> {
    let mut spec = Spec::default();
    let mut value = None;
    loop {
        let Some(char) = template.get(at).copied() else {
            return Err(ruby.raise(
                "ArgumentError",
                "incomplete format specifier; use %% (double %) instead",
            ));
        };
        at += 1;
        match char {
            '-' => spec.left = true,
            '0' => spec.zero = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '#' => spec.sharp = true,
            '1'..='9' => {
                let (number, end) = number(template, at - 1);
                if template.get(end) == Some(&'$') {
                    value = Some(args.values.get(number - 1).cloned().unwrap_or_default());
                    at = end + 1;
                } else {
                    spec.width = number;
                    at = end;
                }
            }
            '*' => {
                let width = args.next(ruby)?;
                let width = ruby.int(&width)?;
                spec.left |= width < 0;
                spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            }
            '.' => {
                let (number, end) = number(template, at);
                spec.precision = Some(number);
                at = end;
            }
            '<' | '{' => {
                let close = if char == '<' { '>' } else { '}' };
                let name: String = template[at..].iter().take_while(|c| **c != close).collect();
                at = (at + name.chars().count() + 1).min(template.len());
                value = Some(args.named(ruby, &name)?);
                if char == '{' {
                    let text = ruby.to_s(&value.take().unwrap_or_default())?;
                    ruby.room(spec.width)?;
                    out.push_str(&padded(&spec, text));
                    return Ok(at);
                }
            }
            '%' => {
                out.push('%');
                return Ok(at);
            }
            letter => {
                ruby.room(spec.width.saturating_add(spec.precision.unwrap_or(0)))?;
                let value = match value {
                    Some(value) => value,
                    None => args.next(ruby)?,
                };
                out.push_str(&convert(ruby, &spec, letter, &value)?);
                return Ok(at);
            }
        }
    }
}

fn number(template: &[char], start: usize) -> (usize, usize) {
    let mut end = start;
    let mut number = 0_usize;
    while let Some(digit) = template.get(end).and_then(|char| char.to_digit(10)) {
        number = number.saturating_mul(10).saturating_add(digit as usize);
        end += 1;
    }
    (number, end)
}

fn convert(ruby: &mut Interpreter<'_>, spec: &Spec, letter: char, value: &Value) -> Eval<String> {
    match letter {
        's' => {
            let text = ruby.to_s(value)?;
            Ok(padded(spec, cut(spec, text)))
        }
        'p' => {
            let text = ruby.inspect(value)?;
            Ok(padded(spec, cut(spec, text)))
        }
        'c' => {
            let text = match value {
                Value::Int(code) => u32::try_from(*code)
                    .ok()
                    .and_then(char::from_u32)
                    .map_or_else(String::new, String::from),
                value => ruby.str(value)?.chars().take(1).collect(),
            };
            Ok(padded(spec, text))
        }
        'd' | 'i' | 'u' => {
            let value = whole(ruby, value)?;
            let digits = value.unsigned_abs().to_string();
            Ok(signed(spec, value < 0, "", with_precision(spec, digits)))
        }
        'x' | 'X' | 'o' | 'b' | 'B' => {
            let value = whole(ruby, value)?;
            let base = match letter {
                'x' | 'X' => 16,
                'o' => 8,
                _ => 2,
            };
            let digits = super::integer::in_base(value, base).replace('-', "");
            let digits = if letter == 'X' {
                digits.to_uppercase()
            } else {
                digits
            };
            let prefix = match (spec.sharp, letter) {
                (true, 'x') => "0x",
                (true, 'X') => "0X",
                (true, 'o') => "0",
                (true, 'b' | 'B') => "0b",
                _ => "",
            };
            Ok(signed(
                spec,
                value < 0,
                prefix,
                with_precision(spec, digits),
            ))
        }
        'f' => {
            let value = broken(ruby, value)?;
            let precision = spec.precision.unwrap_or(6).min(1000);
            Ok(signed(
                spec,
                value.is_sign_negative(),
                "",
                format!("{:.precision$}", value.abs()),
            ))
        }
        'e' | 'E' | 'g' | 'G' => {
            let value = broken(ruby, value)?;
            let text = match letter {
                'e' | 'E' => exponential(value.abs(), spec.precision.unwrap_or(6).min(1000)),
                _ => super::float::show(value.abs())
                    .trim_end_matches(".0")
                    .to_owned(),
            };
            let text = if letter.is_uppercase() {
                text.to_uppercase()
            } else {
                text
            };
            Ok(signed(spec, value.is_sign_negative(), "", text))
        }
        other => Err(ruby.raise(
            "ArgumentError",
            format!("malformed format string - %{other}"),
        )),
    }
}

fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

fn whole(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<i64> {
    match value {
        Value::Float(value) => ruby.whole(value.floor()),
        Value::Str(_) => {
            let call = ruby.new_call("Integer", vec![value.clone()]);
            let value = super::integer::convert(ruby, call)?;
            ruby.int(&value)
        }
        Value::Nil => Err(ruby.raise("TypeError", "can't convert nil into Integer")),
        value => ruby.int(value),
    }
}

fn broken(ruby: &mut Interpreter<'_>, value: &Value) -> Eval<f64> {
    let value = match value {
        Value::Str(_) => {
            let call = ruby.new_call("Float", vec![value.clone()]);
            super::float::convert(ruby, call)?
        }
        value => value.clone(),
    };
    ruby.float_of(&value)
}

fn cut(spec: &Spec, text: String) -> String {
    match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    }
}

fn with_precision(spec: &Spec, digits: String) -> String {
    match spec.precision {
        Some(precision) => {
            let missing = precision.saturating_sub(digits.len());
            "0".repeat(missing) + &digits
        }
        None => digits,
    }
}

fn signed(spec: &Spec, negative: bool, prefix: &str, digits: String) -> String {
    let sign = match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let used = sign.len() + prefix.len() + digits.len();
    if spec.zero && !spec.left {
        let zeros = "0".repeat(spec.width.saturating_sub(used));
        return format!("{sign}{prefix}{zeros}{digits}");
    }
    padded(spec, format!("{sign}{prefix}{digits}"))
}

fn padded(spec: &Spec, text: String) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    let fill = " ".repeat(missing);
    if spec.left {
        text + &fill
    } else {
        fill + &text
    }
}
