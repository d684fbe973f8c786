//! Where a lab file is, if none is named: here or in a folder above, as git looks for its
//! own. A Vagrantfile is one as well, where no lab file lies beside it.

use super::canonical;
use crate::error::{Code, Error};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The names a lab file may have, the first before the others.
const NAMES: [&str; 2] = ["nestlab.yaml", "nestlab.yml"];

/// The names a Vagrantfile may have, unless a variable of Vagrant's gives one.
const VAGRANT_NAMES: [&str; 2] = ["Vagrantfile", "vagrantfile"];

/// What Vagrant is told by its environment.
#[derive(Debug, Default)]
pub struct Habits {
    /// The name of a Vagrantfile: VAGRANT_VAGRANTFILE.
    pub name: Option<OsString>,
    /// Where it is looked for instead of here: VAGRANT_CWD.
    pub folder: Option<PathBuf>,
}

impl Habits {
    /// As this program was told.
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            name: set("VAGRANT_VAGRANTFILE"),
            folder: set("VAGRANT_CWD").map(PathBuf::from),
        }
    }

    /// Whether a file is a Vagrantfile, by its name.
    pub fn is_vagrantfile(&self, file: &Path) -> bool {
        let name = file.file_name();
        nestlab_labfile::is_vagrantfile(file) || (name.is_some() && name == self.name.as_deref())
    }

    fn vagrant_names(&self) -> Vec<OsString> {
        match &self.name {
            Some(name) => vec![name.clone()],
            None => VAGRANT_NAMES.map(OsString::from).to_vec(),
        }
    }
}

/// The lab file of a folder or of the nearest above it. A folder that only Vagrant was told
/// of is looked into if there is no lab file here.
pub(super) fn lab_file(start: &Path, habits: &Habits) -> Result<PathBuf, Error> {
    let here = canonical(start)?;
    let own = NAMES.map(OsString::from).to_vec();
    let all: Vec<_> = own.iter().cloned().chain(habits.vagrant_names()).collect();
    let found = match &habits.folder {
        None => nearest(&here, &all),
        Some(folder) => match nearest(&here, &own) {
            Some(file) => Some(file),
            None => nearest(&canonical(folder)?, &all),
        },
    };
    match found {
        Some(file) => canonical(&file),
        None => Err(nothing(&here)),
    }
}

fn nearest(folder: &Path, names: &[OsString]) -> Option<PathBuf> {
    let mut candidates = folder
        .ancestors()
        .flat_map(|dir| names.iter().map(|name| dir.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

fn nothing(folder: &Path) -> Error {
    let message = format!(
        "No `nestlab.yaml` or `Vagrantfile` in `{}` or above it",
        folder.display()
    );
    Error::new(Code::Unknown, message)
        .hint("Go to a lab's folder, give `-C DIR` or `--file FILE`, or name a lab with `-l NAME` (`nestlab ls` lists them)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_is_the_labs() {
        let base = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(base.path()).unwrap();
        let files = [
            "yaml/nestlab.yaml",
            "yaml/ruby/Vagrantfile",
            "both/nestlab.yml",
            "both/Vagrantfile",
            "both/other/Machines",
        ];
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for folder in ["yaml/ruby/deep", "both/deep", "none"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let check = |start: &str, name: Option<&str>, folder: Option<&str>, expected: &str| {
            let habits = Habits {
                name: name.map(OsString::from),
                folder: folder.map(|folder| root.join(folder)),
            };
            let found = lab_file(&root.join(start), &habits).ok();
            let found = found.map(|file| file.strip_prefix(&root).unwrap().to_owned());
            let found = found.unwrap_or_default();
            assert_eq!(found, Path::new(expected), "{start} {name:?} {folder:?}");
        };
        check("yaml/ruby/deep", None, None, "yaml/ruby/Vagrantfile");
        check("yaml", None, None, "yaml/nestlab.yaml");
        check("both/deep", None, None, "both/nestlab.yml");
        check("both/other", None, None, "both/nestlab.yml");
        check("both/other", Some("Machines"), None, "both/other/Machines");
        check("yaml/ruby", Some("Machines"), None, "yaml/nestlab.yaml");
        check("none", None, Some("yaml/ruby"), "yaml/ruby/Vagrantfile");
        check("both", None, Some("yaml/ruby"), "both/nestlab.yml");
        check("none", None, None, "");
    }
}
