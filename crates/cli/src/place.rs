//! Where a lab is: its file, its record, its folders and its socket.
//!
//! A lab is named by its file (found upwards from here, `search`) or, wherever the file
//! went, by its name. The record in the state folder binds the two to a random
//! id, which names everything that the lab makes on this machine.

mod dirs;
mod record;
mod search;

pub use dirs::{Dirs, config_home, existing, private_dir};
pub use record::Record;
pub use search::Habits;

use crate::cli::Global;
use crate::error::{Code, Error};
use nestlab_api::client::Client;
use record::{RECORD_VERSION, now, random_id};
use std::fs;
use std::path::{Path, PathBuf};

/// Names the lab that is meant where no option does.
pub const LAB_VARIABLE: &str = "NESTLAB_LAB";

/// The lab that a command line means.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folders of this machine.
    pub dirs: Dirs,
    /// Its file, which may be gone if the lab is known.
    pub file: PathBuf,
    /// Its record, if it was ever brought up.
    pub record: Option<Record>,
}

impl Place {
    /// The record, or an error that says that the lab was never brought up.
    pub fn known(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or_else(|| {
            let file = self.file.display();
            Error::new(Code::Unknown, format!("The lab of `{file}` is not up"))
                .hint("`nestlab up` brings it up")
        })
    }

    /// The file, or an error that says where it was.
    pub fn existing_file(&self) -> Result<&Path, Error> {
        if self.file.is_file() {
            return Ok(&self.file);
        }
        let (file, name) = (
            self.file.display(),
            self.record.as_ref().map_or("NAME", |r| &r.name),
        );
        Err(Error::new(Code::Usage, format!("The lab file `{file}` is gone"))
            .hint(format!("If it moved: `nestlab -l {name} --file NEW-PATH up`; `nestlab -l {name} destroy` removes the lab")))
    }

    /// A client of the lab's supervisor, which may not run.
    pub fn client(&self, record: &Record) -> Client {
        Client::unix(self.dirs.socket(&record.id))
    }

    /// The record of the lab, made at its first `up`. A provider is remembered.
    pub fn register(&mut self, name: &str, provider: Option<&str>) -> Result<Record, Error> {
        let _lock = self.dirs.lock_records()?;
        let records = self.dirs.records();
        // Found again under the lock: another `up` may have been first.
        let ours = self.record.as_ref().map(|record| record.id.clone());
        let ours = records
            .iter()
            .find(|r| Some(&r.id) == ours.as_ref() || r.is_of(&self.file))
            .or_else(|| {
                records
                    .iter()
                    .find(|r| r.name == name && self.comes_after(r))
            });
        let clash = records
            .iter()
            .find(|r| r.name == name && Some(&r.id) != ours.map(|o| &o.id));
        if let Some(other) = clash {
            return Err(name_taken(other));
        }
        let record = Record {
            version: RECORD_VERSION,
            id: ours.map_or_else(random_id, |record| Ok(record.id.clone()))?,
            name: name.to_owned(),
            file: self.file.clone(),
            created: ours.map_or_else(now, |record| record.created),
            fork_of: None,
            provider: provider
                .map(str::to_owned)
                .or_else(|| ours.and_then(|record| record.provider.clone())),
        };
        if ours != Some(&record) {
            record.write(&self.dirs)?;
        }
        self.record = Some(record.clone());
        Ok(record)
    }

    /// Whether the lab was one of a Vagrantfile that lies beside its file now: it has been
    /// converted, and goes on.
    fn comes_after(&self, other: &Record) -> bool {
        let habits = Habits::from_env();
        other.fork_of.is_none()
            && habits.is_vagrantfile(&other.file)
            && !habits.is_vagrantfile(&self.file)
            && other.file.parent() == self.file.parent()
    }

