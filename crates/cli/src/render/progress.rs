//! The progress of an operation: one consumer of a lab's events.
//!
//! On a terminal every node has a line that is redrawn in place, and whatever
//! else is worth saying scrolls by above. Elsewhere each change is a line, in
//! the same words. Quiet, nothing but warnings.

use super::{duration, tree};
use crate::context::{Context, paint};
use crate::error::clean;
use crate::machine;
use crate::terminal;
use nestlab_model::{Accelerator, Event, EventKind, NodePath, NodeState};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Lines of a node's output that are kept for the day it fails.
const KEPT_LINES: usize = 12;

/// Columns assumed where the terminal does not say.
const COLUMNS: usize = 100;

/// Shows an operation.
pub struct Progress {
    mode: Mode,
    color: bool,
    started: Instant,
    /// In the order of the file; nodes that the file lacks come last.
    order: Vec<NodePath>,
    nodes: BTreeMap<NodePath, Line>,
    /// Lines of the live region that are on the screen.
    drawn: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Live,
    Lines,
    Json,
    Machine,
    Quiet,
}

/// What is known of a node.
struct Line {
    state: NodeState,
    since: Instant,
    note: String,
    output: VecDeque<String>,
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(context: &Context, order: Vec<NodePath>) -> Self {
        let live = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let mode = match (&context.global, live) {
            (global, _) if global.json => Mode::Json,
            (global, _) if global.machine_readable => Mode::Machine,
            (global, _) if global.quiet => Mode::Quiet,
            (_, true) => Mode::Live,
            (_, false) => Mode::Lines,
        };
        Self {
            mode,
            color: context.color,
            started: Instant::now(),
            order,
            nodes: BTreeMap::new(),
            drawn: 0,
        }
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> String {
        duration(self.started.elapsed())
    }

    /// Takes an event in.
    pub fn event(&mut self, event: Event) {
        if self.mode == Mode::Json {
            let line = serde_json::to_string(&event).unwrap_or_default();
            crate::output::data(&format!("{line}\n"));
            return;
        }
        let path = event.path;
        match event.kind {
            EventKind::State { state } => self.state(path, state),
            EventKind::Progress { message, .. } => self.note(path, clean(&message)),
            EventKind::Output { line, .. } => self.output(&path, &clean(&line)),
            EventKind::Accelerator {
                accelerator,
                reason,
            } => {
                self.accelerator(&path, accelerator, reason);
            }
            EventKind::Warning { message } => {
                if self.mode == Mode::Machine {
                    return told(&path, "warn", &message);
                }
                let head = paint(self.color, "1;33", "warning");
                self.above(&format!("{head}: {}{}", prefix(&path), clean(&message)));
            }
            EventKind::Lagged { missed } => {
                tracing::info!(missed, "events were too many to be shown");
            }
        }
    }

    /// Draws the live region again: called several times a second.
    pub fn tick(&mut self) {
        if self.mode == Mode::Live {
            let text = self.erased() + &self.region();
            emit(&text);
        }
    }

    /// Takes the live region away: the end of the operation.
    pub fn finish(&mut self) {
        let text = self.erased();
        if !text.is_empty() {
            emit(&text);
        }
    }

    /// The last lines that a node's provisioners wrote.
    pub fn last_output(&self, path: &NodePath) -> Vec<String> {
        self.nodes
            .get(path)
            .map(|line| line.output.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether output was shown as it came.
    pub fn shows_output(&self) -> bool {
        matches!(self.mode, Mode::Live | Mode::Lines | Mode::Machine)
    }

    fn state(&mut self, path: NodePath, state: NodeState) {
        if path.is_host() {
            return;
        }
        let word = state.word();
        let line = self.line(&path);
        let known = line.state == state;
        let leaves = line.state.word() != word;
        line.state = state.clone();
        if leaves {
            line.note.clear();
        }
        match self.mode {
            Mode::Lines if !known => {
                let word = paint(self.color, tree::ansi(&state), &word);
                emit(&format!("{:>7}  {path}  {word}\n", self.elapsed()));
            }
            Mode::Machine if !known => told(&path, "info", &word),
            _ => self.tick(),
        }
    }

    fn note(&mut self, path: NodePath, message: String) {
        match self.mode {
            Mode::Lines => emit(&format!("{:>7}  {path}  {message}\n", self.elapsed())),
            Mode::Live => {
                if path.is_host() {
                    return self.above(&message);
                }
                self.line(&path).note = message;
                self.tick();
            }
            Mode::Machine => told(&path, "info", &message),
            Mode::Json | Mode::Quiet => {}
        }
    }

    fn output(&mut self, path: &NodePath, line: &str) {
        let kept = &mut self.line(path).output;
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
        if self.mode == Mode::Machine {
            told(path, "detail", line);
        } else if self.shows_output() {
            let head = paint(self.color, "2", &format!("{path} |"));
            self.above(&format!("{head} {line}"));
        }
    }

    fn accelerator(&mut self, path: &NodePath, accelerator: Accelerator, reason: Option<String>) {
        if self.mode == Mode::Quiet {
            return;
        }
        let slow = if accelerator == Accelerator::Tcg {
            " (slow)"
        } else {
            ""
        };
        let why = reason
            .map(|reason| format!(": {}", clean(&reason)))
            .unwrap_or_default();
        let on = match accelerator {
            Accelerator::Container => "this level's kernel".to_owned(),
            _ => accelerator.to_string(),
        };
        if self.mode == Mode::Machine {
            return told(path, "info", &format!("runs on {on}{slow}{why}"));
        }
        self.above(&format!("{}runs on {on}{slow}{why}", prefix(path)));
    }

    fn line(&mut self, path: &NodePath) -> &mut Line {
        if !self.order.contains(path) {
            self.order.push(path.clone());
        }
        self.nodes.entry(path.clone()).or_insert_with(|| Line {
            state: NodeState::Absent,
            since: Instant::now(),
            note: String::new(),
            output: VecDeque::new(),
        })
    }

    /// Writes a line that stays, above the live region.
    fn above(&mut self, text: &str) {
        let mut all = self.erased();
        let _ = writeln!(all, "{text}");
        if self.mode == Mode::Live {
            all += &self.region();
        }
        emit(&all);
    }

    /// What takes the region off the screen.
    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\u{1b}[{lines}A\r\u{1b}[J"),
        }
    }

    /// The region, one line per node: as many as the terminal has room for,
    /// those that are on their way first.
    fn region(&mut self) -> String {
        let size = terminal::size();
        let columns = size.map_or(COLUMNS, |size| usize::from(size.columns));
        let rows = size
            .map_or(24, |size| usize::from(size.rows))
            .saturating_sub(2)
            .max(1);
        let shown: Vec<&NodePath> = self
            .order
            .iter()
            .filter(|path| self.nodes.contains_key(*path))
            .collect();
        let on_their_way = |path: &&&NodePath| {
            self.nodes
                .get(**path)
                .is_some_and(|line| matches!(line.state, NodeState::Starting { .. }))
        };
        let shown: Vec<&NodePath> = if shown.len() > rows {
            shown
                .iter()
                .filter(on_their_way)
                .take(rows)
                .copied()
                .collect()
        } else {
            shown
        };
        let width = shown
            .iter()
            .map(|path| path.to_string().len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for path in &shown {
            let Some(line) = self.nodes.get(*path) else {
                continue;
            };
            let elapsed = duration(line.since.elapsed());
            let settled = matches!(
                line.state,
                NodeState::Ready | NodeState::Halted | NodeState::Saved | NodeState::Absent
            );
            let time = if settled { String::new() } else { elapsed };
            let word = line.state.word();
            let plain = format!("  {path:width$}  {word:<20} {time:>9}  {}", line.note);
            let cut: String = plain.chars().take(columns.saturating_sub(1)).collect();
            let colored = paint(self.color, tree::ansi(&line.state), &word);
            let _ = writeln!(text, "{}", cut.replacen(&word, &colored, 1));
        }
        self.drawn = shown.len();
        text
    }
}

/// A line for scripts, with the head that Vagrant gives it.
fn told(path: &NodePath, level: &str, text: &str) {
    let head = match level {
        _ if path.is_host() => String::new(),
        "detail" => format!("    {path}: "),
        _ => format!("==> {path}: "),
    };
    let target = match path.is_host() {
        true => String::new(),
        false => path.to_string(),
    };
    machine::ui(&target, level, &format!("{head}{text}"));
}

fn prefix(path: &NodePath) -> String {
    if path.is_host() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

fn emit(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
