//! `Integer`.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let integer = ruby.classes.integer.clone();
    integer.natives(ARITHMETIC);
    integer.natives(METHODS);
    integer.natives(LOOPS);
    integer.meta().natives(&[("sqrt", 1, 1, |ruby, _, call| {
        let value = ruby.int(&call.args[0])?;
        match u64::try_from(value) {
            Ok(value) => Ok(Value::Int(value.isqrt() as i64)),
            Err(_) => Err(ruby.raise("ArgumentError", "Numerical argument is out of domain")),
        }
    })]);
    let mut constants = integer.constants.borrow_mut();
    constants.insert("MAX".into(), Value::Int(i64::MAX));
}

const ARITHMETIC: &[Entry] = &[
    ("+", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, i64::checked_add, |a, b| a + b)
    }),
    ("-", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, i64::checked_sub, |a, b| a - b)
    }),
    ("*", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, i64::checked_mul, |a, b| a * b)
    }),
    ("/", 1, 1, |ruby, me, call| {
        divisible(ruby, &call)?;
        calculate(ruby, me, &call, floor_div, |a, b| a / b)
    }),
    ("div", 1, 1, |ruby, me, call| {
        divisible(ruby, &call)?;
        match calculate(ruby, me, &call, floor_div, |a, b| (a / b).floor())? {
            Value::Float(value) => Ok(Value::Int(ruby.whole(value)?)),
            value => Ok(value),
        }
    }),
    ("%", 1, 1, modulo),
    ("modulo", 1, 1, modulo),
    ("remainder", 1, 1, |ruby, me, call| {
        divisible(ruby, &call)?;
        calculate(ruby, me, &call, i64::checked_rem, |a, b| a % b)
    }),
    ("divmod", 1, 1, |ruby, me, call| {
        divisible(ruby, &call)?;
        let quotient = calculate(ruby, me, &call, floor_div, |a, b| (a / b).floor())?;
        let rest = modulo(ruby, me, call)?;
        ruby.array(vec![quotient, rest])
    }),
    ("**", 1, 1, power),
    ("pow", 1, 2, |ruby, me, call| match call.args.get(1) {
        None => power(ruby, me, call),
        Some(modulus) => {
            let (base, exponent) = (ruby.int(me)?, ruby.int(&call.args[0])?);
            let modulus = ruby.int(modulus)?;
            if modulus <= 0 || exponent < 0 {
                return Err(ruby.raise("ArgumentError", "modulus and exponent must be positive"));
            }
            Ok(Value::Int(power_modulo(base, exponent as u64, modulus)))
        }
    }),
    ("-@", 0, 0, |ruby, me, _| {
        let value = ruby.int(me)?;
        value
            .checked_neg()
            .map_or_else(|| Err(ruby.too_large()), |value| Ok(Value::Int(value)))
    }),
    ("+@", 0, 0, |_, me, _| Ok(me.clone())),
    ("~", 0, 0, |ruby, me, _| Ok(Value::Int(!ruby.int(me)?))),
    ("&", 1, 1, |ruby, me, call| {
        bits(ruby, me, &call, |a, b| a & b)
    }),
    ("|", 1, 1, |ruby, me, call| {
        bits(ruby, me, &call, |a, b| a | b)
    }),
    ("^", 1, 1, |ruby, me, call| {
        bits(ruby, me, &call, |a, b| a ^ b)
    }),
    ("<<", 1, 1, |ruby, me, call| {
        let by = ruby.int(&call.args[0])?;
        shift(ruby, me, by)
    }),
    (">>", 1, 1, |ruby, me, call| {
        let by = ruby.int(&call.args[0])?;
        shift(ruby, me, by.saturating_neg())
    }),
    ("[]", 1, 1, |ruby, me, call| {
        let (value, bit) = (ruby.int(me)?, ruby.int(&call.args[0])?);
        Ok(Value::Int(if (0..64).contains(&bit) {
            (value >> bit) & 1
        } else {
            0
        }))
    }),
    ("coerce", 1, 1, |ruby, me, call| {
        let other = ruby.float_of(&call.args[0])?;
        let me = ruby.float_of(me)?;
        ruby.array(vec![Value::Float(other), Value::Float(me)])
    }),
];

