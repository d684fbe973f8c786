//! Disk images made by others: copied or fetched, checked, understood.

use crate::builder::{Progress, Streams, Work, program};
use crate::{ImageError, ImageFormat, Store, digest, oci};
use nestlab_model::{ByteSize, Digest};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time between two looks at how far a download is.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// The largest disk that an image may show: tables of overlays grow with that.
const LARGEST: ByteSize = ByteSize::gib(16 << 10);

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
    // What cannot be used is told before it is copied; what counts is the copy.
    format_of(path)?;
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
    let format = format_of(&copy)?;
    Ok((copy, format))
}

/// Fetches a file that must have this digest, going on where an earlier try was cut off.
pub(crate) async fn fetch(
    store: &Store,
    url: &str,
    sha256: &Digest,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    let part = store.download_path(&sha256.hex())?;
    let _lock = store.lock(&format!("download-{}", sha256.hex())).await?;
    if !is_whole(&part, url, sha256).await {
        let fetched = download(store, url, &part, progress).await;
        // A part that is complete already makes curl fail: the checksum tells.
        if !is_whole(&part, url, sha256).await {
            fetched?;
            let wrong = check(&part, url, Some(*sha256)).await;
            // Going on from wrong bytes would never come right.
            let _ = std::fs::remove_file(&part);
            wrong?;
        }
    }
    let file = scratch.join(sha256.hex());
    std::fs::rename(&part, &file).map_err(ImageError::io(format!("keep {}", part.display())))?;
    Ok(file)
}

async fn is_whole(part: &Path, url: &str, sha256: &Digest) -> bool {
    part.exists() && check(part, url, Some(*sha256)).await.is_ok()
}

/// Fetches a file with curl, going on behind what is there already, and tells how far it is.
/// It may come from a mirror.
pub(crate) async fn download(
    store: &Store,
    url: &str,
    to: &Path,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    let url = &*store.mirrored(url);
    let mut command = program("curl");
    command.args(["--fail", "--location", "--silent", "--show-error"]);
    command.args(["--retry", "3", "--retry-connrefused"]);
    // Whoever sends nothing for a minute will not.
    command.args(["--connect-timeout", "30"]);
    command.args(["--speed-limit", "1", "--speed-time", "60"]);
    command.args(["--proto", "=http,https,file", "--continue-at", "-"]);
    if url.starts_with("https:") {
        // Whoever is on the way could answer in the place of what it leads to.
        command.args(["--proto-redir", "=https"]);
    }
    let heads = to.with_extension("heads");
    command.arg("--dump-header").arg(&heads);
    command.arg("--output").arg(to).arg("--").arg(url);
    progress(format!("fetching {url}"));
    let work = Work::start(command, "curl", Streams::None)?;
    let what = format!("Cannot fetch {url}");
    let fetched = tokio::select! {
        fetched = work.finish(&what, progress) => fetched,
        never = watch(url, to, &heads, progress) => match never {},
    };
    let _ = std::fs::remove_file(heads);
    fetched
}

/// Tells again and again how much of a file is there.
async fn watch(url: &str, file: &Path, heads: &Path, progress: Progress<'_>) -> Infallible {
    let name = url.rsplit('/').next().unwrap_or(url);
    let mut told = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let have = std::fs::metadata(file).map_or(0, |file| file.len());
        if have == told {
            continue;
        }
        told = have;
        let have = ByteSize::bytes(have).as_mib();
        let total = std::fs::read_to_string(heads).ok();
        progress(match total.and_then(|heads| length(&heads)) {
            Some(total) => {
                let total = ByteSize::bytes(total).as_mib();
                format!("fetching {name}: {have} of {total} MiB")
            }
            None => format!("fetching {name}: {have} MiB"),
        });
    }
}

/// How long the whole file is, by the last answer: of a part, what `Content-Range` says.
fn length(heads: &str) -> Option<u64> {
    let mut total = None;
    for line in heads.lines() {
        let Some((name, value)) = line.split_once(':') else {
            // The first line of another answer.
            total = total.filter(|_| line.trim().is_empty());
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => total = total.or(value.parse().ok()),
            "content-range" => total = value.rsplit('/').next()?.parse().ok(),
            _ => {}
        }
    }
    total
}

pub(crate) async fn check(
    file: &Path,
    what: &str,
    wanted: Option<Digest>,
) -> Result<(), ImageError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = match file.is_dir() {
        true => digest::of_file(&oci::index_of(file))?,
        false => digest::of_large_file(file).await?,
    };
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
    let size = ByteSize::bytes(number(&head, 24));
    match size > LARGEST {
        true => Err(ImageError::Unusable(format!(
            "{} shows a disk of {size}: more than {LARGEST}",
            path.display()
        ))),
        false => Ok(ImageFormat::Qcow2),
    }
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

    #[test]
    fn lengths_are_those_of_the_last_answer() {
        let moved = "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\n";
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\n";
        let part = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 200-699/700\r\nContent-Length: 500\r\n\r\n";
        assert_eq!(length(&format!("{moved}{whole}")), Some(700));
        assert_eq!(length(&format!("{moved}{part}")), Some(700));
        assert_eq!(length("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