    /// Makes records for so many forks of the lab: named as wished, with a number
    /// if there are several; without a wish `LAB-fork-1` and on.
    pub fn register_forks(&self, wish: Option<&str>, count: usize) -> Result<Vec<Place>, Error> {
        let origin = self.known()?;
        let _lock = self.dirs.lock_records()?;
        let records = self.dirs.records();
        let taken = |name: &str| records.iter().find(|record| record.name == name);
        let names: Vec<String> = match wish {
            Some(name) if count == 1 => vec![name.to_owned()],
            Some(name) => (1..=count).map(|n| format!("{name}-{n}")).collect(),
            None => (1..)
                .map(|n| format!("{}-fork-{n}", origin.name))
                .filter(|name| taken(name).is_none())
                .take(count)
                .collect(),
        };
        if let Some(other) = names.iter().find_map(|name| taken(name)) {
            return Err(Error::new(
                Code::Usage,
                format!("There is a lab named `{}` already", other.name),
            )
            .hint(format!(
                "Take another name, or `nestlab -l {} destroy`",
                other.name
            )));
        }
        let forks = names.into_iter().map(|name| {
            let record = Record {
                version: RECORD_VERSION,
                id: random_id()?,
                name,
                file: self.file.clone(),
                created: now(),
                fork_of: Some(origin.name.clone()),
                provider: origin.provider.clone(),
            };
            record.write(&self.dirs)?;
            Ok(Place {
                dirs: self.dirs.clone(),
                file: self.file.clone(),
                record: Some(record),
            })
        });
        forks.collect()
    }

    /// Forgets a lab that has been destroyed.
    pub fn forget(&self, record: &Record) -> Result<(), Error> {
        let mut folders = vec![
            self.dirs.lab_runtime(&record.id),
            self.dirs.lab_memory(&record.id),
            self.dirs.lab_state(&record.id),
        ];
        let starters = fs::canonicalize(self.dirs.starters()).ok();
        let own = record
            .file
            .parent()
            .filter(|folder| record.fork_of.is_none() && folder.parent() == starters.as_deref());
        folders.extend(own.map(Path::to_owned));
        for folder in folders {
            let cannot =
                |error| Error::caused(format!("Cannot remove `{}`", folder.display()), &error);
            nestlab_sys::dir::remove(&folder).map_err(cannot)?;
        }
        Ok(())
    }
}

fn name_taken(other: &Record) -> Error {
    let (name, file) = (&other.name, other.file.display());
    let hint = if other.file.is_file() {
        format!("Give this lab another `name:`, or remove that one: `nestlab -l {name} destroy`")
    } else {
        format!(
            "That file is gone. If you moved it here: `nestlab -l {name} --file nestlab.yaml up`"
        )
    };
    Error::new(
        Code::Usage,
        format!("There is a lab named `{name}` already, from `{file}`"),
    )
    .hint(hint)
}

/// Finds the lab that the options mean.
pub fn find(dirs: &Dirs, global: &Global) -> Result<Place, Error> {
    let start = global
        .directory
        .clone()
        .unwrap_or_else(|| PathBuf::from("."));
    let mut habits = Habits::from_env();
    if global.directory.is_some() {
        habits.folder = None;
    }
    let from_variable = || match (&global.file, &global.directory) {
        (None, None) => std::env::var(LAB_VARIABLE).ok(),
        _ => None,
    };
    let name = global.lab.clone().or_else(from_variable);
    let named = name
        .filter(|name| !name.is_empty())
        .map(|name| by_name(dirs, &name))
        .transpose()?;
    let file = match (&global.file, &named) {
        (Some(file), _) => canonical(&start.join(file))?,
        (None, Some(record)) => record.file.clone(),
        (None, None) => search::lab_file(&start, &habits)?,
    };
    let record = named.or_else(|| {
        dirs.records()
            .into_iter()
            .find(|record| record.is_of(&file))
    });
    Ok(Place {
        dirs: dirs.clone(),
        file,
        record,
    })
}

/// A lab that is known on this machine, by its name or id.
pub fn named(dirs: &Dirs, name: &str) -> Result<Place, Error> {
    let record = by_name(dirs, name)?;
    Ok(Place {
        dirs: dirs.clone(),
        file: record.file.clone(),
        record: Some(record),
    })
}

