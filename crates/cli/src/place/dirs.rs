//! The folders of a user on this machine.

use super::record::{Record, random_id};
use crate::error::{Code, Error};
use nestlab_model::ByteSize;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longest runtime folder: what a socket path (108 bytes, unix(7)) leaves
/// when the engine's own names follow.
const MAX_RUNTIME: usize = 64;

/// In a lab's folders outside its state: a symbolic link to that state. Sockets and
/// memory are in places which all of a user's state folders share, and this tells
/// whose they are. No node can have this name.
const OWNER: &str = ".state";

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
    /// The socket of the container engine, where the user has named one.
    pub container_engine: Option<PathBuf>,
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
            container_engine: container_engine(),
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

    pub(super) fn starters(&self) -> PathBuf {
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

    /// Makes a lab's folders outside its state, and writes into them whose they are.
    pub fn claim(&self, id: &str) -> Result<(), Error> {
        let state = self.lab_state(id);
        let claim = |folder: PathBuf| {
            private_dir(&folder)?;
            match std::os::unix::fs::symlink(&state, folder.join(OWNER)) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    let message = format!("Cannot write to `{}`", folder.display());
                    Err(Error::caused(message, &error).code(Code::Needs))
                }
                _ => Ok(()),
            }
        };
        private_dir(&self.runtime)?;
        claim(self.lab_runtime(id))?;
        // A machine without room for it there has its memory in private.
        let _ = private_dir(&self.memory).and_then(|()| claim(self.lab_memory(id)));
        Ok(())
    }

    /// Whether a folder of a lab's is that of a lab in another state folder, which
    /// still knows it.
    pub fn is_of_others(&self, folder: &Path) -> bool {
        fs::read_link(folder.join(OWNER))
            .is_ok_and(|state| !state.starts_with(&self.state) && state.exists())
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

/// The folder of the user's configuration.
pub fn config_home() -> Result<PathBuf, Error> {
    xdg("XDG_CONFIG_HOME", ".config")
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

/// As Docker's own client finds it. One that is elsewhere is none of ours: its containers
/// could not stand in a lab's networks here.
fn container_engine() -> Option<PathBuf> {
    let address = std::env::var("DOCKER_HOST").ok()?;
    address.strip_prefix("unix://").map(PathBuf::from)
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
