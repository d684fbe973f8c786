//! What a user says for every lab: `config.yaml` in the user's own configuration.

use crate::diagnostic::{self, Diagnostic};
use crate::fields::Fields;
use crate::files::Files;
use crate::keys::SETTINGS;
use crate::limits::MAX_LABFILE;
use crate::report::{Mark, Problem, Report};
use crate::template::Scope;
use crate::value::Reader;
use crate::yaml::{self, Entry, Tree};
use nestlab_model::ImageName;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// How addresses of mirrors may begin; those that they stand for are on the web.
const SCHEMES: &[&str] = &["http://", "https://"];

/// What a user says for every lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSettings {
    /// Beginnings of addresses of images, and what stands in place of each.
    pub image_mirrors: BTreeMap<String, String>,
    /// Names of Vagrant's boxes, and the images that stand for them.
    pub box_aliases: BTreeMap<String, ImageName>,
}

/// What came of a file of settings.
#[derive(Debug, Clone, Default)]
pub struct LoadedSettings {
    /// The settings, as far as they were understood.
    pub settings: UserSettings,
    /// Every mistake, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The text of the file.
    pub sources: BTreeMap<PathBuf, String>,
}

impl LoadedSettings {
    /// Every diagnostic with its excerpt, one below the other.
    pub fn render(&self, color: bool) -> String {
        diagnostic::render_all(&self.diagnostics, &self.sources, Path::new(""), color)
    }
}

/// Reads a user's settings; none if there is no such file.
///
/// # Errors
/// There is one, and it cannot be read.
pub fn settings(source: &dyn Files, path: &Path) -> io::Result<LoadedSettings> {
    let bytes = match source.read(path, MAX_LABFILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        read => read?,
    };
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let mut report = Report::default();
    let number = report.file(path, &text);
    let tree = yaml::parse(&text, number, &mut report);
    let settings = tree.and_then(|tree| read(&tree, Mark::top(number), &mut report));
    let (diagnostics, sources) = report.finish();
    Ok(LoadedSettings {
        settings: settings.unwrap_or_default(),
        diagnostics,
        sources,
    })
}

fn read(tree: &Tree, top: Mark, report: &mut Report) -> Option<UserSettings> {
    let fields = Fields::read(tree, &SETTINGS, top, report)?;
    let scope = Scope::default();
    let mut reader = Reader {
        scope: &scope,
        report,
    };
    let mut settings = UserSettings::default();
    for entry in entries(&fields, "image_mirrors", &mut reader) {
        let to = reader.url(&entry.value, "image_mirrors", SCHEMES);
        if is_address(entry, &mut reader)
            && let Some(to) = to
        {
            settings.image_mirrors.insert(entry.key.clone(), to);
        }
    }
    for entry in entries(&fields, "box_aliases", &mut reader) {
        let expected = "the name of an image";
        if let Some(image) = reader.parsed(&entry.value, "box_aliases", expected) {
            settings.box_aliases.insert(entry.key.clone(), image);
        }
    }
    Some(settings)
}

fn entries<'t>(fields: &Fields<'t>, key: &str, reader: &mut Reader<'_>) -> &'t [Entry] {
    let entries = fields.get(key).and_then(|tree| reader.map(tree, key));
    entries.unwrap_or_default()
}

/// Whether what a mirror stands for is the beginning of an address, up to a folder: else
/// `https://a.example` would speak for `https://a.example.net`, too.
fn is_address(entry: &Entry, reader: &mut Reader<'_>) -> bool {
    let on_the_web = SCHEMES.iter().any(|scheme| entry.key.starts_with(scheme));
    if on_the_web && entry.key.ends_with('/') {
        return true;
    }
    let message = format!("`{}` is not how addresses of images begin", entry.key);
    let problem = Problem::error("invalid-value", entry.key_mark, message);
    let expected = "expected one such as `https://cloud-images.ubuntu.com/`";
    reader.report.add(problem.label(expected));
    false
}
