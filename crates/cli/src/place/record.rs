//! What is written down about a lab.

use super::dirs::{Dirs, private_dir};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of [`Record`]. Raised when an old reader would misunderstand.
pub(super) const RECORD_VERSION: u32 = 1;

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
    /// What its Vagrantfile is read for, if `up` was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl Record {
    /// Whether it is the lab that a file makes.
    pub(super) fn is_of(&self, file: &Path) -> bool {
        self.file == file && self.fork_of.is_none()
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("lab.json")).ok()?;
        let record: Self = serde_json::from_str(&text).ok()?;
        let fits = record.version <= RECORD_VERSION
            && folder
                .file_name()
                .is_some_and(|name| name == record.id.as_str());
        fits.then_some(record)
    }

    /// Writes the record in one step: a reader sees the old one or this one.
    pub(super) fn write(&self, dirs: &Dirs) -> Result<(), Error> {
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

pub(super) fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 4];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::caused("Cannot read /dev/urandom", &error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
