//! Where a lab is: its file, its record, its folders and its socket.
//!
//! A lab is named by its file (found upwards from here) or, wherever the file
//! went, by its name. The record in the state folder binds the two to a random
//! id, which names everything that the lab makes on this machine.

use crate::cli::Global;
use crate::error::{Code, Error};
use nestlab_api::client::Client;
use nestlab_model::ByteSize;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The names a lab file may have.
const FILE_NAMES: [&str; 2] = ["nestlab.yaml", "nestlab.yml"];

/// Names the lab that is meant where no option does.
pub const LAB_VARIABLE: &str = "NESTLAB_LAB";

/// The version of [`Record`]. Raised when an old reader would misunderstand.
const RECORD_VERSION: u32 = 1;

/// Longest runtime folder: what a socket path (108 bytes, unix(7)) leaves
/// when the engine's own names follow.
const MAX_RUNTIME: usize = 64;

/// The folders of this user on this machine.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// Records of labs, and all that must outlive a reboot.
    pub state: PathBuf,
    /// Images.
    pub store: PathBuf,
    /// Sockets.
    pub runtime: PathBuf,
    /// Memory of machines, on a tmpfs.
    pub memory: PathBuf,
    /// What templates may take in the store.
    pub template_budget: ByteSize,
}

impl Dirs {
    /// From the environment, as the XDG base directory specification says.
    pub fn from_env() -> Result<Self, Error> {
        let state = xdg("XDG_STATE_HOME", ".local/state")?.join("nestlab");
        let store = match absolute("NESTLAB_STORE") {
            Some(store) => store,
            None => xdg("XDG_DATA_HOME", ".local/share")?.join("nestlab/store"),
        };
        Ok(Self {
            state,
            store,
            runtime: runtime_dir(),
            memory: PathBuf::from(format!("/dev/shm/nestlab-{}", user_id())),
            template_budget: template_budget()?,
        })
    }

    /// The folder of a lab's state.
    pub fn lab_state(&self, id: &str) -> PathBuf {
        self.state.join("labs").join(id)
    }

    /// Makes the folder of a lab that has no file of the user's own, and a name for it.
    pub fn new_starter(&self, kind: &str) -> Result<(PathBuf, String), Error> {
        private_dir(&self.state)?;
        private_dir(&self.starters())?;
        let name = format!("{kind}-{}", &random_id()?[..4]);
        let folder = self.starters().join(&name);
        private_dir(&folder)?;
        Ok((folder, name))
    }

    fn starters(&self) -> PathBuf {
        self.state.join("starters")
    }

    /// The folder of a lab's sockets.
    pub fn lab_runtime(&self, id: &str) -> PathBuf {
        self.runtime.join(id)
    }

    /// The folder of the memory of a lab's machines.
    pub fn lab_memory(&self, id: &str) -> PathBuf {
        self.memory.join(id)
    }

    /// The socket of a lab's supervisor.
    pub fn socket(&self, id: &str) -> PathBuf {
        self.lab_runtime(id).join("s.sock")
    }

    /// Keeps others from adding records until it is dropped.
    pub fn lock_records(&self) -> Result<File, Error> {
        private_dir(&self.state)?;
        let lock =
            File::create(self.state.join("labs.lock")).and_then(|lock| lock.lock().map(|()| lock));
        lock.map_err(|error| Error::caused("Cannot lock the records of labs", &error))
    }

    /// Every lab known here, by name. Records that cannot be read are left out.
    pub fn records(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(self.state.join("labs")) else {
            return Vec::new();
        };
        let mut records: Vec<Record> = entries
            .flatten()
            .filter_map(|entry| Record::read(&entry.path()))
            .collect();
        records.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        records
    }
}

/// What templates may take on disk: `NESTLAB_TEMPLATES`, as `8GiB`, or `0` for none.
fn template_budget() -> Result<ByteSize, Error> {
    const VARIABLE: &str = "NESTLAB_TEMPLATES";
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(ByteSize::gib(4));
    };
    if text == "0" {
        return Ok(ByteSize::bytes(0));
    }
    text.parse().map_err(|error| {
        let message = format!("{VARIABLE}={text}: {error}");
        Error::new(Code::Usage, message).hint("Give a size such as `8GiB`, or `0` for no templates")
    })
}

/// A folder named by a variable, if it is absolute.
fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn xdg(variable: &str, below_home: &str) -> Result<PathBuf, Error> {
    let home = || absolute("HOME").map(|home| home.join(below_home));
    absolute(variable).or_else(home).ok_or_else(|| {
        Error::new(
            Code::Usage,
            format!("Neither {variable} nor HOME names a folder"),
        )
        .hint("Set HOME to your home folder")
    })
}

