//! Images for containers from registries, fetched by skopeo(1).
//!
//! Registries want tokens, credentials, mirrors and proxies dealt with as their users have
//! set them up for other tools: skopeo does that, and picks this machine's kind of processor.
//! It is never believed: what it brings is an OCI image layout like any other.

use crate::builder::{self, Progress, Streams, Work};
use crate::foreign::LOOK;
use crate::{ImageError, Store};
use nestlab_model::{ByteSize, Digest, Reference};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

const SKOPEO: &str = "skopeo";

/// The longest manifest that is read, in bytes: registries take no longer ones.
const LONGEST: u64 = 4 << 20;

/// What skopeo names a layer that has not come completely.
const HALF: &str = "oci-put-blob";

/// Where it is said whose signatures an image needs; skopeo does not work without such a
/// file, and distributions' allows all.
const POLICIES: [&str; 2] = [
    "/etc/containers/policy.json",
    "/usr/share/containers/policy.json",
];
const USERS_POLICY: &str = ".config/containers/policy.json";

/// Asks a registry what a reference means today. Of one image for several kinds of
/// processors that is the digest of their list: a lab on another machine means the same.
pub(crate) async fn digest_of(
    reference: &Reference,
    progress: Progress<'_>,
) -> Result<Digest, ImageError> {
    progress(format!("asking for {reference}"));
    let mut command = skopeo();
    command.args(["inspect", "--raw", "--retry-times", "2"]);
    if reference.is_on_loopback() {
        command.arg("--tls-verify=false");
    }
    command.arg(reference.address());
    let mut work = Work::start(command, SKOPEO, Streams::Piped)?;
    let output = work.stdout().expect("it was piped above");
    let mut manifest = Vec::new();
    let read = async { output.take(LONGEST + 1).read_to_end(&mut manifest).await };
    let what = format!("Cannot ask for {reference}");
    let (read, finished) = tokio::join!(read, work.finish(&what, &|_| {}));
    finished?;
    read.map_err(ImageError::io(format!("read the manifest of {reference}")))?;
    match manifest.len() as u64 {
        0 => Err(ImageError::Unusable(format!("{reference} is empty"))),
        length if length > LONGEST => Err(ImageError::Unusable(format!(
            "The manifest of {reference} is too long"
        ))),
        _ => Ok(Digest(Sha256::digest(&manifest).into())),
    }
}

/// Fetches an image as an OCI image layout, into a folder that stays until it is removed:
/// layers that have come are not asked for again.
pub(crate) async fn fetch(
    store: &Store,
    reference: &Reference,
    digest: Digest,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    let folder = store.download_path(&format!("oci-{}", digest.hex()))?;
    remove_halves(&folder);
    let mut command = skopeo();
    command.args(["copy", "--quiet", "--retry-times", "2"]);
    if reference.is_on_loopback() {
        command.arg("--src-tls-verify=false");
    }
    command.arg(reference.at(digest).address());
    command.arg(format!("oci:{}:image", folder.display()));
    progress(format!("fetching {reference}"));
    let work = Work::start(command, SKOPEO, Streams::None)?;
    let what = format!("Cannot fetch {reference}");
    tokio::select! {
        fetched = work.finish(&what, progress) => fetched?,
        never = watch(reference, &folder, progress) => match never {},
    }
    Ok(folder)
}

/// skopeo with its user's credentials, mirrors and certificates.
fn skopeo() -> Command {
    let mut command = builder::program(SKOPEO);
    builder::as_user(&mut command);
    let users = builder::home().map(|home| home.join(USERS_POLICY));
    let policies = POLICIES.iter().map(PathBuf::from).chain(users);
    if !policies.into_iter().any(|policy| policy.exists()) {
        command.arg("--insecure-policy");
    }
    command
}

/// Tells again and again how much of an image is there.
async fn watch(reference: &Reference, folder: &Path, progress: Progress<'_>) -> Infallible {
    let mut told = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let have = ByteSize::bytes(bytes_in(folder)).as_mib();
        if have != told {
            told = have;
            progress(format!("fetching {reference}: {have} MiB"));
        }
    }
}

fn files_in(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    let entries = [folder.to_owned(), folder.join("blobs/sha256")].map(std::fs::read_dir);
    entries.into_iter().flatten().flatten().flatten()
}

fn bytes_in(folder: &Path) -> u64 {
    let sizes = files_in(folder).filter_map(|file| file.metadata().ok());
    sizes
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum()
}

fn remove_halves(folder: &Path) {
    for file in files_in(folder) {
        if file.file_name().to_string_lossy().starts_with(HALF) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}
