//! From text to the model, with every mistake at its place.
//!
//! ```text
//! text ─yaml─► tree with spans ─keys─► fields ─resolve─► Lab + marks ─checks─► Lab
//!                   └──────────────── diagnostics ───────────────────────┘
//! ```
//!
//! [`load`] is a pure function of the files it is given: it prints nothing and
//! reads neither environment nor clock. It never stops at the first mistake:
//! what it can still understand it goes on to check. The keys stand in one
//! table (`keys`), from which the walker, [`schema`] and [`reference`] come.

mod checks;
mod diagnostic;
mod fields;
mod files;
mod keys;
mod limits;
mod marks;
mod reference;
mod render;
mod report;
mod resolve;
mod schema;
mod settings;
mod template;
mod value;
mod yaml;

pub use diagnostic::{Diagnostic, Position, Severity};
pub use files::{FileKind, Files, MemoryFiles, OsFiles};
pub use settings::{LoadedSettings, Settings, settings};

use nestlab_model::{ImageName, ImageSpec, Lab, builtin_images};
use resolve::Resolver;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What came of a lab file.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The lab; `None` if there is any error among the diagnostics.
    pub lab: Option<Lab>,
    /// Every mistake, warning and note, sorted by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The text of every lab file that was read, by the path it was read from.
    pub sources: BTreeMap<PathBuf, String>,
}

impl Loaded {
    /// Every diagnostic with its excerpt, one below the other. File names lose
    /// the prefix `base`.
    pub fn render(&self, base: &Path, color: bool) -> String {
        diagnostic::render_all(&self.diagnostics, &self.sources, base, color)
    }
}

/// Reads the lab file at `path`.
///
/// `overrides` replace variables of the file (`--set k=v`). Paths in the lab
/// are those of the file joined to its folder: give an absolute `path` to get
/// absolute ones.
pub fn load(source: &dyn Files, path: &Path, overrides: &BTreeMap<String, String>) -> Loaded {
    load_with(source, path, overrides, builtin_images())
}

/// The same, where nodes can name other images besides those that their file defines than
/// the built-in ones.
pub fn load_with(
    source: &dyn Files,
    path: &Path,
    overrides: &BTreeMap<String, String>,
    images: BTreeMap<ImageName, ImageSpec>,
) -> Loaded {
    let mut resolver = Resolver::new(source, images);
    let lab = resolver.lab(path, overrides);
    let Resolver {
        mut report, marks, ..
    } = resolver;
    if let Some(lab) = &lab {
        checks::run(lab, &marks, &mut report);
    }
    let sound = !report.has_errors();
    let (diagnostics, sources) = report.finish();
    Loaded {
        lab: lab.filter(|_| sound),
        diagnostics,
        sources,
    }
}

/// The JSON Schema of a lab file, for editors.
pub fn schema() -> serde_json::Value {
    schema::schema()
}

/// The reference of the lab file's keys, in Markdown.
pub fn reference() -> String {
    reference::reference()
}
