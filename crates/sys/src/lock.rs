//! Locks between processes: one file per thing, locked with flock(2), so that
//! the kernel lets go when the holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Longest pause between two tries of [`FileLock::acquire`].
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A held lock; let go on drop. The file stays, since removing it would let two
/// holders lock two different files of one name.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held open for its lock")] File);

impl FileLock {
    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// The file cannot be opened or locked. `Ok(None)` if another process, or
    /// another part of this one, holds it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(sign(file)?))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits for the lock, blocking the thread.
    ///
    /// # Errors
    /// As [`Self::try_acquire`].
    pub fn acquire_blocking(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        file.lock()?;
        Ok(Self(sign(file)?))
    }

    /// Waits for the lock. Tries again and again instead of blocking a thread,
    /// so that it can be given up at any time.
    ///
    /// # Errors
    /// As [`Self::try_acquire`].
    pub async fn acquire(path: &Path) -> io::Result<Self> {
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The process that last took the lock. It may have let go since.
    pub fn holder(path: &Path) -> Option<u32> {
        let mut text = String::new();
        File::open(path)
            .ok()?
            .take(32)
            .read_to_string(&mut text)
            .ok()?;
        text.trim().parse().ok()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Writes down who holds it, for messages only.
fn sign(mut file: File) -> io::Result<File> {
    file.set_len(0)?;
    file.rewind()?;
    // A full disk must not keep anybody from locking.
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_at_a_time() {
        let folder = crate::dir::scratch("lock");
        let path = folder.join("lab.lock");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        assert_eq!(FileLock::holder(&path), Some(std::process::id()));
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { FileLock::acquire(&path).await.map(drop) }
        });
        drop(held);
        waiting.await.unwrap().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
