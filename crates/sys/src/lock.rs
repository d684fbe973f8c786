//! Locks between processes: flock(2) on a file. The kernel lets go of them when
//! the holder dies.

use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl FileLock {
    /// Takes the lock, or returns `None` if somebody else has it.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        match Flock::lock(open(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Waits for the lock, on a thread of its own.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub async fn acquire(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        tokio::task::spawn_blocking(|| Flock::lock(file, FlockArg::LockExclusive))
            .await
            .map_err(io::Error::other)?
            .map(Self)
            .map_err(|(_, error)| error.into())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
