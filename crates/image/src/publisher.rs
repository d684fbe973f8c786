//! What a publisher's file is today: its digest, by the file of checksums beside it.

use crate::builder::Progress;
use crate::foreign::download;
use crate::{ImageError, Store, registry};
use nestlab_model::{Digest, ImageSpec};
use sha2::{Digest as _, Sha256, Sha512};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest file of checksums that is read, in bytes.
const LONGEST: u64 = 4 << 20;

impl Store {
    /// Finds out what an image is that somebody else decides on ([`ImageSpec::unpinned`]).
    ///
    /// # Errors
    /// Nobody says it, or what is there is not what it should be.
    pub async fn pin(
        &self,
        spec: &ImageSpec,
        progress: Progress<'_>,
    ) -> Result<Digest, ImageError> {
        match spec {
            ImageSpec::Published { url, checksums } => {
                self.pin_by_checksums(url, checksums, progress).await
            }
            ImageSpec::OciTag { reference } => registry::digest_of(reference, progress).await,
            ImageSpec::Derived(derived) => Box::pin(self.pin(&derived.base, progress)).await,
            ImageSpec::Recipe(_)
            | ImageSpec::File { .. }
            | ImageSpec::Url { .. }
            | ImageSpec::Oci { .. } => self.digest_of(spec).await,
        }
    }

    /// Where a file's digest is only told by SHA-512, the file is fetched for it, and need
    /// not be again.
    async fn pin_by_checksums(
        &self,
        url: &str,
        checksums: &str,
        progress: Progress<'_>,
    ) -> Result<Digest, ImageError> {
        progress(format!("reading {checksums}"));
        let scratch = self.scratch()?;
        let list = scratch.path.join("checksums");
        download(self, checksums, &list, &|_| {}).await?;
        let text = read(&list).map_err(ImageError::io(format!("read {checksums}")))?;
        let file = url.rsplit('/').next().unwrap_or(url);
        match find(&text, file) {
            Some(Checksum::Sha256(digest)) => Ok(digest),
            Some(Checksum::Sha512(wanted)) => self.pin_by_sha512(url, wanted, progress).await,
            None => Err(ImageError::Unusable(format!(
                "{checksums} has no SHA-256 or SHA-512 of `{file}`"
            ))),
        }
    }

    async fn pin_by_sha512(
        &self,
        url: &str,
        wanted: [u8; 64],
        progress: Progress<'_>,
    ) -> Result<Digest, ImageError> {
        // Not to be taken for the part of a file that is known by its SHA-256.
        let name = format!("sha512-{}", hex(&wanted));
        let part = self.download_path(&name)?;
        let _lock = self.lock(&format!("download-{name}")).await?;
        download(self, url, &part, progress).await?;
        progress("checking what was fetched".into());
        let (found, digest) = hash_both(&part).await?;
        if found != wanted {
            // Going on from wrong bytes would never come right.
            let _ = std::fs::remove_file(&part);
            return Err(ImageError::Checksum {
                what: url.to_owned(),
                found: format!("sha512:{}", hex(&found)),
                wanted: format!("sha512:{}", hex(&wanted)),
            });
        }
        let whole = self.download_path(&digest.hex())?;
        std::fs::rename(&part, &whole).map_err(ImageError::io(format!("keep {url}")))?;
        Ok(digest)
    }
}

fn read(list: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(list)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn hash_both(file: &Path) -> Result<([u8; 64], Digest), ImageError> {
    let cannot = format!("read {}", file.display());
    let file = file.to_owned();
    let hash = move || {
        let (mut long, mut short) = (Sha512::new(), Sha256::new());
        let mut file = File::open(file)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok((long.finalize().into(), Digest(short.finalize().into()))),
                count => {
                    long.update(&buffer[..count]);
                    short.update(&buffer[..count]);
                }
            }
        }
    };
    let hashed = tokio::task::spawn_blocking(hash).await;
    hashed
        .map_err(std::io::Error::other)
        .and_then(|hashed| hashed)
        .map_err(ImageError::io(cannot))
}

/// What a publisher says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checksum {
    Sha256(Digest),
    Sha512([u8; 64]),
}

/// Looks a file up, in lines as sha256sum(1) writes them (`DIGEST  NAME`, `DIGEST *NAME`) or
/// BSD's tools (`SHA256 (NAME) = DIGEST`). Signatures and comments around them are no lines
/// of that kind. A digest and nothing else is that of the file beside it.
fn find(text: &str, file: &str) -> Option<Checksum> {
    if let Some(bare) = parse(text.trim()) {
        return Some(bare);
    }
    text.lines().find_map(|line| {
        let (digest, name) = match line.split_once(" = ") {
            Some((left, digest)) => {
                let name = left.split_once('(')?.1.strip_suffix(')')?;
                (digest, name)
            }
            None => {
                let (digest, name) = line.split_once(' ')?;
                (digest, name.trim_start().trim_start_matches('*'))
            }
        };
        let name = name.trim().rsplit('/').next()?;
        (name == file).then(|| parse(digest.trim())).flatten()
    })
}

fn parse(digest: &str) -> Option<Checksum> {
    let bytes = digest.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    match bytes.len() {
        32 => bytes.try_into().ok().map(|b| Checksum::Sha256(Digest(b))),
        64 => bytes.try_into().ok().map(Checksum::Sha512),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_checksums_are_understood() {
        let (short, long) = ("0a".repeat(32), "0b".repeat(64));
        let ten = Some(Checksum::Sha256(Digest([10; 32])));
        let eleven = Some(Checksum::Sha512([11; 64]));
        let other = "f".repeat(64);
        for (text, expected) in [
            (format!("{other}  other.img\n{short}  a.img\n"), ten),
            (format!("{short} *a.img\r\n"), ten),
            (format!("{short}  ./build/a.img"), ten),
            (format!("{long}  a.img"), eleven),
            (format!("# a.img: 5 bytes\nSHA256 (a.img) = {short}\n"), ten),
            (format!("SHA512 (a.img) = {long}"), eleven),
            (format!("{short}\n"), ten),
            (long.clone(), eleven),
            (format!("{short}\n{short}\n"), None),
            (format!("{short}  aa.img\n{short}  a.img.zip"), None),
            (format!("{}  a.img", "0a".repeat(20)), None),
            (format!("{}é  a.img", "0a".repeat(31)), None),
            ("(a.img) = \n = a.img\n  a.img".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(find(&text, "a.img"), expected, "{text:?}");
        }
    }
}