const METHODS: &[Entry] = &[
    ("to_s", 0, 1, to_s),
    ("inspect", 0, 0, to_s),
    ("to_i", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_int", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_f", 0, 0, |ruby, me, _| {
        Ok(Value::Float(ruby.float_of(me)?))
    }),
    ("to_r", 0, 0, |ruby, _, _| {
        Err(ruby.unsupported("a rational number", None))
    }),
    ("fdiv", 1, 1, |ruby, me, call| {
        Ok(Value::Float(
            ruby.float_of(me)? / ruby.float_of(&call.args[0])?,
        ))
    }),
    ("chr", 0, 1, |ruby, me, _| {
        let value = ruby.int(me)?;
        match u32::try_from(value).ok().and_then(char::from_u32) {
            Some(char) => ruby.string(char.to_string()),
            None => Err(ruby.raise("RangeError", format!("{value} out of char range"))),
        }
    }),
    ("ord", 0, 0, |_, me, _| Ok(me.clone())),
    ("succ", 0, 0, |ruby, me, _| add(ruby, me, 1)),
    ("next", 0, 0, |ruby, me, _| add(ruby, me, 1)),
    ("pred", 0, 0, |ruby, me, _| add(ruby, me, -1)),
    ("abs", 0, 0, |ruby, me, _| {
        Ok(Value::Int(ruby.int(me)?.saturating_abs()))
    }),
    ("magnitude", 0, 0, |ruby, me, _| {
        Ok(Value::Int(ruby.int(me)?.saturating_abs()))
    }),
    ("zero?", 0, 0, |_, me, _| {
        Ok(Value::Bool(matches!(me, Value::Int(0))))
    }),
    ("nonzero?", 0, 0, |_, me, _| {
        Ok(if matches!(me, Value::Int(0)) {
            Value::Nil
        } else {
            me.clone()
        })
    }),
    ("positive?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.int(me)? > 0))
    }),
    ("negative?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.int(me)? < 0))
    }),
    ("even?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.int(me)? & 1 == 0))
    }),
    ("odd?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.int(me)? & 1 == 1))
    }),
    ("integer?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    ("finite?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    ("nan?", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    ("infinite?", 0, 0, |_, _, _| Ok(Value::Nil)),
    ("round", 0, 2, rounded),
    ("floor", 0, 1, |ruby, me, call| {
        to_place(ruby, me, &call, |value, unit| {
            value - value.rem_euclid(unit)
        })
    }),
    ("ceil", 0, 1, |ruby, me, call| {
        to_place(ruby, me, &call, |value, unit| {
            value + (unit - value.rem_euclid(unit)) % unit
        })
    }),
    ("truncate", 0, 1, |_, me, _| Ok(me.clone())),
    ("digits", 0, 0, |ruby, me, _| {
        let digits = ruby.int(me)?.unsigned_abs().to_string();
        let digits = digits
            .bytes()
            .rev()
            .map(|digit| Value::Int(i64::from(digit - b'0')));
        ruby.array(digits.collect())
    }),
    ("bit_length", 0, 0, |ruby, me, _| {
        let value = ruby.int(me)?;
        let value = if value < 0 { !value } else { value };
        Ok(Value::Int(i64::from(64 - value.leading_zeros())))
    }),
    ("lcm", 1, 1, |ruby, me, call| {
        let gcd = ruby.send(me, "gcd", call.args.clone())?;
        let (me, other) = (ruby.int(me)?, ruby.int(&call.args[0])?);
        let gcd = ruby.int(&gcd)?.max(1);
        match (me / gcd).checked_mul(other) {
            Some(value) => Ok(Value::Int(value.saturating_abs())),
            None => Err(ruby.too_large()),
        }
    }),
    ("gcd", 1, 1, |ruby, me, call| {
        let (mut a, mut b) = (
            ruby.int(me)?.unsigned_abs(),
            ruby.int(&call.args[0])?.unsigned_abs(),
        );
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Ok(Value::Int(i64::try_from(a).unwrap_or(i64::MAX)))
    }),
    ("dup", 0, 0, |_, me, _| Ok(me.clone())),
    ("size", 0, 0, |_, _, _| Ok(Value::Int(8))),
];

const LOOPS: &[Entry] = &[
    ("times", 0, 0, |ruby, me, call| {
        let count = ruby.int(me)?;
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "times", Vec::new());
        };
        for index in 0..count {
            ruby.call_block(&block, vec![Value::Int(index)])?;
        }
        Ok(me.clone())
    }),
    ("upto", 1, 1, |ruby, me, call| {
        let (first, last) = (ruby.int(me)?, ruby.int(&call.args[0])?);
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "upto", call.args);
        };
        for index in first..=last {
            ruby.call_block(&block, vec![Value::Int(index)])?;
        }
        Ok(me.clone())
    }),
    ("downto", 1, 1, |ruby, me, call| {
        let (first, last) = (ruby.int(me)?, ruby.int(&call.args[0])?);
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "downto", call.args);
        };
        for index in (last..=first).rev() {
            ruby.call_block(&block, vec![Value::Int(index)])?;
        }
        Ok(me.clone())
    }),
    ("step", 0, ANY, |ruby, me, mut call| {
        let options = call.take_options();
        let named = |name: &str| options.as_ref().and_then(|options| options.get_name(name));
        let last = named("to").unwrap_or_else(|| call.at(0));
        let step =
            named("by").unwrap_or_else(|| call.args.get(1).cloned().unwrap_or(Value::Int(1)));
        let Some(block) = call.block else {
            return super::enumerator::make(ruby, me, "step", vec![last, step]);
        };
        super::range::stepped(ruby, me, &last, &step, false, &mut |ruby, value| {
            ruby.call_block(&block, vec![value]).map(drop)
        })?;
        Ok(me.clone())
    }),
];

