//! What was measured, as text.

use super::level::Level;
use crate::output;
use nestlab_model::bench::Figure;

/// What is said where anything is emulated.
pub const EMULATED: &str =
    "Figures of levels on TCG are those of an emulator: under KVM they are others altogether.";

/// One table for each level.
pub fn text(levels: &[Level]) -> String {
    let tables = levels.iter().map(|level| {
        let head = format!("{} ({})\n", level.name(), level.footing());
        head + &output::table(&rows(level, levels)) + &skipped(level)
    });
    let mut text = tables.collect::<Vec<_>>().join("\n");
    if levels.iter().any(Level::is_emulated) {
        text.push_str(&format!("\n{EMULATED}\n"));
    }
    text
}

/// What a level has, with a head.
pub fn rows(level: &Level, levels: &[Level]) -> Vec<Vec<String>> {
    let head = ["  FIGURE", "MEDIAN", "SPREAD", "OF PARENT", "OF NATIVE"];
    let head = head.map(str::to_owned).to_vec();
    let figures = level.figures.iter().map(|figure| {
        let share = |other: Option<&Level>| {
            let share = other.and_then(|other| figure.share_of(other.figure(&figure.id)?));
            share.map_or_else(String::new, percent)
        };
        vec![
            format!("  {}", figure.id),
            value(figure),
            percent(figure.spread()),
            share(level.parent(levels)),
            share(level.native(levels)),
        ]
    });
    std::iter::once(head).chain(figures).collect()
}

fn skipped(level: &Level) -> String {
    let line = |(id, why): &(String, String)| format!("  {id}: not measured, {why}\n");
    level.skipped.iter().map(line).collect()
}

/// Units of time, and how many a second has.
const TIMES: [(&str, f64); 4] = [("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)];

/// The median to three digits; of a time in the largest unit of which it is one at least.
pub fn value(figure: &Figure) -> String {
    let (number, unit) = readable(figure.median(), &figure.unit);
    format!("{} {unit}", digits(number))
}

fn readable(number: f64, unit: &str) -> (f64, &str) {
    let Some((_, in_a_second)) = TIMES.iter().find(|(name, _)| *name == unit) else {
        return (number, unit);
    };
    let seconds = number / in_a_second;
    let fitting = TIMES.iter().find(|(_, times)| seconds * times >= 1.0);
    let (unit, times) = fitting.unwrap_or(&TIMES[TIMES.len() - 1]);
    (seconds * times, unit)
}

/// A number to three digits that count, or whole if it has more.
pub fn digits(number: f64) -> String {
    let places = match number.abs() {
        small if small < 1e-9 => 0,
        number => (2.0 - number.log10().floor()).clamp(0.0, 6.0) as usize,
    };
    format!("{number:.places$}")
}

/// A share of one in per cent, to two digits that count.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        tiny if tiny < 0.05 => "0 %".to_owned(),
        small if small < 9.95 => format!("{small:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_a_unit_that_fits() {
        assert_eq!(readable(20_000.0, "µs"), (20.0, "ms"));
        assert_eq!(readable(0.5, "s"), (500.0, "ms"));
        assert_eq!(readable(0.25, "ns"), (0.25, "ns"));
        assert_eq!(readable(12_345.0, "MiB/s"), (12_345.0, "MiB/s"));
    }

    #[test]
    fn three_digits_count() {
        let cases = [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (123.4, "123"),
            (12_345.6, "12346"),
        ];
        for (number, text) in cases {
            assert_eq!(digits(number), text);
        }
        assert_eq!(
            [percent(0.000_1), percent(0.012), percent(0.5), percent(1.2)],
            ["0 %", "1.2 %", "50 %", "120 %"]
        );
    }
}
