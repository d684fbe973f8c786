//! Files and folders of this machine that a lab file names.

use super::{Resolver, Unit};
use crate::files::FileKind;
use crate::limits::MAX_SCRIPT;
use crate::report::Problem;
use crate::template::Scope;
use crate::yaml::Tree;
use std::path::{Component, Path, PathBuf};

/// What must stand at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    File,
    FileOrFolder,
    /// A file, or the folder of an image for containers.
    Image,
}

/// What the folder of an image for containers holds.
const LAYOUT: &str = "index.json";

impl Resolver<'_> {
    /// The path that `key` names, which must lead to something.
    pub(super) fn existing(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        key: &str,
        scope: &Scope,
        want: Want,
    ) -> Option<PathBuf> {
        let text = self.reader(scope).text(tree, key)?;
        if text.is_empty() || text.contains('\0') {
            let problem = Problem::error("invalid-value", tree.mark, format!("`{key}` is no path"));
            self.report
                .add(problem.label("expected the path of a file"));
            return None;
        }
        let path = resolve(&unit.folder, &text);
        match self.files.kind(&path) {
            Some(FileKind::Folder) if !self.may_be_folder(want, &path) => {
                let message = format!("`{key}` names a folder");
                let problem = Problem::error("missing-file", tree.mark, message);
                self.report.add(problem.label(match want {
                    Want::Image => "expected a file, or a folder with an OCI image layout",
                    Want::File | Want::FileOrFolder => "expected a file",
                }));
                None
            }
            Some(_) => Some(path),
            None => {
                let message = format!("`{key}` names a file that does not exist");
                let label = format!("no {}", path.display());
                let hint = "a relative path starts at the folder of the lab file";
                let problem = Problem::error("missing-file", tree.mark, message);
                self.report.add(problem.label(label).hint(hint));
                None
            }
        }
    }

    fn may_be_folder(&self, want: Want, folder: &Path) -> bool {
        match want {
            Want::File => false,
            Want::FileOrFolder => true,
            Want::Image => self.files.kind(&folder.join(LAYOUT)).is_some(),
        }
    }

    /// The text of the script that `key` names, and its file name.
    pub(super) fn script(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        scope: &Scope,
    ) -> Option<(String, String)> {
        let (path, text) = self.text_file(unit, tree, "script", scope)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Some((text, name.to_string_lossy().into_owned()))
    }

    /// The text of a file, and where it is.
    pub(super) fn text_file(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        key: &str,
        scope: &Scope,
    ) -> Option<(PathBuf, String)> {
        let path = self.existing(unit, tree, key, scope, Want::File)?;
        let read = self
            .files
            .read(&path, MAX_SCRIPT)
            .map_err(|error| error.to_string());
        let text = read.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| "It is not UTF-8 text".to_owned())
        });
        match text {
            Ok(text) => Some((path, text)),
            Err(reason) => {
                let message = format!("Cannot read the {key} {}", path.display());
                let problem = Problem::error("unreadable-file", tree.mark, message);
                self.report.add(problem.label(reason));
                None
            }
        }
    }
}

/// `text` as a path, from `folder` on if it is relative; without `.` parts.
pub(crate) fn resolve(folder: &Path, text: &str) -> PathBuf {
    let parts = Path::new(text)
        .components()
        .filter(|part| *part != Component::CurDir);
    folder.join(parts.collect::<PathBuf>())
}

/// The path without `.` and `..`, so that one file has one name. Wrong where a
/// link stands before `..`: good for telling cycles, not for opening.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