fn user_id() -> u32 {
    fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

fn runtime_dir() -> PathBuf {
    let uid = user_id();
    let short = |dir: &PathBuf| dir.as_os_str().len() <= MAX_RUNTIME;
    let xdg = absolute("XDG_RUNTIME_DIR").filter(|dir| dir.is_dir());
    if let Some(dir) = xdg.map(|dir| dir.join("nestlab")).filter(short) {
        return dir;
    }
    if uid == 0 && Path::new("/run").is_dir() {
        return PathBuf::from("/run/nestlab-0");
    }
    PathBuf::from(format!("/tmp/nestlab-{uid}"))
}

/// What is written down about a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Eight random hexadecimal digits.
    pub id: String,
    /// The lab's name.
    pub name: String,
    /// Its file, without symbolic links.
    pub file: PathBuf,
    /// When it was first brought up, in seconds since 1970.
    pub created: u64,
    /// The name of the lab that it was forked from. The file is that lab's, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_of: Option<String>,
}

impl Record {
    /// Whether it is the lab that a file makes.
    fn is_of(&self, file: &Path) -> bool {
        self.file == file && self.fork_of.is_none()
    }

    fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("lab.json")).ok()?;
        let record: Self = serde_json::from_str(&text).ok()?;
        let fits = record.version <= RECORD_VERSION
            && folder
                .file_name()
                .is_some_and(|name| name == record.id.as_str());
        fits.then_some(record)
    }

    /// Writes the record in one step: a reader sees the old one or this one.
    fn write(&self, dirs: &Dirs) -> Result<(), Error> {
        let folder = dirs.lab_state(&self.id);
        private_dir(&folder)?;
        let path = folder.join("lab.json");
        let fail = |error: std::io::Error| {
            Error::caused(format!("Cannot write `{}`", path.display()), &error)
        };
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(fail)?;
        let text = serde_json::to_string_pretty(self).map_err(|error| fail(error.into()))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(fail)?;
        file.persist(&path).map_err(|error| fail(error.error))?;
        Ok(())
    }
}

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

    /// The record of the lab, made at its first `up`.
    pub fn register(&mut self, name: &str) -> Result<Record, Error> {
        let _lock = self.dirs.lock_records()?;
        let records = self.dirs.records();
        // Found again under the lock: another `up` may have been first.
        let ours = self.record.as_ref().map(|record| record.id.clone());
        let ours = records
            .iter()
            .find(|r| Some(&r.id) == ours.as_ref() || r.is_of(&self.file));
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
        };
        if ours != Some(&record) {
            record.write(&self.dirs)?;
        }
        self.record = Some(record.clone());
        Ok(record)
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
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let what = format!("Cannot remove `{}`", folder.display());
                    return Err(Error::caused(what, &error));
                }
                _ => {}
            }
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
        (None, None) => search(&start)?,
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

/// The lab file of a folder or of one above it.
fn search(start: &Path) -> Result<PathBuf, Error> {
    let folder = canonical(start)?;
    let candidates = folder
        .ancestors()
        .flat_map(|dir| FILE_NAMES.map(|name| dir.join(name)));
    for candidate in candidates {
        if candidate.is_file() {
            return canonical(&candidate);
        }
    }
    Err(Error::new(Code::Unknown, format!("No `nestlab.yaml` in `{}` or above it", folder.display()))
        .hint("Go to a lab's folder, give `-C DIR` or `--file FILE`, or name a lab with `-l NAME` (`nestlab ls` lists them)"))
}

fn canonical(path: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(path).map_err(|error| {
        Error::caused(format!("Cannot open `{}`", path.display()), &error).code(Code::Unknown)
    })
}

/// The folder itself, or the one that it would be made in.
pub fn existing(folder: &Path) -> &Path {
    let mut above = folder.ancestors();
    above.find(|path| path.exists()).unwrap_or(folder)
}

/// Makes a folder that only we may enter, with those above it.
pub fn private_dir(path: &Path) -> Result<(), Error> {
    nestlab_sys::dir::make_private(path).map_err(|error| {
        let message = format!("Cannot make the folder `{}`", path.display());
        Error::caused(message, &error).code(Code::Needs)
    })
}

fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 4];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::caused("Cannot read /dev/urandom", &error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
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
                template_budget: ByteSize::bytes(0),
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
        let first = home.place("a").register("demo").unwrap();
        let second = home.place("a").register("demo").unwrap();
        assert_eq!(first, second);
        assert_eq!(home.place("a").register("other").unwrap().id, first.id);
        let mode = fs::metadata(home.0.path().join("state"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn two_files_cannot_share_a_name() {
        let home = Home::new();
        home.place("a").register("demo").unwrap();
        let error = home.place("b").register("demo").unwrap_err();
        assert!(error.render("error", "hint").contains("another `name:`"));
        fs::remove_dir_all(home.0.path().join("a")).unwrap();
        let error = home.place("b").register("demo").unwrap_err();
        assert!(error.render("error", "hint").contains("If you moved it"));
    }

    #[test]
    fn a_moved_lab_keeps_its_id() {
        let home = Home::new();
        let first = home.place("a").register("demo").unwrap();
        fs::rename(home.0.path().join("a"), home.0.path().join("b")).unwrap();
        let mut moved = home.place("b");
        moved.record = Some(first.clone());
        let second = moved.register("demo").unwrap();
        assert_eq!((second.id, second.file), (first.id, moved.file));
    }
}
