//! What the tests of diagnostics share: a lab file among a few others.

use nestlab_labfile::{Diagnostic, Loaded, MemoryFiles, load};
use std::collections::BTreeMap;
use std::path::Path;

/// The files beside the lab file.
fn files() -> MemoryFiles {
    MemoryFiles::new()
        .with("/lab/setup.sh", "#!/bin/sh\n")
        .with("/lab/folder/file", "")
        .with("/lab/binary", [0xff, 0xfe])
        .with("/lab/inner.yaml", "name: i\nvariables: { size: 1 }\nnodes:\n  x: { image: debian, cpus: \"{{ size }}\" }\n")
        .with("/lab/circle.yaml", "name: c\nnodes:\n  x: { image: hypervisor, memory: 2GiB, nested: true, inside: { from: ./circle.yaml } }\n")
        .with("/lab/bad.yaml", "name: b\nnodes:\n  x: { image: nothing }\n")
}

/// Loads a text as `/lab/nestlab.yaml`.
pub fn loaded(yaml: &str, sets: &[(&str, &str)]) -> Loaded {
    let sets: BTreeMap<_, _> = sets
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(
        &files().with("/lab/nestlab.yaml", yaml),
        Path::new("/lab/nestlab.yaml"),
        &sets,
    )
}

/// Every diagnostic of a text, one a line:
/// `PLACE SEVERITY[CODE] MESSAGE ⟨LABEL⟩ (HINT)`.
#[allow(dead_code, reason = "not every test binary uses it")]
pub fn diagnose(yaml: &str, sets: &[(&str, &str)]) -> String {
    let loaded = loaded(yaml, sets);
    let errors = loaded.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(
        errors,
        loaded.lab.is_none(),
        "a lab comes out exactly if there is no error"
    );
    if loaded.diagnostics.is_empty() {
        return "fine".into();
    }
    loaded
        .diagnostics
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        severity,
        code,
        line,
        column,
        end,
        message,
        ..
    } = diagnostic;
    let file = diagnostic
        .file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let file = if file == "nestlab" {
        String::new()
    } else {
        format!("{file}:")
    };
    let width = if end.line == *line {
        format!("-{}", end.column)
    } else {
        "…".into()
    };
    let mut text = format!("{file}{line}:{column}{width} {severity}[{code}] {message}");
    if let Some(label) = &diagnostic.label {
        text += &format!(" ⟨{label}⟩");
    }
    if let Some(hint) = &diagnostic.hint {
        text += &format!(" ({hint})");
    }
    text
}
