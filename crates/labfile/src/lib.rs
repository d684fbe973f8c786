//! From text to the model, with every mistake at its place.
//!
//! ```text
//! text ─yaml─► tree with spans ─keys─► fields ─resolve─► Lab + marks ─checks─► Lab
//!    └─vagrant─► ┘  └──────────────── diagnostics ───────────────────────┘
//! ```
//!
//! A Vagrantfile is a lab file written in Ruby: it becomes the same tree, whose marks point
//! into it (`vagrant`), and [`convert`] prints that tree as YAML.
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
mod vagrant;
mod value;
mod yaml;

pub use diagnostic::{Diagnostic, Position, Severity};
pub use files::{FileKind, Files, MAX_NAMES, MemoryFiles, OsFiles};
pub use settings::{LoadedSettings, UserSettings, settings as user_settings};
pub use vagrant::{PLUGINS as VAGRANT_PLUGINS, Settings as VagrantSettings, VagrantMachine};

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
    /// If the file is a Vagrantfile: its machines, in its order.
    pub vagrant: Option<Vec<VagrantMachine>>,
}

/// What a lab is made from beside its files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Values of variables of the file (`--set k=v`).
    pub overrides: BTreeMap<String, String>,
    /// Images that nodes can name besides those that their file defines.
    pub images: BTreeMap<ImageName, ImageSpec>,
    /// What Vagrantfiles are told.
    pub vagrant: VagrantSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            overrides: BTreeMap::new(),
            images: builtin_images(),
            vagrant: VagrantSettings::default(),
        }
    }
}

/// What came of the conversion of a Vagrantfile.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// The lab file; `None` if the Vagrantfile cannot be understood. It is given even if there
    /// are errors, as what has to be mended may be easier to mend in it.
    pub yaml: Option<String>,
    /// What loading the Vagrantfile says: diagnostics and sources.
    pub loaded: Loaded,
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
    let settings = Settings {
        overrides: overrides.clone(),
        images,
        ..Settings::default()
    };
    load_as(source, path, &settings)
}

/// The same with everything that a lab is made from said. A path that ends in `Vagrantfile`
/// is one of Vagrant's.
pub fn load_as(source: &dyn Files, path: &Path, settings: &Settings) -> Loaded {
    let mut resolver = Resolver::new(source, settings.images.clone(), &settings.vagrant);
    let lab = resolver.lab(path, &settings.overrides);
    let Resolver {
        mut report,
        marks,
        machines,
        ..
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
        vagrant: settings.vagrant.is_vagrantfile(path).then_some(machines),
    }
}

/// Whether a path is that of a Vagrantfile: `Vagrantfile`, or `*.Vagrantfile`.
pub fn is_vagrantfile(path: &Path) -> bool {
    vagrant::is_vagrantfile(path)
}

/// The image that a box of this name stands for, of those that are known: the nearest to it, if
/// it is a stock system and nothing else.
pub fn image_of_box<'a>(
    name: &str,
    known: &'a BTreeMap<ImageName, ImageSpec>,
) -> Option<&'a ImageName> {
    vagrant::image_of_box(name, known)
}

/// The lab file that a Vagrantfile amounts to, as commented YAML. It goes into the same
/// folder: loading it gives the same lab.
pub fn convert(source: &dyn Files, path: &Path, settings: &Settings) -> Converted {
    let loaded = load_as(source, path, settings);
    let text = loaded.sources.get(path).cloned().unwrap_or_default();
    let world = vagrant::World {
        files: source,
        settings: &settings.vagrant,
        known: &settings.images,
    };
    // What it says has been said by `load_as`.
    let mut report = report::Report::default();
    let number = report.file(path, &text);
    let lab = vagrant::read(path, &text, number, &world, &mut report);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let heading = format!("The lab of {name}, as `nestlab convert` wrote it.");
    Converted {
        yaml: lab.map(|lab| lab.yaml(&heading)),
        loaded,
    }
}

/// The machines of a Vagrantfile as JSON, the way that Vagrant itself sees them: for tests
/// that compare with it. `None` if the file cannot be understood.
pub fn vagrant_machines(
    source: &dyn Files,
    path: &Path,
    settings: &Settings,
) -> Option<serde_json::Value> {
    let bytes = source.read(path, limits::MAX_LABFILE).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let world = vagrant::World {
        files: source,
        settings: &settings.vagrant,
        known: &settings.images,
    };
    let mut report = report::Report::default();
    let number = report.file(path, &text);
    vagrant::dump(path, &text, number, &world, &mut report)
}

/// The JSON Schema of a lab file, for editors.
pub fn schema() -> serde_json::Value {
    schema::schema()
}

/// The reference of the lab file's keys, in Markdown.
pub fn reference() -> String {
    reference::reference()
}
