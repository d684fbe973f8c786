//! `Float`.

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let float = ruby.classes.float.clone();
    float.natives(ARITHMETIC);
    float.natives(METHODS);
    let mut constants = float.constants.borrow_mut();
    for (name, value) in [
        ("INFINITY", f64::INFINITY),
        ("NAN", f64::NAN),
        ("EPSILON", f64::EPSILON),
        ("MAX", f64::MAX),
        ("MIN", f64::MIN_POSITIVE),
    ] {
        constants.insert(name.into(), Value::Float(value));
    }
}

const ARITHMETIC: &[Entry] = &[
    ("+", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, |a, b| a + b)
    }),
    ("-", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, |a, b| a - b)
    }),
    ("*", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, |a, b| a * b)
    }),
    ("/", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, |a, b| a / b)
    }),
    ("fdiv", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, |a, b| a / b)
    }),
    ("%", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, modulo)
    }),
    ("modulo", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, modulo)
    }),
    ("**", 1, 1, |ruby, me, call| {
        calculate(ruby, me, &call, f64::powf)
    }),
    ("div", 1, 1, |ruby, me, call| {
        let quotient = calculate(ruby, me, &call, |a, b| (a / b).floor())?;
        let quotient = ruby.float_of(&quotient)?;
        Ok(Value::Int(ruby.whole(quotient)?))
    }),
    ("divmod", 1, 1, |ruby, me, call| {
        let quotient = calculate(ruby, me, &call, |a, b| (a / b).floor())?;
        let quotient = ruby.float_of(&quotient)?;
        let quotient = Value::Int(ruby.whole(quotient)?);
        let rest = calculate(ruby, me, &call, modulo)?;
        ruby.array(vec![quotient, rest])
    }),
    ("-@", 0, 0, |ruby, me, _| {
        Ok(Value::Float(-ruby.float_of(me)?))
    }),
    ("+@", 0, 0, |_, me, _| Ok(me.clone())),
];

const METHODS: &[Entry] = &[
    ("to_s", 0, 0, to_s),
    ("inspect", 0, 0, to_s),
    ("to_f", 0, 0, |_, me, _| Ok(me.clone())),
    ("to_i", 0, 0, |ruby, me, _| Ok(Value::Int(ruby.int(me)?))),
    ("to_int", 0, 0, |ruby, me, _| Ok(Value::Int(ruby.int(me)?))),
    ("truncate", 0, 0, |ruby, me, _| {
        Ok(Value::Int(ruby.int(me)?))
    }),
    ("round", 0, 2, |ruby, me, mut call| {
        call.take_options();
        rounded(ruby, me, &call, f64::round)
    }),
    ("floor", 0, 1, |ruby, me, call| {
        rounded(ruby, me, &call, f64::floor)
    }),
    ("ceil", 0, 1, |ruby, me, call| {
        rounded(ruby, me, &call, f64::ceil)
    }),
    ("abs", 0, 0, |ruby, me, _| {
        Ok(Value::Float(ruby.float_of(me)?.abs()))
    }),
    ("nan?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.float_of(me)?.is_nan()))
    }),
    ("finite?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.float_of(me)?.is_finite()))
    }),
    ("infinite?", 0, 0, |ruby, me, _| {
        let value = ruby.float_of(me)?;
        let sign = if value > 0.0 { 1 } else { -1 };
        Ok(if value.is_infinite() {
            Value::Int(sign)
        } else {
            Value::Nil
        })
    }),
    ("zero?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.float_of(me)? == 0.0))
    }),
    ("positive?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.float_of(me)? > 0.0))
    }),
    ("negative?", 0, 0, |ruby, me, _| {
        Ok(Value::Bool(ruby.float_of(me)? < 0.0))
    }),
    ("integer?", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    ("step", 1, 2, |ruby, me, call| {
        let block = ruby.block(&call)?;
        let step = call.args.get(1).cloned().unwrap_or(Value::Int(1));
        super::range::stepped(ruby, me, &call.at(0), &step, false, &mut |ruby, value| {
            ruby.call_block(&block, vec![value]).map(drop)
        })?;
        Ok(me.clone())
    }),
];

fn calculate(
    ruby: &mut Interpreter<'_>,
    me: &Value,
    call: &Call,
    combine: fn(f64, f64) -> f64,
) -> Eval {
    match &call.args[0] {
        other @ (Value::Int(_) | Value::Float(_)) => {
            let other = ruby.float_of(other)?;
            Ok(Value::Float(combine(ruby.float_of(me)?, other)))
        }
        other => Err(super::integer::no_number(ruby, other, "Float")),
    }
}

/// The rest with the sign of what is divided by.
pub(super) fn modulo(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

fn to_s(ruby: &mut Interpreter<'_>, me: &Value, _: Call) -> Eval {
    let text = show(ruby.float_of(me)?);
    ruby.string(text)
}

/// As Ruby writes a float.
pub(crate) fn show(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = match mantissa.contains('.') {
            true => mantissa.to_owned(),
            false => format!("{mantissa}.0"),
        };
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

fn rounded(ruby: &mut Interpreter<'_>, me: &Value, call: &Call, round: fn(f64) -> f64) -> Eval {
    let value = ruby.float_of(me)?;
    let digits = match call.args.first() {
        Some(digits) => ruby.int(digits)?.clamp(-300, 300) as i32,
        None => 0,
    };
    if digits > 0 {
        if digits > 15 || !value.is_finite() {
            return Ok(me.clone());
        }
        let unit = 10_f64.powi(digits);
        return Ok(Value::Float(round(value * unit) / unit));
    }
    let unit = 10_f64.powi(-digits);
    Ok(Value::Int(ruby.whole(round(value / unit) * unit)?))
}

/// `Float("1.5")`
pub(super) fn convert(ruby: &mut Interpreter<'_>, mut call: Call) -> Eval {
    let quiet = call
        .take_options()
        .and_then(|options| options.get_name("exception"))
        .is_some_and(|raise| !raise.is_truthy());
    let value = match call.at(0) {
        Value::Str(text) => text.text.borrow().trim().replace('_', "").parse().ok(),
        other => Some(ruby.float_of(&other)?),
    };
    match value {
        Some(value) => Ok(Value::Float(value)),
        None if quiet => Ok(Value::Nil),
        None => {
            let shown = ruby.inspect(&call.at(0))?;
            Err(ruby.raise(
                "ArgumentError",
                format!("invalid value for Float(): {shown}"),
            ))
        }
    }
}
