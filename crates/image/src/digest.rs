//! Digests of files, remembered: hashing a large file at every start would cost
//! more than all the rest.

use crate::{Image, ImageError, Store};
use nestlab_model::Digest;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What holes are made of, in bytes.
const PAGE: usize = 4096;

/// The SHA-256 of a file.
pub(crate) fn of_file(path: &Path) -> Result<Digest, ImageError> {
    hash(path).map_err(ImageError::io(format!("read {}", path.display())))
}

/// The same, for a large file: without keeping other tasks from running.
pub(crate) async fn of_large_file(path: &Path) -> Result<Digest, ImageError> {
    let cannot = format!("read {}", path.display());
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash(&path)).await;
    hashed
        .map_err(io::Error::other)
        .and_then(|result| result)
        .map_err(ImageError::io(cannot))
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The SHA-256 of a file's length and of every page that is not empty, with its place. Holes
/// cost nothing, and are as good as zeros.
pub(crate) fn of_content(path: &Path) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    hasher.update(std::fs::metadata(path)?.len().to_le_bytes());
    nestlab_sys::cow::visit(path, |start, bytes| {
        for (number, page) in bytes.chunks(PAGE).enumerate() {
            let at = start + (number * PAGE) as u64;
            hasher.update(at.to_le_bytes());
            hasher.update(page);
        }
        Ok(())
    })?;
    Ok(Digest(hasher.finalize().into()))
}

impl Store {
    /// Whether an image is what it was when it was made; `None` where that is not known.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn is_sound(&self, image: &Image) -> Result<Option<bool>, ImageError> {
        let Some(expected) = image.content else {
            return Ok(None);
        };
        let disk = image.disk.clone();
        let cannot = format!("read {}", disk.display());
        let found = tokio::task::spawn_blocking(move || of_content(&disk)).await;
        let found = found.map_err(io::Error::other).and_then(|found| found);
        let found = found.map_err(ImageError::io(cannot))?;
        Ok(Some(found == expected))
    }

    /// The SHA-256 of a file, known again by the file's number, size and time.
    pub(crate) async fn remembered_digest(&self, path: &Path) -> Result<Digest, ImageError> {
        let memo = self.memo(path)?;
        let known = std::fs::read_to_string(&memo)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let Some(digest) = known {
            return Ok(digest);
        }
        let digest = of_large_file(path).await?;
        // Only a memo: without it the next start is slower. Half of one does not
        // parse.
        let _ = std::fs::write(&memo, digest.to_string());
        Ok(digest)
    }

    fn memo(&self, path: &Path) -> Result<PathBuf, ImageError> {
        let m =
            std::fs::metadata(path).map_err(ImageError::io(format!("read {}", path.display())))?;
        let mut stamp = Sha256::new();
        let times = [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()];
        times
            .iter()
            .for_each(|number| stamp.update(number.to_le_bytes()));
        [m.dev(), m.ino(), m.size()]
            .iter()
            .for_each(|number| stamp.update(number.to_le_bytes()));
        let name = Digest(stamp.finalize().into()).short();
        Ok(self.root().join("memos").join(name))
    }
}
