//! Lab files to begin with. They are the examples of the project, which are tested.

use crate::error::{Code, Error};
use std::fs;
use std::io::Write;
use std::path::Path;

/// The lab file's name in every starter.
pub const FILE: &str = "nestlab.yaml";

const BOOTSTRAP: &str = include_str!("../../../examples/consul-ha/scripts/bootstrap.sh");

/// One of them.
pub struct Starter {
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    lab: &'static str,
    /// Further files, by where they are put.
    files: &'static [(&'static str, &'static str)],
}

/// All of them, the simplest first.
pub static ALL: [Starter; 6] = [
    Starter {
        name: "hello",
        about: "one machine that says hello",
        lab: include_str!("../../../examples/hello/nestlab.yaml"),
        files: &[],
    },
    Starter {
        name: "flat",
        about: "three Consul servers side by side",
        lab: include_str!("../../../examples/flat/nestlab.yaml"),
        files: &[("scripts/bootstrap.sh", BOOTSTRAP)],
    },
    Starter {
        name: "consul-ha",
        about: "three Consul servers inside one machine",
        lab: include_str!("../../../examples/consul-ha/nestlab.yaml"),
        files: &[("scripts/bootstrap.sh", BOOTSTRAP)],
    },
    Starter {
        name: "four-levels",
        about: "a machine in a container in a machine",
        lab: include_str!("../../../examples/four-levels/nestlab.yaml"),
        files: &[],
    },
    Starter {
        name: "docker",
        about: "containers by Docker Engine in a machine",
        lab: include_str!("../../../examples/docker/nestlab.yaml"),
        files: &[],
    },
    Starter {
        name: "playground",
        about: "a machine with Docker, KVM and ssh on port 2222, and a container in it",
        lab: include_str!("../../../examples/playground/nestlab.yaml"),
        files: &[],
    },
];

impl Starter {
    /// The one of that name.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let found = ALL.iter().find(|starter| starter.name == name);
        found.ok_or_else(|| {
            if name.contains('/') {
                return Error::new(Code::Usage, format!("A lab does not begin with a box, such as `{name}`"))
                    .hint("`nestlab up` takes a Vagrantfile as it is; `nestlab init --list` lists what else to begin with");
            }
            let names: Vec<_> = ALL.iter().map(|s| format!("`{}`", s.name)).collect();
            Error::new(Code::Usage, format!("There is no starter `{name}`"))
                .hint(format!("There are {}", names.join(", ")))
        })
    }

    /// Writes its files into a folder, for a lab of that name. None that is there already
    /// is touched.
    pub fn write(&self, folder: &Path, lab: &str) -> Result<(), Error> {
        let text = self.lab_file(lab);
        let files = self.files.iter().copied();
        let all: Vec<_> = std::iter::once((FILE, text.as_str()))
            .chain(files)
            .collect();
        if let Some((path, _)) = all.iter().find(|(path, _)| folder.join(path).exists()) {
            let path = folder.join(path);
            return Err(Error::new(
                Code::Usage,
                format!("`{}` is there already", path.display()),
            )
            .hint("Nothing was written; take another folder, or remove it"));
        }
        all.iter()
            .try_for_each(|(path, text)| create(&folder.join(path), text))
    }

    /// The example's, with its own name and paths; the line for editors is of no use
    /// elsewhere.
    fn lab_file(&self, lab: &str) -> String {
        let lines = self
            .lab
            .lines()
            .filter(|line| !line.starts_with("# yaml-language-server"));
        let line = |line: &str| match line.strip_prefix("name: ") {
            Some(_) => format!("name: {lab}\n"),
            None => format!("{}\n", line.replace("../consul-ha/scripts/", "scripts/")),
        };
        lines.map(line).collect()
    }
}

fn create(path: &Path, text: &str) -> Result<(), Error> {
    let cannot = |error| Error::caused(format!("Cannot write `{}`", path.display()), &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let file = fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(cannot)
}

/// A name for a lab, from any text: what cannot be in it becomes a hyphen.
pub fn lab_name(text: &str) -> String {
    let lower = text.to_lowercase();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = lower.chars().map(allowed).take(40).collect();
    match name.trim_matches('-') {
        "" => "lab".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("lab-{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_labfile::{OsFiles, Severity};
    use std::collections::BTreeMap;

    #[test]
    fn every_starter_is_a_lab_without_mistakes() {
        for starter in &ALL {
            let folder = tempfile::tempdir().unwrap();
            starter.write(folder.path(), "mine").unwrap();
            let file = folder.path().join(FILE);
            let loaded = nestlab_labfile::load(&OsFiles, &file, &BTreeMap::new());
            let bad: Vec<_> = loaded
                .diagnostics
                .iter()
                .filter(|d| d.severity != Severity::Note)
                .collect();
            assert!(bad.is_empty(), "{}: {bad:?}", starter.name);
            assert_eq!(loaded.lab.unwrap().name.as_str(), "mine");
            let again = starter.write(folder.path(), "mine").unwrap_err();
            assert!(again.render("", "").contains("there already"));
        }
        assert!(Starter::named("nothing").is_err());
    }

    #[test]
    fn any_folder_gives_a_name() {
        assert_eq!(lab_name("My Lab_2"), "my-lab-2");
        assert_eq!(lab_name("2nd"), "lab-2nd");
        assert_eq!(lab_name("…"), "lab");
    }
}
