//! What the loader may ask of a file system: the crate's only way out. A test
//! gives it a map, the CLI the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file (or a link to one).
    File,
    /// A folder.
    Folder,
}

/// A place from which files are read.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// As the operating system says; [`io::ErrorKind::FileTooLarge`] if the
    /// file has more than `limit` bytes, which must be found without reading
    /// them all.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// What stands at a path; `None` if nothing does.
    fn kind(&self, path: &Path) -> Option<FileKind>;

    /// The names of what lies in a folder, sorted.
    ///
    /// # Errors
    /// As the operating system says; [`io::ErrorKind::FileTooLarge`] if there are more than
    /// [`MAX_NAMES`].
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
}

/// A folder with more names is none that somebody wrote.
pub const MAX_NAMES: usize = 100_000;

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFiles;

impl Files for OsFiles {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        // A device or a pipe would block or never end.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "Not a regular file",
            ));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(too_large(limit));
        }
        Ok(bytes)
    }

    fn kind(&self, path: &Path) -> Option<FileKind> {
        let metadata = path.metadata().ok()?;
        Some(if metadata.is_dir() {
            FileKind::Folder
        } else {
            FileKind::File
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            if names.len() == MAX_NAMES {
                return Err(too_many());
            }
            // A name that is no text cannot be written in a lab file either.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }
}

/// Files in memory, for tests. Every folder above a file exists.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(BTreeMap<PathBuf, Vec<u8>>);

impl MemoryFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files and one more.
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), content.into());
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > limit {
            return Err(too_large(limit));
        }
        Ok(bytes.clone())
    }

    fn kind(&self, path: &Path) -> Option<FileKind> {
        if self.0.contains_key(path) {
            return Some(FileKind::File);
        }
        let mut all = self.0.keys();
        all.any(|file| file.starts_with(path))
            .then_some(FileKind::Folder)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let below = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok());
        let first = below.filter_map(|rest| rest.components().next());
        let names: BTreeSet<String> = first
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        if names.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(names.into_iter().collect())
    }
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("Larger than {limit} bytes"),
    )
}

fn too_many() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("More than {MAX_NAMES} names"),
    )
}
