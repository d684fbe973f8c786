//! What was measured, as a page with a chart.

use super::level::Level;
use super::table::{EMULATED, percent, rows};
use crate::error::Error;
use std::fmt::Write;
use std::path::Path;

/// Sizes in pixels.
const WIDTH: usize = 900;
const LABEL: usize = 420;
const BAR: usize = 14;
const GAP: usize = 6;

/// Bars on a scale in which each step is ten times less begin at this share.
const LEAST: f64 = 1e-3;

/// A colour for each level from the first; the deeper ones have the last.
const COLORS: [&str; 4] = ["#33658a", "#f26419", "#758e4f", "#86608e"];

/// Writes an SVG if the file is called so, else a page of HTML that holds it.
pub fn write(file: &Path, levels: &[Level]) -> Result<(), Error> {
    let svg = file.extension().is_some_and(|extension| extension == "svg");
    let text = match svg {
        true => chart(levels),
        false => page(levels),
    };
    save(file, &text)
}

/// Writes a page with one table, whose first row is its head, and some lines below it.
pub fn table_page(
    file: &Path,
    title: &str,
    rows: &[Vec<String>],
    lines: &[String],
) -> Result<(), Error> {
    let mut text = head(title);
    text.push_str(&table(rows));
    for line in lines {
        let _ = writeln!(text, "<p>{}.</p>", escape(line));
    }
    save(file, &(text + "</html>\n"))
}

fn save(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text)
        .map_err(|error| Error::caused(format!("Cannot write {}", file.display()), &error))
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>nestlab: {title}</title>\n\
         <style>body{{font:15px sans-serif;margin:2em;max-width:60em}}table{{border-collapse:collapse;margin:0 0 2em}}\
         td,th{{padding:.2em 1em .2em 0;text-align:left}}</style>\n<h1>{title}</h1>\n"
    )
}

fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>\n");
    for (number, row) in rows.iter().enumerate() {
        let cell = if number == 0 { "th" } else { "td" };
        let cells = row
            .iter()
            .map(|text| format!("<{cell}>{}</{cell}>", escape(text.trim())));
        let _ = writeln!(text, "<tr>{}</tr>", cells.collect::<String>());
    }
    text + "</table>\n"
}

fn page(levels: &[Level]) -> String {
    let mut text = head("Speed of each level");
    text.push_str(&chart(levels));
    for level in levels {
        let _ = writeln!(
            text,
            "<h2>{} <small>({})</small></h2>",
            escape(&level.name()),
            escape(&level.footing())
        );
        text.push_str(&table(&rows(level, levels)));
        for warning in &level.warnings {
            let _ = writeln!(text, "<p>Note: {}.</p>", escape(warning));
        }
    }
    if levels.iter().any(Level::is_emulated) {
        let _ = writeln!(text, "<p>{}</p>", escape(EMULATED));
    }
    text + "</html>\n"
}

/// A bar for each figure of each level: the share of native speed. Each tenth of the
/// speed is one step to the left, for levels may be a thousand times slower.
fn chart(levels: &[Level]) -> String {
    let (mut bars, mut y) = (String::new(), 2 * BAR + GAP);
    let Some(native) = levels.iter().find(|level| level.path.is_host()) else {
        return String::new();
    };
    for figure in &native.figures {
        for (depth, level) in levels.iter().enumerate().filter(|(_, l)| !l.path.is_host()) {
            let share = level
                .figure(&figure.id)
                .and_then(|ours| ours.share_of(figure));
            if let Some(share) = share {
                bar(&mut bars, y, &figure.id, depth, level, share);
                y += BAR + 2;
            }
        }
        y += GAP;
    }
    let room = WIDTH - LABEL - 60;
    let mut scale = String::new();
    for (step, label) in ["0.1 %", "1 %", "10 %", "100 %"].iter().enumerate() {
        let x = LABEL + room * step / 3;
        let _ = writeln!(
            scale,
            "<text x=\"{x}\" y=\"{BAR}\" font-size=\"11\" text-anchor=\"middle\">{label}</text>\
             <line x1=\"{x}\" y1=\"{GAP}\" x2=\"{x}\" y2=\"{y}\" stroke=\"#ddd\"/>",
            GAP = BAR + GAP
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\">\n\
         <title>Share of native speed</title>\n{scale}{bars}</svg>\n",
        y + BAR
    )
}

fn bar(text: &mut String, y: usize, id: &str, depth: usize, level: &Level, share: f64) {
    let room = (WIDTH - LABEL - 60) as f64;
    let length = (share.clamp(LEAST, 1.0) / LEAST).log10() / 3.0 * room;
    let color = COLORS[depth.saturating_sub(1).min(COLORS.len() - 1)];
    let base = y + BAR - 3;
    let _ = writeln!(
        text,
        "<text x=\"0\" y=\"{base}\" font-size=\"12\">{}, {} ({})</text>\
         <rect x=\"{LABEL}\" y=\"{y}\" width=\"{:.0}\" height=\"{BAR}\" fill=\"{color}\"/>\
         <text x=\"{:.0}\" y=\"{base}\" font-size=\"11\">{}</text>",
        escape(id),
        escape(&level.name()),
        escape(&level.footing()),
        length.max(1.0),
        LABEL as f64 + length + 4.0,
        percent(share),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_model::bench::{Better, Figure};
    use nestlab_model::{Accelerator, NodePath};

    fn level(path: &NodePath, median: f64) -> Level {
        Level {
            path: path.clone(),
            accelerators: vec![Accelerator::Tcg; path.level()],
            figures: vec![Figure {
                id: "kernel.syscall".into(),
                unit: "ns".into(),
                better: Better::Lower,
                samples: vec![median],
            }],
            skipped: Vec::new(),
            clock: 1.0,
            warnings: vec!["a <b>".into()],
        }
    }

    #[test]
    fn a_page_shows_every_level_and_escapes_what_it_is_given() {
        let inner = "a/b".parse().unwrap();
        let levels = [level(&NodePath::host(), 100.0), level(&inner, 1000.0)];
        let page = page(&levels);
        for part in [
            "<svg",
            "kernel.syscall, a/b (TCG in TCG)",
            ">10 %<",
            "a &lt;b&gt;",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(chart(&levels).starts_with("<svg"));
        assert!(!chart(&levels).contains("this machine"));
    }
}
