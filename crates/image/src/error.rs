//! Why an image could not be had.

use std::io;

/// Why an image, the kit or a disk could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file or folder cannot be used.
    #[error("Cannot {action}")]
    Io {
        /// What was tried, on what.
        action: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program is not installed.
    #[error("Cannot find the program `{program}`")]
    MissingProgram {
        /// Its name, which is also its Debian package's.
        program: String,
    },
    /// A program ended with an error.
    #[error("{what}: `{program}` ended with {status}{words}")]
    Failed {
        /// What was being made.
        what: String,
        /// The program.
        program: String,
        /// Exit status or signal.
        status: String,
        /// Its last lines, each on a line of its own.
        words: String,
        /// What to type next.
        hint: Option<String>,
    },
    /// The bytes are not what they should be.
    #[error("{what} has the checksum {found}, not {wanted}")]
    Checksum {
        /// The file or address.
        what: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// The input cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl ImageError {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// What to type next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingProgram { program } => {
                Some(format!("Install it: `apt install {program}`"))
            }
            Self::Failed { hint, .. } => hint.clone(),
            Self::Io { source, .. } if source.raw_os_error() == Some(28) => {
                Some("Free some disk space (`nestlab image prune` helps), then try again".into())
            }
            Self::Checksum { .. } => Some(
                "Download it again, or correct `sha256` if the publisher has changed it".into(),
            ),
            _ => None,
        }
    }
}
