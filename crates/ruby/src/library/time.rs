//! `Time`, with the clock of the host, always in UTC.

use crate::class::Entry;
use crate::error::Eval;
use crate::interpreter::Interpreter;
use crate::value::{Name, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let time = super::add(ruby, "Time", false);
    time.includes
        .borrow_mut()
        .push(ruby.classes.comparable.clone());
    time.meta().natives(CLASS);
    time.natives(METHODS);
}

const SECONDS: &str = "@seconds";

const CLASS: &[Entry] = &[
    ("now", 0, 1, |ruby, me, _| {
        let now = ruby.host.platform().now;
        make(ruby, me, now)
    }),
    ("new", 0, 1, |ruby, me, _| {
        let now = ruby.host.platform().now;
        make(ruby, me, now)
    }),
    ("at", 1, 2, |ruby, me, call| {
        let seconds = ruby.int(&call.args[0])?;
        make(ruby, me, seconds)
    }),
];

const METHODS: &[Entry] = &[
    ("to_i", 0, 0, |ruby, me, _| {
        Ok(Value::Int(seconds(ruby, me)?))
    }),
    ("to_f", 0, 0, |ruby, me, _| {
        Ok(Value::Float(seconds(ruby, me)? as f64))
    }),
    ("year", 0, 0, |ruby, me, _| {
        Ok(Value::Int(date(ruby, me)?.0))
    }),
    ("month", 0, 0, |ruby, me, _| {
        Ok(Value::Int(date(ruby, me)?.1))
    }),
    ("day", 0, 0, |ruby, me, _| Ok(Value::Int(date(ruby, me)?.2))),
    ("hour", 0, 0, |ruby, me, _| {
        Ok(Value::Int(seconds(ruby, me)?.rem_euclid(86_400) / 3600))
    }),
    ("min", 0, 0, |ruby, me, _| {
        Ok(Value::Int(seconds(ruby, me)?.rem_euclid(3600) / 60))
    }),
    ("sec", 0, 0, |ruby, me, _| {
        Ok(Value::Int(seconds(ruby, me)?.rem_euclid(60)))
    }),
    ("utc_offset", 0, 0, |_, _, _| Ok(Value::Int(0))),
    ("gmt_offset", 0, 0, |_, _, _| Ok(Value::Int(0))),
    ("gmtoff", 0, 0, |_, _, _| Ok(Value::Int(0))),
    ("zone", 0, 0, |_, _, _| Ok(Value::text("UTC"))),
    ("utc", 0, 0, |_, me, _| Ok(me.clone())),
    ("localtime", 0, 1, |_, me, _| Ok(me.clone())),
    ("getlocal", 0, 1, |_, me, _| Ok(me.clone())),
    ("<=>", 1, 1, |ruby, me, call| {
        let order = seconds(ruby, me)?.cmp(&seconds(ruby, &call.args[0])?);
        Ok(Value::Int(order as i64))
    }),
    ("-", 1, 1, |ruby, me, call| match &call.args[0] {
        other @ Value::Object(_) => Ok(Value::Float(
            seconds(ruby, me)?.saturating_sub(seconds(ruby, other)?) as f64,
        )),
        by => {
            let by = ruby.int(by)?;
            moved(ruby, me, by.saturating_neg())
        }
    }),
    ("+", 1, 1, |ruby, me, call| {
        let by = ruby.int(&call.args[0])?;
        moved(ruby, me, by)
    }),
    ("strftime", 1, 1, |ruby, me, call| {
        let format = ruby.str(&call.args[0])?;
        let text = show(ruby, me, &format)?;
        ruby.string(text)
    }),
    ("to_s", 0, 0, |ruby, me, _| {
        let text = show(ruby, me, "%Y-%m-%d %H:%M:%S UTC")?;
        ruby.string(text)
    }),
    ("inspect", 0, 0, |ruby, me, _| {
        let text = show(ruby, me, "%Y-%m-%d %H:%M:%S UTC")?;
        ruby.string(text)
    }),
    ("iso8601", 0, 1, |ruby, me, _| {
        let text = show(ruby, me, "%Y-%m-%dT%H:%M:%SZ")?;
        ruby.string(text)
    }),
];

fn make(ruby: &mut Interpreter<'_>, class: &Value, seconds: i64) -> Eval {
    let class = super::module::own(ruby, class)?;
    let time = ruby.instance(class);
    let seconds = Value::Int(seconds.clamp(-60_000_000_000, 250_000_000_000));
    ruby.set_instance_variable(&time, &Name::from(SECONDS), seconds)?;
    Ok(time)
}

fn moved(ruby: &mut Interpreter<'_>, me: &Value, by: i64) -> Eval {
    let class = Value::Class(ruby.class_of(me));
    let seconds = seconds(ruby, me)?.saturating_add(by);
    make(ruby, &class, seconds)
}

fn seconds(ruby: &mut Interpreter<'_>, me: &Value) -> Eval<i64> {
    let seconds = ruby.instance_variable(me, SECONDS);
    ruby.int(&seconds)
}

/// Year, month and day.
fn date(ruby: &mut Interpreter<'_>, me: &Value) -> Eval<(i64, i64, i64)> {
    Ok(civil(seconds(ruby, me)?.div_euclid(86_400)))
}

/// The date so many days after the first of 1970, counted in eras of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

const DAYS: &[&str] = &[
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn show(ruby: &mut Interpreter<'_>, me: &Value, format: &str) -> Eval<String> {
    let seconds = seconds(ruby, me)?;
    let days = seconds.div_euclid(86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (
        seconds.rem_euclid(86_400) / 3600,
        seconds.rem_euclid(3600) / 60,
        seconds.rem_euclid(60),
    );
    let month_name = MONTHS[(month - 1).clamp(0, 11) as usize];
    let day_name = DAYS[days.rem_euclid(7) as usize];
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        let bare = chars.next_if_eq(&'-').is_some();
        let two = |value: i64| {
            if bare {
                value.to_string()
            } else {
                format!("{value:02}")
            }
        };
        match chars.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('y') => out.push_str(&two(year.rem_euclid(100))),
            Some('m') => out.push_str(&two(month)),
            Some('d') => out.push_str(&two(day)),
            Some('e') => out.push_str(&format!("{day:2}")),
            Some('H') => out.push_str(&two(hour)),
            Some('I') => out.push_str(&two((hour + 11) % 12 + 1)),
            Some('M') => out.push_str(&two(minute)),
            Some('S') => out.push_str(&two(second)),
            Some('p') => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            Some('L') => out.push_str("000"),
            Some('N') => out.push_str("000000000"),
            Some('z') => out.push_str("+0000"),
            Some('Z') => out.push_str("UTC"),
            Some('s') => out.push_str(&seconds.to_string()),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&month_name[..3]),
            Some('A') => out.push_str(day_name),
            Some('a') => out.push_str(&day_name[..3]),
            Some('F') => out.push_str(&format!("{year}-{month:02}-{day:02}")),
            Some('T') => out.push_str(&format!("{hour:02}:{minute:02}:{second:02}")),
            Some('D') => out.push_str(&format!("{month:02}/{day:02}/{:02}", year.rem_euclid(100))),
            Some('%') => out.push('%'),
            Some(other) => {
                out.push('%');
                out.push(other);
            }
            None => out.push('%'),
        }
    }
    Ok(out)
}