fn calculate(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
    whole: fn(i64, i64) -> Option<i64>,
    broken: fn(f64, f64) -> f64,
) -> Eval {
    match (me, &call.args[0]) {
        (Value::Int(a), Value::Int(b)) => match whole(*a, *b) {
            Some(value) => Ok(Value::Int(value)),
            None => Err(ruby.too_large()),
        },
        (Value::Int(a), Value::Float(b)) => Ok(Value::Float(broken(*a as f64, *b))),
        (_, other) => Err(no_number(ruby, other, "Integer")),
    }
}

pub(super) fn no_number(
    ruby: &mut Interpreter<'_>,
    value: &Value,
    into: &str,
) -> crate::error::Error {
    let name = match value {
        Value::Nil | Value::Bool(_) => super::inspect::plain(value),
        value => ruby.class_of(value).title(),
    };
    ruby.raise("TypeError", format!("{name} can't be coerced into {into}"))
}

fn divisible(ruby: &mut Interpreter<'_>, call: &Call) -> Eval<()> {
    match call.args[0] {
        Value::Int(0) => Err(ruby.raise("ZeroDivisionError", "divided by 0")),
        _ => Ok(()),
    }
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) {
        quotient - 1
    } else {
        quotient
    })
}

fn modulo(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    divisible(ruby, &call)?;
    let whole = |a: i64, b: i64| {
        let rest = a.wrapping_rem(b);
        Some(if rest != 0 && (rest < 0) != (b < 0) {
            rest + b
        } else {
            rest
        })
    };
    calculate(ruby, me, &call, whole, super::float::modulo)
}

fn power(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let whole = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
    match &call.args[0] {
        Value::Int(exponent) if *exponent < 0 => {
            Ok(Value::Float(ruby.float_of(me)?.powf(*exponent as f64)))
        }
        _ => calculate(ruby, me, &call, whole, f64::powf),
    }
}

fn power_modulo(base: i64, mut exponent: u64, modulus: i64) -> i64 {
    let modulus = i128::from(modulus);
    let mut base = i128::from(base).rem_euclid(modulus);
    let mut result = 1 % modulus;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result as i64
}

fn bits(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, combine: fn(i64, i64) -> i64) -> Eval {
    match (me, &call.args[0]) {
        (Value::Int(a), Value::Int(b)) => Ok(Value::Int(combine(*a, *b))),
        (_, other) => Err(no_number(ruby, other, "Integer")),
    }
}

