//! Disk images made by others: copied or fetched, checked, understood.

use crate::builder::{Progress, Streams, Work, program};
use crate::{ImageError, ImageFormat, digest};
use nestlab_model::{ByteSize, Digest};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How compressed files begin.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
];

/// Copies a user's disk image, so that nothing the user does to it later
/// changes what machines stand on. Shares the blocks where the file system can.
pub(crate) async fn copy_in(
    path: &Path,
    wanted: Option<Digest>,
    scratch: &Path,
) -> Result<(PathBuf, ImageFormat), ImageError> {
    let format = format_of(path)?;
    let copy = scratch.join("copy");
    let mut command = program("cp");
    command
        .args(["--reflink=auto", "--sparse=always", "--"])
        .arg(path)
        .arg(&copy);
    Work::start(command, "coreutils", Streams::None)?
        .finish(&format!("Cannot copy {}", path.display()), &|_| {})
        .await?;
    check(&copy, &path.display().to_string(), wanted).await?;
    Ok((copy, format))
}

/// Fetches a file with curl, going on where an earlier try was cut off.
pub(crate) async fn fetch(
    store: &Path,
    url: &str,
    sha256: &Digest,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    let folder = store.join("downloads");
    std::fs::create_dir_all(&folder)
        .map_err(ImageError::io(format!("make {}", folder.display())))?;
    let part = folder.join(sha256.hex());
    progress(format!("fetching {url}"));
    let mut command = program("curl");
    command.args([
        "--fail",
        "--location",
        "--silent",
        "--show-error",
        "--retry",
        "3",
    ]);
    command.args([
        "--proto",
        "=http,https,file",
        "--continue-at",
        "-",
        "--output",
    ]);
    command.arg(&part).arg("--").arg(url);
    let fetched = Work::start(command, "curl", Streams::None)?
        .finish(&format!("Cannot fetch {url}"), progress)
        .await;
    // A part that is complete already makes curl fail: the checksum tells.
    let whole = part.exists() && check(&part, url, Some(*sha256)).await.is_ok();
    if !whole {
        fetched?;
        let wrong = check(&part, url, Some(*sha256)).await;
        // Going on from wrong bytes would never come right.
        let _ = std::fs::remove_file(&part);
        wrong?;
    }
    let file = scratch.join(sha256.hex());
    std::fs::rename(&part, &file).map_err(ImageError::io(format!("keep {}", part.display())))?;
    Ok(file)
}

pub(crate) async fn check(
    file: &Path,
    what: &str,
    wanted: Option<Digest>,
) -> Result<(), ImageError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = digest::of_large_file(file).await?;
    match found == wanted {
        true => Ok(()),
        false => Err(ImageError::Checksum {
            what: what.to_owned(),
            found: found.to_string(),
            wanted: wanted.to_string(),
        }),
    }
}

/// Tells raw from qcow2, once and for all: a guest that writes a qcow2 header
/// into its raw disk must not change what QEMU takes the disk for.
pub(crate) fn format_of(path: &Path) -> Result<ImageFormat, ImageError> {
    let head = head(path)?;
    if let Some((_, kind)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        let path = path.display();
        return Err(ImageError::Unusable(format!(
            "{path} is packed with {kind}: unpack it first"
        )));
    }
    if !head.starts_with(b"QFI\xfb") {
        return Ok(ImageFormat::Raw);
    }
    // What the file refers to would be opened by the VMM: any file of this
    // machine could be named there.
    let backing = number(&head, 8);
    let external_data = number(&head, 72) & 1 << 2 != 0;
    if backing != 0 || external_data {
        return Err(ImageError::Unusable(format!(
            "{} refers to another file; make one of both: `qemu-img convert -O qcow2 OLD NEW`",
            path.display()
        )));
    }
    Ok(ImageFormat::Qcow2)
}

/// The size of the disk that a file shows.
pub(crate) fn virtual_size(file: &Path, format: ImageFormat) -> Result<ByteSize, ImageError> {
    match format {
        ImageFormat::Raw => std::fs::metadata(file)
            .map(|m| ByteSize::bytes(m.len()))
            .map_err(ImageError::io(format!("read {}", file.display()))),
        ImageFormat::Qcow2 => Ok(ByteSize::bytes(number(&head(file)?, 24))),
    }
}

/// The first bytes, zeros behind a shorter file.
fn head(path: &Path) -> Result<[u8; 104], ImageError> {
    let mut head = [0; 104];
    let read = || -> io::Result<()> {
        let mut start = Vec::new();
        File::open(path)?
            .take(head.len() as u64)
            .read_to_end(&mut start)?;
        head[..start.len()].copy_from_slice(&start);
        Ok(())
    };
    let mut read = read;
    read().map_err(ImageError::io(format!("read {}", path.display())))?;
    Ok(head)
}

fn number(head: &[u8; 104], at: usize) -> u64 {
    u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes were taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create_overlay;

    #[test]
    fn formats_are_told_apart_and_traps_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            format_of(&path).map_err(|error| error.to_string())
        };
        assert_eq!(check("raw", b"short"), Ok(ImageFormat::Raw));
        assert!(check("gz", b"\x1f\x8b\x08").unwrap_err().contains("gzip"));
        let empty = folder.path().join("empty.qcow2");
        crate::create_empty(&empty, ByteSize::gib(3)).unwrap();
        assert_eq!(format_of(&empty).unwrap(), ImageFormat::Qcow2);
        assert_eq!(
            virtual_size(&empty, ImageFormat::Qcow2).unwrap(),
            ByteSize::gib(3)
        );
        let trap = folder.path().join("trap.qcow2");
        create_overlay(
            &trap,
            Path::new("/etc/shadow"),
            ImageFormat::Raw,
            ByteSize::gib(1),
        )
        .unwrap();
        assert!(
            format_of(&trap)
                .unwrap_err()
                .to_string()
                .contains("another file")
        );
    }
}