/// The lab of a file.
pub fn of_file(dirs: &Dirs, file: &Path) -> Result<Place, Error> {
    let file = canonical(file)?;
    let mut records = dirs.records().into_iter();
    let record = records.find(|record| record.is_of(&file));
    Ok(Place {
        dirs: dirs.clone(),
        file,
        record,
    })
}

fn by_name(dirs: &Dirs, name: &str) -> Result<Record, Error> {
    let records = dirs.records();
    let found = records
        .iter()
        .find(|r| r.name == name)
        .or_else(|| records.iter().find(|r| r.id == name));
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = records.iter().map(|r| format!("`{}`", r.name)).collect();
        let hint = if known.is_empty() {
            "No lab was ever brought up here; `nestlab up` in a lab's folder does".to_owned()
        } else {
            format!("Known labs: {}", known.join(", "))
        };
        Error::new(
            Code::Unknown,
            format!("No lab named `{name}` is known on this machine"),
        )
        .hint(hint)
    })
}

fn canonical(path: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(path).map_err(|error| {
        Error::caused(format!("Cannot open `{}`", path.display()), &error).code(Code::Unknown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn place(&self, folder: &str) -> Place {
            let dir = self.0.path().join(folder);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("nestlab.yaml"), "name: x\n").unwrap();
            let file = canonical(&dir.join("nestlab.yaml")).unwrap();
            let base = self.0.path();
            let dirs = Dirs {
                state: base.join("state"),
                store: base.join("store"),
                runtime: base.join("run"),
                memory: base.join("memory"),
                template_budget: nestlab_model::ByteSize::bytes(0),
                container_engine: None,
            };
            let record = dirs
                .records()
                .into_iter()
                .find(|record| record.file == file);
            Place { dirs, file, record }
        }
    }

    #[test]
    fn a_file_keeps_its_id() {
        let home = Home::new();
        let first = home.place("a").register("demo", None).unwrap();
        let second = home.place("a").register("demo", None).unwrap();
        assert_eq!(first, second);
        let other = home.place("a").register("other", Some("docker")).unwrap();
        assert_eq!(other.id, first.id);
        let later = home.place("a").register("other", None).unwrap();
        assert_eq!(later.provider.as_deref(), Some("docker"));
        let mode = fs::metadata(home.0.path().join("state"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn two_files_cannot_share_a_name() {
        let home = Home::new();
        home.place("a").register("demo", None).unwrap();
        let error = home.place("b").register("demo", None).unwrap_err();
        assert!(error.render("error", "hint").contains("another `name:`"));
        fs::remove_dir_all(home.0.path().join("a")).unwrap();
        let error = home.place("b").register("demo", None).unwrap_err();
        assert!(error.render("error", "hint").contains("If you moved it"));
    }

    #[test]
    fn a_converted_lab_keeps_its_id() {
        let home = Home::new();
        let mut place = home.place("a");
        let yaml = std::mem::replace(&mut place.file, home.0.path().join("a/Vagrantfile"));
        let first = place.register("demo", None).unwrap();
        (place.file, place.record) = (yaml, None);
        let named_otherwise = place.clone().register("other", None).unwrap();
        assert_ne!(named_otherwise.id, first.id);
        fs::remove_dir_all(home.0.path().join("state/labs").join(&named_otherwise.id)).unwrap();
        assert_eq!(place.register("demo", None).unwrap().id, first.id);
    }

    #[test]
    fn a_moved_lab_keeps_its_id() {
        let home = Home::new();
        let first = home.place("a").register("demo", None).unwrap();
        fs::rename(home.0.path().join("a"), home.0.path().join("b")).unwrap();
        let mut moved = home.place("b");
        moved.record = Some(first.clone());
        let second = moved.register("demo", None).unwrap();
        assert_eq!((second.id, second.file), (first.id, moved.file));
    }
}