fn shift(ruby: &mut Interpreter<'_>, me: &Value, by: i64) -> Eval {
    let value = ruby.int(me)?;
    if by <= 0 {
        let by = by.unsigned_abs().min(63) as u32;
        return Ok(Value::Int(value >> by));
    }
    if value == 0 {
        return Ok(Value::Int(0));
    }
    let shifted = u32::try_from(by).ok().filter(|by| *by < 64).and_then(|by| {
        let shifted = value.checked_shl(by)?;
        (shifted >> by == value).then_some(shifted)
    });
    shifted.map_or_else(|| Err(ruby.too_large()), |value| Ok(Value::Int(value)))
}

fn add(ruby: &mut Interpreter<'_>, me: &Value, more: i64) -> Eval {
    let value = ruby.int(me)?.checked_add(more);
    value.map_or_else(|| Err(ruby.too_large()), |value| Ok(Value::Int(value)))
}

fn to_s(ruby: &mut Interpreter<'_>, me: &Value, call: Call) -> Eval {
    let value = ruby.int(me)?;
    let base = match call.args.first() {
        Some(base) => ruby.int(base)?,
        None => 10,
    };
    if !(2..=36).contains(&base) {
        return Err(ruby.raise("ArgumentError", format!("invalid radix {base}")));
    }
    Ok(Value::text(in_base(value, base as u32)))
}

pub(super) fn in_base(value: i64, base: u32) -> String {
    let mut rest = value.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = (rest % u64::from(base)) as u32;
        digits.push(char::from_digit(digit, base).unwrap_or('0'));
        rest /= u64::from(base);
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

fn rounded(ruby: &mut Interpreter<'_>, me: &Value, mut call: Call) -> Eval {
    call.take_options();
    to_place(ruby, me, &call, |value, unit| {
        let rest = value.rem_euclid(unit);
        let down = value - rest;
        // Half goes away from zero.
        let up = rest * 2 > unit || (rest * 2 == unit && value > 0);
        if up { down + unit } else { down }
    })
}

/// Rounds to tens, hundreds and so on: `1234.round(-2)`.
fn to_place(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
    round: fn(i128, i128) -> i128,
) -> Eval {
    let digits = match call.args.first() {
        Some(digits) => ruby.int(digits)?,
        None => 0,
    };
    if digits >= 0 {
        return Ok(me.clone());
    }
    if digits < -18 {
        return Ok(Value::Int(0));
    }
    let unit = 10_i128.pow(digits.unsigned_abs() as u32);
    let value = round(i128::from(ruby.int(me)?), unit);
    i64::try_from(value).map_or_else(|_| Err(ruby.too_large()), |value| Ok(Value::Int(value)))
}

/// `Integer("0x1f")`, `Integer("12", 8)`, `Integer("x", exception: false)`
pub(super) fn convert(ruby: &mut Interpreter<'_>, mut call: Call) -> Eval {
    let options = call.take_options();
    let quiet = options
        .and_then(|options| options.get_name("exception"))
        .is_some_and(|raise| !raise.is_truthy());
    let base = match call.args.get(1) {
        Some(base) => ruby.int(base)? as u32,
        None => 10,
    };
    let value = match &call.args[..] {
        [Value::Str(text), ..] => strict(&text.text.borrow(), base),
        [Value::Nil, ..] if quiet => None,
        [Value::Nil, ..] => return Err(ruby.raise("TypeError", "can't convert nil into Integer")),
        [other, ..] => {
            let result = ruby.int(other);
            match result {
                Err(_) if quiet => None,
                result => Some(result?),
            }
        }
        [] => None,
    };
    match value {
        Some(value) => Ok(Value::Int(value)),
        None if quiet => Ok(Value::Nil),
        None => {
            let shown = ruby.inspect(&call.at(0))?;
            Err(ruby.raise(
                "ArgumentError",
                format!("invalid value for Integer(): {shown}"),
            ))
        }
    }
}

fn strict(text: &str, base: u32) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') && base == 10 => (8, &lower[1..]),
        _ => (base, &*lower),
    };
    if !(2..=36).contains(&base) || digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&digits, base)
        .ok()
        .map(|value| sign * value)
}
