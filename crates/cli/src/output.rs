//! Standard output is data, standard error is conversation. A reader that goes
//! away (`nestlab ls | head -1`) ends the program quietly.

use crate::error::clean;
use std::io::{self, Write};

/// The exit code of a program that SIGPIPE ended, as shells give it.
const PIPE_CLOSED: i32 = 141;

/// Writes data.
pub fn data(text: &str) {
    let mut out = io::stdout().lock();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(PIPE_CLOSED);
    }
}

/// Writes a JSON document as data.
pub fn json(value: &serde_json::Value) {
    data(&format!("{value:#}\n"));
}

/// Writes a JSON document on one line: the last of several, or an error.
pub fn json_line(value: &serde_json::Value) {
    data(&format!("{value}\n"));
}

/// Writes a line of conversation. Nobody listening is no error.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The longest cell of a table, in characters.
const CELL: usize = 300;

/// A table with aligned columns, for people. What a guest says in it is text and nothing else.
pub fn table(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| clean(cell).chars().take(CELL).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
