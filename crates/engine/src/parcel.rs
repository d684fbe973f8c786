//! Files and folders on their way into a node: tar archives.

use crate::Fault;
use nestlab_model::{Digest, FileCopy, FileSource};
use sha2::{Digest as _, Sha256};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// An archive in an unlinked file, and where it is to be unpacked.
pub(crate) struct Parcel {
    /// The folder in the node into which the archive is unpacked.
    pub into: String,
    /// The archive, at its start.
    pub archive: std::fs::File,
}

/// The folder and the name of a target such as `/etc/motd`.
fn split_target(target: &str) -> Result<(String, String), Fault> {
    let trimmed = target.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some((folder, name)) if trimmed.starts_with('/') && !name.is_empty() => {
            let folder = if folder.is_empty() { "/" } else { folder };
            Ok((folder.to_owned(), name.to_owned()))
        }
        _ => Err(Fault::new(format!(
            "The target {target:?} is not an absolute path of a file"
        ))),
    }
}

/// Packs what a `files:` entry or a file provisioner names.
///
/// `blobs` is the folder where this level keeps what its parent sent.
pub(crate) fn pack(copy: &FileCopy, blobs: &Path) -> Result<Parcel, Fault> {
    let (into, name) = split_target(&copy.target)?;
    let archive = match &copy.source {
        FileSource::Inline(text) => pack_text(&name, text, copy.mode.unwrap_or(0o644)),
        FileSource::Host(path) => pack_path(&name, path, copy.mode),
        FileSource::Blob(digest) => return open_blob(digest, blobs, into),
        FileSource::Url { url, .. } => {
            return Err(
                Fault::new(format!("Files cannot be fetched from {url} yet"))
                    .with_hint("Download it and name the file with `source:`"),
            );
        }
    };
    let what = match &copy.source {
        FileSource::Host(path) => path.display().to_string(),
        _ => copy.target.clone(),
    };
    let archive = archive.map_err(Fault::io(format!("Cannot pack {what}")))?;
    Ok(Parcel { into, archive })
}

fn open_blob(digest: &Digest, blobs: &Path, into: String) -> Result<Parcel, Fault> {
    let path = blobs.join(digest.hex());
    let archive =
        std::fs::File::open(&path).map_err(Fault::io(format!("Cannot open the blob {digest}")))?;
    Ok(Parcel { into, archive })
}

/// Packs one text as a file; also used for scripts.
pub(crate) fn pack_text(name: &str, text: &str, mode: u32) -> std::io::Result<std::fs::File> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    let mut builder = tar::Builder::new(tempfile::tempfile()?);
    builder.append_data(&mut header, name, text.as_bytes())?;
    rewound(builder.into_inner()?)
}

fn pack_path(name: &str, path: &Path, mode: Option<u32>) -> std::io::Result<std::fs::File> {
    let mut builder = tar::Builder::new(tempfile::tempfile()?);
    builder.follow_symlinks(false);
    // Owners and times of this machine mean nothing in the node, and would
    // make two equal folders differ.
    builder.mode(tar::HeaderMode::Deterministic);
    if std::fs::metadata(path)?.is_dir() {
        builder.append_dir_all(name, path)?;
        return rewound(builder.into_inner()?);
    }
    let mut file = std::fs::File::open(path)?;
    match mode {
        None => builder.append_file(name, &mut file)?,
        Some(mode) => {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.metadata()?.len());
            header.set_mode(mode);
            builder.append_data(&mut header, name, &mut file)?;
        }
    }
    rewound(builder.into_inner()?)
}

fn rewound(mut file: std::fs::File) -> std::io::Result<std::fs::File> {
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// The digest of an archive, which is left at its start.
pub(crate) fn digest(archive: &mut std::fs::File) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = archive.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    archive.seek(SeekFrom::Start(0))?;
    Ok(Digest(hasher.finalize().into()))
}

/// The digest of some words, for deciding whether a step has changed.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_split() {
        assert_eq!(
            split_target("/etc/motd").unwrap(),
            ("/etc".into(), "motd".into())
        );
        assert_eq!(split_target("/srv/").unwrap(), ("/".into(), "srv".into()));
        assert!(split_target("etc/motd").is_err());
        assert!(split_target("/").is_err());
    }

    #[test]
    fn equal_folders_have_equal_digests() {
        let pack_one = |mtime: u64| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("a");
            std::fs::write(&file, "text").unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
            std::fs::File::open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap();
            digest(&mut pack_path("x", folder.path(), None).unwrap()).unwrap()
        };
        assert_eq!(pack_one(1_000_000_000), pack_one(1_500_000_000));
    }
}
