//! `Math`.

use crate::class::Entry;
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::Value;

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let math = super::add(ruby, "Math", true);
    math.meta().natives(METHODS);
    let mut constants = math.constants.borrow_mut();
    constants.insert("PI".into(), Value::Float(std::f64::consts::PI));
    constants.insert("E".into(), Value::Float(std::f64::consts::E));
}

const METHODS: &[Entry] = &[
    ("sqrt", 1, 1, |ruby, _, call| of(ruby, &call, f64::sqrt)),
    ("cbrt", 1, 1, |ruby, _, call| of(ruby, &call, f64::cbrt)),
    ("log2", 1, 1, |ruby, _, call| of(ruby, &call, f64::log2)),
    ("log10", 1, 1, |ruby, _, call| of(ruby, &call, f64::log10)),
    ("exp", 1, 1, |ruby, _, call| of(ruby, &call, f64::exp)),
    ("sin", 1, 1, |ruby, _, call| of(ruby, &call, f64::sin)),
    ("cos", 1, 1, |ruby, _, call| of(ruby, &call, f64::cos)),
    ("log", 1, 2, |ruby, _, call| {
        let value = ruby.float_of(&call.args[0])?.ln();
        match call.args.get(1) {
            Some(base) => Ok(Value::Float(value / ruby.float_of(base)?.ln())),
            None => Ok(Value::Float(value)),
        }
    }),
    ("pow", 2, 2, |ruby, _, call| {
        let (base, exponent) = (ruby.float_of(&call.args[0])?, ruby.float_of(&call.args[1])?);
        Ok(Value::Float(base.powf(exponent)))
    }),
];

fn of(ruby: &mut Interpreter<'_>, call: &Call, function: fn(f64) -> f64) -> Eval {
    Ok(Value::Float(function(ruby.float_of(&call.args[0])?)))
}
